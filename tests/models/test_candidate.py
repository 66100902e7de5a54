"""Candidates: how they are built, their cost, and what is rejected."""

from pathlib import Path

import pytest
import torch
from support.baselines import NAMES, YOLOV8N, architecture, gam, used_baseline
from torch import nn

from gamsearch.architecture import Placement
from gamsearch.attention.gam import GAM
from gamsearch.errors import CandidateFailed
from gamsearch.models.candidate import build_candidate
from gamsearch.models.identity import max_difference
from gamsearch.parser.build import build
from gamsearch.training.baseline import read_baseline, start_model, write_checkpoint


@pytest.fixture(scope="module")
def baseline() -> nn.Module:
    return used_baseline()


def test_a_candidate_whose_forward_pass_fails_is_rejected(baseline, monkeypatch):
    def forward(self, x):
        raise ValueError("too small a map")

    monkeypatch.setattr(GAM, "forward", forward)
    with pytest.raises(CandidateFailed, match="GAM@4 r4 cannot be run: too small a map") as failed:
        build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)
    assert failed.value.reason == "build"
    monkeypatch.undo()
    build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)


def test_the_same_seed_gives_the_same_fresh_layers_and_does_not_change_the_random_state(baseline):
    before = torch.random.get_rng_state()
    one = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64, seed=3).model.model[5].conv1.weight
    two = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64, seed=3).model.model[5].conv1.weight
    other = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64, seed=4).model.model[5].conv1.weight
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_costs_equal_their_closed_forms(baseline):
    stock = build_candidate(YOLOV8N, architecture(), baseline, imgsz=640)
    candidate = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=640)
    assert candidate.params_m() - stock.params_m() == pytest.approx(0.10272, abs=1e-6)  # 25 C^2 + 5 C at C = 64
    assert candidate.gflops() - stock.gflops() == pytest.approx(1.311, abs=2e-3)  # 2 x 100 C^2 / 4 x 80 x 80


def test_an_attention_module_that_cannot_be_built_fails_the_candidate_with_its_reason(baseline):
    broken = Placement(4, "GAM", (("rate", 4), ("init", "identity"), ("channel_gate", "sigmoid")))
    assert build_candidate(YOLOV8N, architecture(broken), baseline, imgsz=64).audit.complete
    yaml = {**YOLOV8N.yaml, "backbone": [[-1, 1, "Conv", [64, 3, 2]], [-1, 1, "NoSuchModule", []]]}
    with pytest.raises(Exception, match="NoSuchModule"):
        build(yaml, nc=3)


def test_the_baseline_checkpoint_round_trips(baseline, tmp_path: Path):
    write_checkpoint(baseline, tmp_path / "baseline.pt", {"imgsz": 64})
    again = read_baseline(tmp_path / "baseline.pt")
    image = torch.rand(1, 3, 64, 64)
    assert max_difference(again, baseline, image) < 0.1  # fp16 weights
    write_checkpoint(again, tmp_path / "again.pt", {"imgsz": 64})
    assert max_difference(read_baseline(tmp_path / "again.pt"), again, image) == 0.0
    assert again.names == NAMES


def test_a_baseline_trained_in_channels_last_still_gives_exact_identities(baseline, tmp_path: Path):
    nhwc = start_model(YOLOV8N, None, NAMES, seed=2).to(
        memory_format=torch.channels_last
    )  # the format after CUDA training
    write_checkpoint(nhwc, tmp_path / "nhwc.pt", {})
    again = read_baseline(tmp_path / "nhwc.pt")
    assert all(t.is_contiguous() for t in again.state_dict().values())
    assert build_candidate(YOLOV8N, architecture(gam(4)), again, imgsz=64).audit.complete
