"""Export a trial: model YAML, weights, ONNX, TorchScript, and a module that works without gamsearch.

Every file is compared with the trial's own model, which is rebuilt from the record and the saved weights.
"""

import math
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml as pyyaml

from gamsearch.analysis import pareto
from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, OptionError, RunError, nearest, one_line
from gamsearch.metrics import METRICS
from gamsearch.models.build import Model, build
from gamsearch.models.candidate import build_candidate
from gamsearch.models.register import quiet_ultralytics
from gamsearch.models.saving import read_weights
from gamsearch.runs.exported_files import Exported, compare, write_weights_files
from gamsearch.runs.prepare_training import BASELINE_FILE
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft
from gamsearch.study import store
from gamsearch.study.record import Record
from gamsearch.study.table import read_record
from gamsearch.training.baseline import read_baseline


def export(folder: Path, pick: str = "knee", trial: int | None = None) -> list[str]:
    """Export one trial of a run.

    Args:
        folder: The run's folder; the files are written to its subfolder `export`.
        pick: `knee`, or the name of an objective, for the best trial of the Pareto front in it.
        trial: Number of the trial to export instead.

    Returns:
        One line for the trial and one for each file.

    Raises:
        OptionError: There is no such pick or trial.
        RunError: The weights are missing.
        ModelError: An exported file differs from the trial's model.
    """
    quiet_ultralytics()
    study = store.snapshot(folder)
    record = read_record(study, folder.name, str(folder))
    row = chosen(record, pick, trial)
    model, architecture = trial_model(folder, record, row)
    target = folder / "export"
    target.mkdir(parents=True, exist_ok=True)
    stem = target / ("best" if trial is None else f"trial-{trial}")
    imgsz = int(record.settings.get("imgsz", 640))
    files = [
        write_yaml(stem.with_suffix(".yaml"), record, row, architecture, model, pick if trial is None else ""),
        *write_weights_files(stem, model, architecture, imgsz),
    ]
    head = f"trial {int(row['number'])}: {row['label']} ({'pick ' + pick if trial is None else 'chosen by number'})"
    return [head, *(f.line for f in files)]


def chosen(record: Record, pick: str, trial: int | None) -> pd.Series:
    """Return the row of the trial to export.

    Args:
        record: The run's record.
        pick: `knee` or the name of an objective.
        trial: Number of the trial, instead of a pick.

    Returns:
        The trial's row of the table.

    Raises:
        OptionError: There is no such pick or trial, or the trial has no trained model.
        RunError: No trial is complete.
    """
    if trial is not None:
        rows = record.trials[record.trials["number"] == trial]
        if rows.empty:
            raise OptionError(f"there is no trial {trial}; the run has trials 0 to {len(record.trials) - 1}")
        row = rows.iloc[0]
        if row["state"] != "complete":
            raise OptionError(f"trial {trial} is {row['state']} and has no trained model; choose a complete trial")
        return row
    front, names = record.front, [m.name for m in record.objectives]
    if front.empty:
        raise RunError(f"{record.name} has no complete trial yet, so there is nothing to export; run it first")
    if pick == "knee":
        return front.iloc[pareto.knee(front[names].to_numpy(float), record.objectives)]
    if pick not in names:
        offered = ", ".join(["knee", *names])
        raise OptionError(f"--pick '{pick}' is not an objective of this run{nearest(pick, names)}; it takes {offered}")
    metric = METRICS[pick]
    return front.sort_values(pick, ascending=not metric.maximise, kind="stable").iloc[0]


def trial_model(folder: Path, record: Record, row: pd.Series) -> tuple[Model, Architecture]:
    """Rebuild the model of a trial.

    Args:
        folder: The run's folder.
        record: The run's record.
        row: The trial's row of the table.

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
    read_weights(candidate.model, folder / "weights" / f"{architecture.key}-seed{int(row['seed'])}.pt")
    return candidate.model.eval(), architecture


def write_yaml(
    path: Path, record: Record, row: pd.Series, architecture: Architecture, model: Model, pick: str
) -> Exported:
    """Write the model YAML for one scale, with its origin and its measurements as comments.

    Args:
        path: The file to write.
        record: The run's record.
        row: The trial's row of the table.
        architecture: The trial's architecture.
        model: The trial's model, with which the file is compared.
        pick: The pick to name in the comments; empty if the trial was chosen by number.

    Returns:
        The written file.

    Raises:
        ModelError: The model built from the file differs from the trial's.
    """
    detector = Detector.from_yaml(record.detector_name, record.detector_yaml)
    form = graft(detector, architecture).yaml
    form["nc"] = model.model[-1].nc
    if form.get("scales"):
        form["scales"] = {detector.scale: form["scales"][detector.scale]}
    comments = "".join(f"# {line}\n" for line in _comments(record, row, detector, pick))
    text = comments + _dump(form)
    built: Model = build(pyyaml.safe_load(text), nc=form["nc"])  # checked before there is a file to open
    path.write_text(text, encoding="utf-8")
    if _shapes(built) != _shapes(model):
        return Exported(path, None, "builds; the class branch of the weights is wider than this YAML gives")
    built.load_state_dict(model.state_dict())
    return Exported(path, compare(model, built.eval(), (64,), path), "rebuilt with the same weights")


def _comments(record: Record, row: pd.Series, detector: Detector, pick: str) -> list[str]:
    figures = [f"{m.name} {row[m.name]:.4f}" for m in METRICS.values() if not math.isnan(row.get(m.name, math.nan))]
    settings = record.settings
    versions = ", ".join(f"{k} {v}" for k, v in settings.get("versions", {}).items())
    lines = [
        f"{row['label']} in {detector.name} (scale {detector.scale}), found by gamsearch.",
        f"Run {record.name}, trial {int(row['number'])}{f', pick {pick}' if pick else ''}.",
        f"Measured after {record.baseline_stage.get('epochs', settings.get('baseline_epochs'))} + {int(row['epochs'])} "
        f"epochs, {settings.get('imgsz')} px: " + f"{', '.join(figures)}.",
        f"Difference to the baseline with the same epochs and seed: map50_95 {row['map50_95_gain']:+.4f}.",
        record.verdict(),
        f"Data: {settings.get('data_summary', '')} (fingerprint {settings.get('data_fingerprint', '')}).",
        f"Hardware: {settings.get('hardware', '')}. Versions: {versions}.",
        'Use: import gamsearch; from ultralytics import YOLO; YOLO("best.yaml")  (or import gam_standalone).',
    ]
    return [part for line in lines for part in textwrap.wrap(one_line(line), 116)]


def _dump(form: dict[str, Any]) -> str:
    """Return a model YAML with one row per line, as Ultralytics writes them."""
    rest = {k: v for k, v in form.items() if k not in ("backbone", "head")}
    text = pyyaml.safe_dump(rest, sort_keys=False)
    for part in ("backbone", "head"):
        text += f"\n{part}:\n"
        for row in form[part]:
            text += "  - " + pyyaml.safe_dump(row, default_flow_style=True, width=10_000).strip() + "\n"
    return text


def _shapes(model: Model) -> dict[str, torch.Size]:
    return {n: t.shape for n, t in model.state_dict().items()}
