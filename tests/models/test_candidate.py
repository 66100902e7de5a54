"""Candidates: what they inherit, that they start as the baseline, and what is refused."""

from pathlib import Path

import pytest
import torch

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.gam import GAM
from gamsearch.errors import CandidateFailed, RunError
from gamsearch.models.build import build
from gamsearch.models.candidate import build_candidate
from gamsearch.models.identity import max_difference
from gamsearch.models.inherit import audit_against
from gamsearch.models.saving import read_weights, write_weights
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import read_baseline, start_model, write_checkpoint

NAMES = {0: "ring", 1: "bolt", 2: "nut"}
YOLOV8N = Detector.load("yolov8n")


def gam(site: int, rate: int = 4, **options: int) -> Placement:
    return Placement(site, "GAM", (("rate", rate), *options.items()))


def architecture(*placements: Placement) -> Architecture:
    return Architecture.of("yolov8n", placements)


@pytest.fixture(scope="module")
def baseline() -> torch.nn.Module:
    """A yolov8n whose batch norms are not those of a new model, as after a training."""
    model = start_model(YOLOV8N, None, NAMES, seed=1)
    generator = torch.Generator().manual_seed(0)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1, generator=generator)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=generator)
    return model


@pytest.mark.parametrize("sites", [(), (2,), (9,), (21,), (2, 4, 6, 8, 9, 12, 15, 18, 21)])
def test_every_one_of_the_355_tensors_is_inherited_wherever_gam_is_placed(baseline, sites):
    audit = build_candidate(YOLOV8N, architecture(*map(gam, sites)), baseline, imgsz=64).audit
    assert (audit.tensors_inherited, audit.tensors_expected, audit.misplaced) == (355, 355, 0)
    assert audit.elements_inherited == sum(t.numel() for t in baseline.state_dict().values())
    assert audit.tensors_fresh == 18 * len(sites)


def test_the_audit_counts_a_tensor_that_stands_in_the_wrong_place(baseline):
    candidate = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)
    with torch.no_grad():
        candidate.model.model[0].conv.weight.mul_(1.001)
    audit = audit_against(candidate.model, baseline, candidate.graft.row_map)
    assert (audit.tensors_inherited, audit.misplaced, audit.complete) == (354, 1, False)


def test_the_stock_loader_would_have_lost_most_of_it(baseline):
    grafted = build_candidate(YOLOV8N, architecture(gam(2)), baseline, imgsz=64)
    stock = build(grafted.graft.yaml, nc=3)
    stock.load(baseline, verbose=False)
    audit = audit_against(stock, baseline, grafted.graft.row_map)
    assert audit.elements_inherited < 0.02 * audit.elements_expected  # 28 to 99.6 % are lost, most at row 2


@pytest.mark.parametrize("sites", [(4,), (9, 15), (2, 4, 6, 8, 9, 12, 15, 18, 21)])
def test_a_candidate_starts_as_the_baseline_bit_for_bit(baseline, sites):
    candidate = build_candidate(YOLOV8N, architecture(*(gam(s, 4, groups=4) for s in sites)), baseline, imgsz=64)
    assert max_difference(candidate.model, baseline, torch.rand(2, 3, 96, 64)) == 0.0


def test_a_candidate_that_no_image_gets_through_cannot_be_built(baseline, monkeypatch):
    def forward(self, x):
        raise ValueError("too small a map")

    monkeypatch.setattr(GAM, "forward", forward)
    with pytest.raises(CandidateFailed, match="GAM@4 r4 cannot be run: too small a map") as failed:
        build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)
    assert failed.value.reason == "build"
    monkeypatch.undo()
    build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)


def test_reference_initialisation_is_allowed_and_not_the_identity(baseline):
    placed = Placement(4, "GAM", (("rate", 4), ("init", "reference")))
    candidate = build_candidate(YOLOV8N, architecture(placed), baseline, imgsz=64)
    assert max_difference(candidate.model, baseline, torch.rand(1, 3, 64, 64)) > 0.0


def test_the_same_seed_draws_the_same_fresh_layers_and_leaves_the_random_state_alone(baseline):
    before = torch.random.get_rng_state()
    one = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64, seed=3).model.model[5].conv1.weight
    two = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64, seed=3).model.model[5].conv1.weight
    other = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64, seed=4).model.model[5].conv1.weight
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_checkpoint_of_another_class_count_is_inherited_alike_by_baseline_and_candidates():
    donor = start_model(YOLOV8N, None, {i: f"class {i}" for i in range(80)}, seed=5)
    baseline = start_model(YOLOV8N, donor, NAMES, seed=0)
    candidate = build_candidate(YOLOV8N, architecture(gam(6)), baseline, imgsz=64)
    assert candidate.audit.tensors_inherited == candidate.audit.tensors_expected
    assert candidate.params_m() - sum(p.numel() for p in baseline.parameters()) / 1e6 == pytest.approx(0.41024)
    assert max_difference(candidate.model, baseline, torch.rand(1, 3, 64, 64)) == 0.0


def test_costs_are_those_of_the_closed_forms(baseline):
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


def test_a_candidate_that_is_not_the_identity_is_refused(baseline, monkeypatch):
    from gamsearch.attention import gam as module

    monkeypatch.setattr(module.GAM, "identity_", lambda self: self)
    with pytest.raises(CandidateFailed, match="identity"):
        build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)


def test_the_baseline_checkpoint_round_trips(baseline, tmp_path: Path):
    write_checkpoint(baseline, tmp_path / "baseline.pt", {"imgsz": 64})
    again = read_baseline(tmp_path / "baseline.pt")
    image = torch.rand(1, 3, 64, 64)
    assert max_difference(again, baseline, image) < 0.1  # fp16 weights
    write_checkpoint(again, tmp_path / "again.pt", {"imgsz": 64})
    assert max_difference(read_baseline(tmp_path / "again.pt"), again, image) == 0.0
    assert again.names == NAMES


def test_a_baseline_trained_in_channels_last_still_gives_exact_identities(baseline, tmp_path: Path):
    nhwc = start_model(YOLOV8N, None, NAMES, seed=2).to(memory_format=torch.channels_last)  # what CUDA training leaves
    write_checkpoint(nhwc, tmp_path / "nhwc.pt", {})
    again = read_baseline(tmp_path / "nhwc.pt")
    assert all(t.is_contiguous() for t in again.state_dict().values())
    assert build_candidate(YOLOV8N, architecture(gam(4)), again, imgsz=64).audit.complete


def test_a_value_that_half_precision_cannot_hold_is_kept(baseline, tmp_path: Path):
    candidate = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)
    candidate.model.model[5].norm1.running_var.fill_(1e6)
    write_weights(candidate.model, tmp_path / "large.pt")
    other = build_candidate(YOLOV8N, architecture(gam(4)), baseline, imgsz=64)
    read_weights(other.model, tmp_path / "large.pt")
    assert float(other.model.model[5].norm1.running_var[0]) == 1e6
    write_checkpoint(candidate.model, tmp_path / "large-checkpoint.pt", {})
    assert float(read_baseline(tmp_path / "large-checkpoint.pt").model[5].norm1.running_var[0]) == 1e6


def test_weights_round_trip_and_missing_or_foreign_ones_are_one_sentence(baseline, tmp_path: Path):
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
