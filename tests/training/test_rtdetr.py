"""RT-DETR: a detector with a transformer head, built, trained, checkpointed and exported like the others."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from ultralytics.models.rtdetr.val import RTDETRDataset, RTDETRValidator

from gamsearch.architecture import Architecture, Placement
from gamsearch.evaluation import TrialBudget
from gamsearch.models.candidate import build_candidate, fresh_parameters
from gamsearch.models.checkpoint import open_checkpoint
from gamsearch.parser.build import build
from gamsearch.runs.exported_files import write_weights_files
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import start_model, train_baseline
from gamsearch.training.details import DetailedTrainer
from gamsearch.training.recipe import SHORT_TRAINING, arguments
from gamsearch.training.task_parts import trainer_for
from gamsearch.training.trainer import LeanTrainer

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


def test_images_read_for_another_detector_are_not_reused_for_rtdetr_which_stretches_them(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / "images" / split).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (64, 40), (90 * i, 90, 90)).save(tmp_path / "images" / split / f"{i}.png")
    data = tmp_path / "data.yaml"
    data.write_text(f"path: {tmp_path}\ntrain: images/train\nval: images/val\nnames: [a, b, c]\n")
    read = []
    for head in ([[[2, 4], 1, "Detect", ["nc"]]], TINY["head"]):
        model = build({**TINY, "head": head}, nc=3)
        budget = TrialBudget(1, imgsz=64, batch=2, seed=0)
        chosen = arguments({}, budget, data, torch.device("cpu"), tmp_path / "run", {"workers": 0})
        trainer = trainer_for(model, LeanTrainer)(model, chosen, lambda *_: None)
        read.append((trainer.build_dataset(trainer.data["val"], "val", 2), trainer._statistics()[0]))
    assert [isinstance(dataset, RTDETRDataset) for dataset, _ in read] == [False, True]
    padded, stretched = (images[0] for _, images in read)
    assert (padded[:, 0] == 114).all() and not (stretched[:, 0] == 114).any()
