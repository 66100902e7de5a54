"""Evaluators for tests that train: options in one flat list, sorted into the values that the constructor takes."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from gamsearch.space.detector import Detector
from gamsearch.training.evaluator import TrainingEvaluator
from gamsearch.training.setup import CostSettings, Folders, Recipe


def training_evaluator(
    detector: Detector, baseline: Any, data: Path, device: torch.device, scratch: Path, **options: Any
) -> TrainingEvaluator:
    """A `TrainingEvaluator`; `options` are fields of `Folders`, `Recipe` and `CostSettings`."""
    taken = {
        value: {f.name: options.pop(f.name) for f in fields(value) if f.name in options}
        for value in (Folders, Recipe, CostSettings)
    }
    assert not options, f"no such options: {options}"
    folders = Folders(scratch, **taken[Folders])
    return TrainingEvaluator(
        detector, baseline, data, device, folders, Recipe(**taken[Recipe]), CostSettings(**taken[CostSettings])
    )
