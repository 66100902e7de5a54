"""Every architecture in a shared network is the one that would be built on its own."""

from dataclasses import replace

import pytest
import torch
from support.attention import max_difference

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, SpaceError
from gamsearch.models.candidate import build_candidate
from gamsearch.models.identity import predictions
from gamsearch.runs.prepared import space_of
from gamsearch.runs.settings import Settings
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.supernet.network import build_shared
from gamsearch.supernet.switch import activate, switches
from gamsearch.training.baseline import start_model

IMAGE = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def outputs(model):
    with torch.no_grad():
        (found,) = predictions(model.eval()(IMAGE))
    return found


def test_every_architecture_of_the_space_starts_as_the_exact_identity(space, fork):
    network, expected = build_shared(space, fork, 64), outputs(fork)
    for architecture in space.enumerate():
        activate(network.model, architecture)
        assert max_difference(outputs(network.model), expected) == 0.0


def test_with_changed_weights_an_architecture_computes_what_it_would_on_its_own(space, fork):
    network = build_shared(space, fork, 64)
    with torch.no_grad():
        for switch in switches(network.model):
            for parameter in switch.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    base = outputs(fork)
    for architecture in [a for a in space.enumerate() if len(a.placements) == 2][::2]:
        activate(network.model, architecture)
        alone = build_candidate(space.detector, architecture, fork, 64)
        with torch.no_grad():
            for switch in switches(network.model):
                own = next(m for p, m in alone.attention.items() if p.site == switch.site)
                owner = switch.options[switch.owner[switch.active]]
                for (_, small), (_, large) in zip(own.named_parameters(), owner.named_parameters(), strict=True):
                    small.copy_(large[tuple(slice(n) for n in small.shape)])
        assert max_difference(outputs(network.model), outputs(alone.model)) == 0.0
        assert max_difference(outputs(network.model), base) > 0.0


def test_the_attention_of_all_placements_is_fresh_and_has_the_factor_of_its_module(space, fork):
    network = build_shared(space, fork, 64)
    assert sorted(set(network.fresh().values())) == [3.0, 10.0] and set(network.fresh(5.0).values()) == {5.0}
    stock = sum(p.numel() for p in fork.parameters())
    fresh = network.fresh()
    assert sum(p.numel() for p in network.model.parameters() if id(p) not in fresh) == stock


@pytest.mark.parametrize("name", ["yolo11n", "yolo12n", "yolo26n", "yolov8n-rtdetr"])
def test_other_detectors_have_shared_networks_too(name):
    space = SearchSpace.load("seed", Detector.load(name))
    baseline = start_model(space.detector, None, {0: "a", 1: "b"}, seed=0)
    network, expected = build_shared(space, baseline, 64), outputs(baseline)
    full = max(space.anchors(), key=lambda one: len(one.placements))
    activate(network.model, full)
    assert len(full.placements) > 1 and max_difference(outputs(network.model), expected) == 0.0


def test_branches_are_kept_apart(tmp_path):
    file = tmp_path / "branch.yaml"
    file.write_text("detector: yolov8n.yaml\nsites: [15, 18]\nsemantics: branch\nattention: {GAM: {rate: [4, 16]}}\n")
    space = SearchSpace.load(file)
    baseline = start_model(space.detector, None, {0: "a"}, seed=0)
    network = build_shared(space, baseline, 64)
    assert {p.semantics for switch in switches(network.model) for p in switch.placements} == {"branch"}
    activate(network.model, next(a for a in space.enumerate() if len(a.placements) == 2))
    assert max_difference(outputs(network.model), outputs(baseline)) == 0.0


def test_a_network_holds_attention_inside_and_after_the_same_block(tmp_path, fork):
    file = tmp_path / "mixed.yaml"
    placed = "sites: [4, 9]\nsemantics: [inner, inline]\nattention: {GAM: {rate: [4, 8]}, SimAM: {}}\n"
    file.write_text(f"detector: yolov8n.yaml\n{placed}")
    space = SearchSpace.load(file)
    network, expected = build_shared(space, fork, 64), outputs(fork)
    assert [len(switch.placements) for switch in switches(network.model)] == [3, 3, 3]  # inside 4, after 4, after 9
    inside, after = (next(p for p in space.choices[4] if p.semantics == s) for s in ("inner", "inline"))
    found = []
    for placement in (inside, after, None):
        activate(network.model, Architecture.of("yolov8n", [placement] if placement else []))
        assert max_difference(outputs(network.model), expected) == 0.0
        found.append([switch.active is not None for switch in switches(network.model)])
    assert found == [[True, False, False], [False, True, False], [False, False, False]]
    fresh = {p for switch in switches(network.model) for _, m in switch.trained() for p in map(id, m.parameters())}
    assert network.fresh().keys() == fresh
    alone = build_candidate(space.detector, Architecture.of("yolov8n", [inside]), fork, 64)
    switch = switches(network.model)[0]
    with torch.no_grad():
        for shared, own in zip(
            switch.options[switch.owner[switch.placements.index(inside)]].parameters(),
            alone.attention[inside].parameters(),
            strict=True,
        ):
            shared += 0.1
            own.copy_(shared[tuple(slice(n) for n in own.shape)])
    activate(network.model, alone.architecture)
    assert max_difference(outputs(network.model), outputs(alone.model)) == 0.0
    assert max_difference(outputs(network.model), expected) > 0.0


def test_a_space_that_no_network_can_hold_is_refused_before_anything_is_trained(tmp_path):
    file = tmp_path / "both.yaml"
    file.write_text("detector: yolov8n\nsites: 15\nsemantics: [inline, branch]\nattention: {SE: {}}\n")
    space = SearchSpace.load(file)
    assert [p.label for p in space.choices[15]] == ["SE@15 r16", "SE@15 r16 branch→22"]
    settings = Settings(data="d.yaml", model="yolov8n.yaml", space=str(file), screen="supernet")
    with pytest.raises(SpaceError, match="'both' has semantics inline and branch, .*: leave one of the two out"):
        space_of(settings, space.detector)
    assert space_of(replace(settings, screen="off"), space.detector).size == 3


def test_a_module_that_cannot_share_its_weights_is_refused_in_one_sentence(space, monkeypatch):
    """E.g. a plug-in that is marked as nested and is not."""
    monkeypatch.setattr("gamsearch.supernet.switch._fits", lambda small, large: False)
    with pytest.raises(CandidateFailed, match="GAM.* does not fit into GAM"):
        build_shared(space, start_model(space.detector, None, {0: "a"}, seed=0), 64)
