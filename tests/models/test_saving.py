"""Weights on disk: they come back exactly, and a missing or foreign file is one sentence."""

from pathlib import Path

import pytest
import torch
from support.baselines import NAMES, YOLOV8N, architecture, gam, used_baseline
from torch import nn

from gamsearch.errors import RunError
from gamsearch.models.candidate import build_candidate
from gamsearch.models.identity import max_difference
from gamsearch.models.saving import read_weights, write_weights
from gamsearch.training.baseline import read_baseline, start_model, write_checkpoint


@pytest.fixture(scope="module")
def baseline() -> nn.Module:
    return used_baseline()


def test_a_value_beyond_half_precision_is_kept(baseline, tmp_path: Path):
    candidate = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)
    candidate.model.model[5].norm1.running_var.fill_(1e6)
    write_weights(candidate.model, tmp_path / "large.pt")
    other = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)
    read_weights(other.model, tmp_path / "large.pt")
    assert float(other.model.model[5].norm1.running_var[0]) == 1e6
    write_checkpoint(candidate.model, tmp_path / "large-checkpoint.pt", {})
    assert float(read_baseline(tmp_path / "large-checkpoint.pt").model[5].norm1.running_var[0]) == 1e6


def test_weights_round_trip_and_missing_or_foreign_files_are_rejected_in_one_sentence(baseline, tmp_path: Path):
    candidate = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)
    write_weights(candidate.model.half().float(), tmp_path / "a.pt")
    other = build_candidate(YOLOV8N, architecture(gam(4)), start_model(YOLOV8N, None, NAMES, 9), imgsz=64)
    read_weights(other.model, tmp_path / "a.pt")
    assert max_difference(other.model, candidate.model, torch.rand(1, 3, 64, 64)) == 0.0
    with pytest.raises(RunError, match="missing"):
        read_weights(other.model, tmp_path / "b.pt")
    (tmp_path / "b.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(RunError, match="does not hold"):
        read_weights(other.model, tmp_path / "b.pt")
