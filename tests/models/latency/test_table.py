"""The latency table: increments that add up, measured in a host that runs what the graft would build."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import RunError, SpaceError
from gamsearch.models.candidate import build_candidate
from gamsearch.models.latency.backends import Network, torch_backend
from gamsearch.models.latency.clock import Clock
from gamsearch.models.latency.increments import Group, Increment, InstrumentedBaseline, groups_of
from gamsearch.models.latency.measure_table import hold_out, measure_table
from gamsearch.models.latency.table import HeldOut, LatencyTable, conditions_of
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.baseline import start_model

CPU = torch.device("cpu")


def gam(site: int, rate: int, **form) -> Placement:
    return Placement(site, "GAM", (("rate", rate),), **form)


TABLE = LatencyTable(
    "yolov8n",
    20.0,
    {gam(4, 4): Increment(0.10, 0.003), gam(9, 16): Increment(0.05, 0.004)},
    rounds=12,
    conditions={"imgsz": 160, "hardware": "CPU"},
    held_out=(HeldOut("a", 1.10, 1.00, 0.99, 1.01), HeldOut("b", 1.00, 1.25, 1.2, 1.3)),
)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.load("gam-small")


@pytest.fixture(scope="module")
def baseline(space) -> nn.Module:
    return start_model(space.detector, None, {0: "a"}, seed=0).eval()


def test_a_prediction_is_the_baseline_plus_the_increments_and_their_errors_add_in_squares():
    both = TABLE.predict(Architecture.of("yolov8n", [gam(4, 4), gam(9, 16)]))
    assert (both.ratio, both.latency_ms, both.error) == pytest.approx((1.15, 23.0, 0.005))
    alone = TABLE.predict(Architecture.of("yolov8n"))
    assert (alone.ratio, alone.latency_ms, alone.error) == (1.0, 20.0, 0.0)


@pytest.mark.parametrize("architecture", [Architecture.of("yolov8n", [gam(6, 4)]), Architecture.of("yolov8s")])
def test_what_was_not_measured_is_not_predicted(architecture):
    with pytest.raises(SpaceError, match="not in the latency table of yolov8n"):
        TABLE.predict(architecture)


def test_a_table_is_written_and_read_again_and_states_its_held_out_error(tmp_path):
    path = tmp_path / "latency.json"
    TABLE.write(path)
    assert LatencyTable.read(path, {"imgsz": 160, "hardware": "CPU"}) == TABLE
    assert TABLE.errors == pytest.approx((0.15, 0.20))
    assert [p.name for p in tmp_path.iterdir()] == ["latency.json"]


def test_a_table_of_other_conditions_or_a_damaged_one_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "latency.json"
    TABLE.write(path)
    with pytest.raises(RunError, match="imgsz 160, but this run has 320; delete it"):
        LatencyTable.read(path, {"imgsz": 320})
    path.write_text(path.read_text()[:40])
    with pytest.raises(RunError, match="delete it"):
        LatencyTable.read(path, {})


def test_conditions_tell_the_image_size_and_the_space_apart(space, baseline):
    here = conditions_of(space, baseline, 64, CPU, "torch")
    assert here == conditions_of(SearchSpace.load("gam-small"), baseline, 64, CPU, "torch")
    assert here != conditions_of(space, baseline, 96, CPU, "torch")
    assert here != conditions_of(SearchSpace.load("gam-neck"), baseline, 64, CPU, "torch")


def test_every_round_has_every_placement_once_and_one_bare_pass_per_group_with_two_rows_between_modules():
    space = SearchSpace.load("gam")
    groups = groups_of(space, CPU)
    met: list[Placement] = []
    for group in groups:
        assert min(np.diff(sorted(group.modules)), default=3) > 2
        passes = group.passes_of_round(random.Random(1))
        assert sum(not placed for placed in passes) == 1
        met += [placement for placed in passes for placement, _ in placed.values()]
    assert sorted(p.label for p in met) == sorted(p.label for choices in space.choices.values() for p in choices)


def test_increments_come_out_exactly_whatever_the_speed_of_each_pass():
    site, module = 4, nn.Identity()
    group = Group({site: [(gam(site, 4), module), (gam(site, 16), module)]}, rows=10)
    costs, order = {4: 3.0, 16: 1.0}, random.Random(0)
    for _ in range(9):
        for placed in group.passes_of_round(order):
            times = np.zeros((2, 11))
            times[0] = 1.0
            for placement, _module in placed.values():
                times[1, site] = costs[dict(placement.options)["rate"]]
                times[0, site + 1] += 0.5  # what the module does to the next row is part of its price
            group.record(placed, times * order.uniform(1, 5))
    found = group.increments()
    assert found[gam(site, 4)].share == pytest.approx(3.5 / 11)
    assert found[gam(site, 16)].share == pytest.approx(1.5 / 11)
    assert found[gam(site, 4)].error == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    "placements",
    [
        [gam(4, 4), gam(15, 4)],
        [gam(15, 4, semantics="branch", consumers=(22,)), gam(18, 4, semantics="branch", consumers=(22,))],
        [gam(15, 4, semantics="branch", consumers=(16,))],
    ],
)
def test_the_host_computes_what_the_grafted_model_computes(baseline, placements):
    candidate = build_candidate(Detector.load("yolov8n"), Architecture.of("yolov8n", placements), baseline, imgsz=64)
    for row in candidate.graft.placed.values():
        nn.init.constant_(candidate.model.model[row].norm2.bias, 3.0)  # no identity any more
    grafted, network = torch_backend(candidate.model, 64, CPU), torch_backend(baseline, 64, CPU)
    placed = {p.site: (p, grafted.rows[candidate.graft.placed[p.site]]) for p in placements}
    bare, wanted = head_inputs(network), head_inputs(grafted)
    seen: list[list[torch.Tensor]] = []
    with InstrumentedBaseline(network, Clock(CPU)) as host:
        watch = network.rows[-1].register_forward_pre_hook(
            lambda _, inputs: seen.append([x.clone() for x in inputs[0]])
        )
        times = host.time_with(placed)
        watch.remove()
    assert all(torch.equal(x, y) for x, y in zip(seen[0], wanted, strict=True))
    assert not all(torch.equal(x, y) for x, y in zip(seen[0], bare, strict=True))
    assert sorted(np.flatnonzero(times[1])) == [p.site for p in placements] and (times[0] > 0).all()


def head_inputs(network: Network) -> list[torch.Tensor]:
    """The maps that the head reads in one pass."""
    seen: list[list[torch.Tensor]] = []
    watch = network.rows[-1].register_forward_pre_hook(lambda _, inputs: seen.append([x.clone() for x in inputs[0]]))
    network.run()
    watch.remove()
    return seen[0]


def test_a_space_is_measured_whole_and_held_out_architectures_have_several_modules(space, baseline):
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
