"""Pictures of cards that a detector finds after a few steps, and a baseline that was trained on them."""

from pathlib import Path
from typing import Any

import pytest

from gamsearch.evaluation import TrialBudget
from gamsearch.runs import demo, demonstration
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import read_baseline, start_model, train_baseline
from gamsearch.training.dataset import DataSet
from support.devices import DEVICE


def make_cards(folder: Path) -> Path:
    """The data YAML of coloured cards that are large enough to be found: an mAP of zero would equal any other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "CARD", 20)
        return demo.make(folder / "cards", train=48, val=16, imgsz=64, half=demo.CONTROL)


def baseline_on(data: Path, folder: Path, epochs: int) -> Any:
    """A yolov8n that was trained on the cards."""
    path = train_baseline(
        start_model(Detector.load("yolov8n"), None, DataSet.read(data).names, seed=0),
        TrialBudget(epochs=epochs, imgsz=64, batch=8),
        data,
        DEVICE,
        folder,
        from_scratch=True,
        user_arguments=demonstration.TRAINING,
    )
    return read_baseline(path)
