"""A candidate starts as the exact identity, or is rejected."""

import pytest
import torch
from support.baselines import YOLOV8N, architecture, gam, used_baseline
from torch import nn

from gamsearch.architecture import Placement
from gamsearch.errors import CandidateFailed
from gamsearch.models.candidate import build_candidate
from gamsearch.models.identity import max_difference


@pytest.fixture(scope="module")
def baseline() -> nn.Module:
    return used_baseline()


@pytest.mark.parametrize("sites", [(4,), (9, 15), (2, 4, 6, 8, 9, 12, 15, 18, 21)])
def test_a_candidate_starts_as_the_baseline_bit_for_bit(baseline, sites):
    candidate = build_candidate(YOLOV8N, architecture(*(gam(s, 4, groups=4) for s in sites)), baseline, imgsz=64)
    assert max_difference(candidate.model, baseline, torch.rand(2, 3, 96, 64)) == 0.0


def test_reference_initialisation_is_allowed_and_not_the_identity(baseline):
    placed = Placement(4, "GAM", (("rate", 4), ("init", "reference")))
    candidate = build_candidate(YOLOV8N, architecture(placed), baseline, imgsz=64)
    assert max_difference(candidate.model, baseline, torch.rand(1, 3, 64, 64)) > 0.0


def test_a_candidate_that_is_not_the_identity_is_rejected(baseline, monkeypatch):
    from gamsearch.attention import gam as module

    monkeypatch.setattr(module.GAM, "identity_", lambda self: self)
    with pytest.raises(CandidateFailed, match="identity"):
        build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)
