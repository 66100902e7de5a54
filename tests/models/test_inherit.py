"""What a candidate inherits from the baseline, and that the audit counts it."""

import pytest
import torch
from support.baselines import NAMES, YOLOV8N, architecture, gam, used_baseline
from torch import nn

from gamsearch.models.candidate import build_candidate
from gamsearch.models.identity import max_difference
from gamsearch.models.inherit import audit_against
from gamsearch.parser.build import build
from gamsearch.training.baseline import start_model


@pytest.fixture(scope="module")
def baseline() -> nn.Module:
    return used_baseline()


@pytest.mark.parametrize("sites", [(), (2,), (9,), (21,), (2, 4, 6, 8, 9, 12, 15, 18, 21)])
def test_every_one_of_the_355_tensors_is_inherited_wherever_gam_is_placed(baseline, sites):
    audit = build_candidate(YOLOV8N, architecture(*map(gam, sites)), baseline, imgsz=64).audit
    assert (audit.tensors_inherited, audit.tensors_expected, audit.misplaced) == (355, 355, 0)
    assert audit.elements_inherited == sum(t.numel() for t in baseline.state_dict().values())
    assert audit.tensors_fresh == 18 * len(sites)


def test_the_audit_counts_a_misplaced_tensor(baseline):
    candidate = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)
    with torch.no_grad():
        candidate.model.model[0].conv.weight.mul_(1.001)
    audit = audit_against(candidate.model, baseline, candidate.graft.row_map)
    assert (audit.tensors_inherited, audit.misplaced, audit.complete) == (354, 1, False)


def test_the_stock_loader_would_lose_most_elements(baseline):
    grafted = build_candidate(YOLOV8N, architecture(gam(2)), baseline, imgsz=64)
    stock = build(grafted.graft.yaml, nc=3)
    stock.load(baseline, verbose=False)
    audit = audit_against(stock, baseline, grafted.graft.row_map)
    assert audit.elements_inherited < 0.02 * audit.elements_expected  # 28 to 99.6 % are lost, most at row 2


def test_baseline_and_candidates_inherit_a_checkpoint_of_another_class_count_alike():
    donor = start_model(YOLOV8N, None, {i: f"class {i}" for i in range(80)}, seed=5)
    baseline = start_model(YOLOV8N, donor, NAMES, seed=0)
    candidate = build_candidate(YOLOV8N, architecture(gam(6)), baseline, imgsz=64)
    assert candidate.audit.tensors_inherited == candidate.audit.tensors_expected
    assert candidate.params_m() - sum(p.numel() for p in baseline.parameters()) / 1e6 == pytest.approx(0.41024)
    assert max_difference(candidate.model, baseline, torch.rand(1, 3, 64, 64)) == 0.0
