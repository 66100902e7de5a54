"""The trained model of a trial, rebuilt from the record and the weights that were kept."""

from pathlib import Path

import pandas as pd

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, RunError
from gamsearch.models.candidate import build_candidate
from gamsearch.models.saving import read_weights
from gamsearch.parser.build import Model
from gamsearch.runs.prepare_training import BASELINE_FILE
from gamsearch.space.detector import Detector
from gamsearch.study.record import Record
from gamsearch.training.baseline import read_baseline


def trial_model(folder: Path, record: Record, row: pd.Series, weights: Path) -> tuple[Model, Architecture]:
    """Rebuild the model of a trial.

    Args:
        folder: The run's folder.
        record: The run's record.
        row: The trial's row of the table.
        weights: The state dict to load.

    Returns:
        The model with the validated weights, in eval mode, and its architecture.

    Raises:
        RunError: The baseline's or the trial's weights are missing, or the model cannot be built.
    """
    architecture = Architecture.from_dict(row["architecture"])
    detector = Detector.from_yaml(record.detector_name, record.detector_yaml)
    path = folder / BASELINE_FILE
    if not path.is_file():
        raise RunError(f"{path} is missing, so no model of this run can be rebuilt; run the search again")
    try:
        candidate = build_candidate(detector, architecture, read_baseline(path), imgsz=64)
    except CandidateFailed as failure:
        raise RunError(f"the model of trial {row['number']} cannot be rebuilt: {failure.detail}") from failure
    read_weights(candidate.model, weights)
    return candidate.model.eval(), architecture
