"""Increments: measured in a baseline that computes what the graft would build, each placement once per round."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.gam import GAM
from gamsearch.models.candidate import build_candidate
from gamsearch.models.identity import placed_modules
from gamsearch.models.latency.backends import Network, torch_backend
from gamsearch.models.latency.clock import Clock
from gamsearch.models.latency.increments import Group, InstrumentedBaseline, groups_of
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.baseline import start_model

CPU = torch.device("cpu")


def gam(site: int, rate: int, **form) -> Placement:
    return Placement(site, "GAM", (("rate", rate),), **form)


@pytest.fixture(scope="module")
def baseline() -> nn.Module:
    return start_model(Detector.load("yolov8n"), None, {0: "a"}, seed=0).eval()


def test_every_round_has_each_placement_once_and_one_bare_pass_per_group_with_two_rows_between_modules():
    space = SearchSpace.load("gam")
    groups = groups_of(space, CPU)
    met: list[Placement] = []
    for group in groups:
        assert min(np.diff(sorted(group.modules)), default=3) > 2
        passes = group.passes_of_round(random.Random(1))
        assert sum(not placed for placed in passes) == 1
        met += [placement for placed in passes for placement, _ in placed.values()]
    assert sorted(p.label for p in met) == sorted(p.label for choices in space.choices.values() for p in choices)


def test_increments_are_exact_whatever_the_speed_of_each_pass():
    site, module = 4, nn.Identity()
    group = Group({site: [(gam(site, 4), module), (gam(site, 16), module)]}, rows=10)
    costs, order = {4: 3.0, 16: 1.0}, random.Random(0)
    for _ in range(9):
        for placed in group.passes_of_round(order):
            times = np.zeros((2, 11))
            times[0] = 1.0
            for placement, _module in placed.values():
                times[1, site] = costs[dict(placement.options)["rate"]]
                times[0, site + 1] += 0.5  # the effect on the next row is part of the increment
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
        [gam(4, 4, semantics="inner"), gam(15, 4)],
    ],
)
def test_the_instrumented_baseline_computes_what_the_grafted_model_computes(baseline, placements):
    candidate = build_candidate(Detector.load("yolov8n"), Architecture.of("yolov8n", placements), baseline, imgsz=64)
    for module in candidate.attention.values():
        nn.init.constant_(module.norm2.bias, 3.0)  # not the identity
    grafted, network = torch_backend(candidate.model, 64, CPU), torch_backend(baseline, 64, CPU)
    found = placed_modules(SimpleNamespace(model=grafted.rows), candidate.graft.placed, candidate.architecture)
    placed = {p.site: (p, module) for p, module in found.items()}
    bare, wanted = head_inputs(network), head_inputs(grafted)
    seen: list[list[torch.Tensor]] = []
    with InstrumentedBaseline(network, Clock(CPU), [p.site for p in placements if p.semantics == "inner"]) as host:
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


def test_a_module_without_a_deployment_form_is_timed_as_it_is(monkeypatch):
    monkeypatch.delattr(GAM, "fuse")
    group = groups_of(SearchSpace.load("gam-small"), CPU)[0]
    assert not any(module.fused for options in group.modules.values() for _, module in options)
