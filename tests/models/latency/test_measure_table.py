"""Measuring a latency table: a whole space, with rows that can be timed and without."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from gamsearch.architecture import Architecture
from gamsearch.models.candidate import build_candidate
from gamsearch.models.latency.backends import BACKENDS, LatencyBackend, Network, torch_backend
from gamsearch.models.latency.measure import measure
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


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_a_whole_space_is_measured_and_held_out_architectures_have_several_modules(space, baseline, backend):
    table = measure_table(space, baseline, 64, CPU, 10.0, backend=backend, seconds=1.0)
    assert set(table.increments) == {p for choices in space.choices.values() for p in choices}
    assert all(0 < i.share < 2 and i.error < 0.2 for i in table.increments.values())
    assert table.conditions == conditions_of(space, baseline, 64, CPU, backend)
    checked = hold_out(table, space, baseline, CPU, count=2, seconds=0.5)
    assert [h.label.count("GAM") for h in checked.held_out] == [2, 2]
    assert checked.errors is not None and checked.errors[1] < 0.25
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in baseline.modules())


def test_in_onnx_runtime_increments_agree_with_networks_that_are_timed_as_a_whole(baseline):
    space = SearchSpace.load("gam-small")
    chosen = SearchSpace("two", space.detector, (4, 6), "inline", space.modules)
    found = measure_table(chosen, baseline, 160, CPU, 10.0, backend="onnxruntime", seconds=2.0).increments
    for placement, increment in found.items():
        attended = build_candidate(space.detector, Architecture.of("yolov8n", [placement]), baseline, 64).model
        whole = measure(attended, baseline, 160, CPU, backend="onnxruntime", seconds=1.0)
        assert 1 + increment.share == pytest.approx(whole.ratio, rel=0.06)


def test_in_onnx_runtime_modules_inside_blocks_are_measured_too(baseline):
    space = SearchSpace.load("inner")
    table = measure_table(replace(space, sites=(4, 6)), baseline, 64, CPU, 10.0, backend="onnxruntime", seconds=1.0)
    assert {p.semantics for p in table.increments} == {"inline", "inner"}
    assert all(0 < i.share < 0.5 for i in table.increments.values())


def test_a_backend_without_rows_measures_every_placement_alone(baseline):
    space = SearchSpace.load("gam-small")
    one = SearchSpace("one", space.detector, (9,), "inline", space.modules)

    def whole(model, imgsz, device):
        return Network(torch_backend(model, imgsz, device).run)

    with BACKENDS.temporarily("whole", LatencyBackend("whole", whole)):
        table = measure_table(one, baseline, 64, CPU, 10.0, backend="whole", seconds=1.0)
    assert [p.site for p in table.increments] == [9, 9]
    assert table.rounds == 0
    assert hold_out(table, one, baseline, CPU, count=2).held_out == ()
