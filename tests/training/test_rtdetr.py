"""RT-DETR: a detector with a transformer head, built, trained, checkpointed and exported like the others."""

from pathlib import Path

import pytest
import torch
from ultralytics.models.rtdetr.val import RTDETRValidator

from gamsearch.architecture import Architecture, Placement
from gamsearch.evaluation import TrialBudget
from gamsearch.models.candidate import build_candidate, fresh_parameters
from gamsearch.models.checkpoint import open_checkpoint
from gamsearch.runs.exported_files import write_weights_files
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import start_model, train_baseline
from gamsearch.training.details import DetailedTrainer
from gamsearch.training.recipe import SHORT_TRAINING, arguments
from gamsearch.training.rtdetr import trainer_for

TINY = {
    "nc": 3,
    "backbone": [
        [-1, 1, "Conv", [8, 3, 2]],
        [-1, 1, "Conv", [16, 3, 4]],
        [-1, 1, "C2f", [16, True]],
        [-1, 1, "Conv", [32, 3, 2]],
        [-1, 1, "C2f", [32, True]],
    ],
    "head": [[-1, 1, "AIFI", [64, 2]], [[2, 5], 1, "RTDETRDecoder", ["nc", 32, 20, 2, 2, 2, 64]]],
}
SE_AT_2_AND_5 = Architecture.of("tiny", [Placement(site, "SE", (("rate", 4),)) for site in (2, 5)])


@pytest.fixture(scope="module")
def baseline(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module:
    folder = tmp_path_factory.mktemp("rtdetr")
    start = start_model(Detector.from_yaml("tiny", TINY), None, {0: "a", 1: "b", 2: "c"}, seed=0)
    budget, cpu = TrialBudget(1, imgsz=64, batch=6, seed=0), torch.device("cpu")
    return open_checkpoint(
        train_baseline(start, budget, tiny_data, cpu, folder, from_scratch=True, user_arguments={"workers": 0})
    )


def test_a_candidate_is_trained_validated_and_exported(baseline, tiny_data: Path, tmp_path: Path) -> None:
    detector = Detector.from_yaml("tiny", TINY)
    assert (detector.strides, detector.stage_sites) == ((8, 16), (2, 4))
    candidate = build_candidate(detector, SE_AT_2_AND_5, baseline.requires_grad_(True), imgsz=64)
    assert candidate.audit.complete  # and its boxes equal the baseline's, or it would not have been built
    budget, epochs = TrialBudget(1, imgsz=64, batch=6, seed=0), []
    chosen = arguments(SHORT_TRAINING, budget, tiny_data, torch.device("cpu"), tmp_path, {"workers": 0})
    trainer = trainer_for(candidate.model, DetailedTrainer)(
        candidate.model, chosen, lambda epoch, results: epochs.append(results), fresh_parameters(candidate)
    )
    trainer.train()
    assert isinstance(trainer.validator, RTDETRValidator) and 0 <= epochs[0]["metrics/mAP50-95(B)"] <= 1
    assert set(trainer.details()["per_size"]) >= {"small", "medium", "large"}
    files = write_weights_files(tmp_path / "best", trainer.validated.eval(), SE_AT_2_AND_5, 64)
    assert [file.path.suffix for file in files] == [".pt", ".onnx", ".torchscript", ".py"]
