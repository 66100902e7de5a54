"""Measuring a latency table: a whole space, with rows that can be timed and without."""

import pytest
import torch
from torch import nn

from gamsearch.models.latency.measure_table import hold_out, measure_table
from gamsearch.models.latency.table import conditions_of
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.baseline import start_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.load("gam-small")


@pytest.fixture(scope="module")
def baseline(space) -> nn.Module:
    return start_model(space.detector, None, {0: "a"}, seed=0).eval()


def test_a_whole_space_is_measured_and_held_out_architectures_have_several_modules(space, baseline):
    table = measure_table(space, baseline, 64, CPU, 10.0, seconds=1.0)
    assert set(table.increments) == {p for choices in space.choices.values() for p in choices}
    assert all(0 < i.share < 2 and i.error < 0.2 for i in table.increments.values())
    assert table.conditions == conditions_of(space, baseline, 64, CPU, "torch")
    checked = hold_out(table, space, baseline, CPU, count=2, seconds=0.5)
    assert [h.label.count("GAM") for h in checked.held_out] == [2, 2]
    assert checked.errors is not None and checked.errors[1] < 0.25
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in baseline.modules())


def test_a_backend_without_rows_measures_every_placement_alone(baseline):
    space = SearchSpace.load("gam-small")
    one = SearchSpace("one", space.detector, (9,), "inline", space.modules)
    table = measure_table(one, baseline, 64, CPU, 10.0, backend="onnxruntime", seconds=1.0)
    assert [p.site for p in table.increments] == [9, 9]
    assert hold_out(table, one, baseline, CPU, count=2).held_out == ()
