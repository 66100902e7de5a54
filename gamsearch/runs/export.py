"""Export a trial: model YAML, weights, ONNX, TorchScript, and a module that works without gamsearch.

Every file is compared with the trial's own model, which is rebuilt from the record and its saved weights.
"""

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml as pyyaml

from gamsearch.analysis import pareto
from gamsearch.architecture import Architecture
from gamsearch.attention.standalone import standalone_source
from gamsearch.errors import CandidateFailed, ModelError, OptionError, RunError, nearest, one_line
from gamsearch.metrics import METRICS
from gamsearch.models.build import Model, build
from gamsearch.models.candidate import build_candidate
from gamsearch.models.checkpoint import load_checkpoint
from gamsearch.models.identity import predictions
from gamsearch.models.register import quiet_ultralytics
from gamsearch.models.saving import read_weights
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft
from gamsearch.study import store
from gamsearch.study.record import Record
from gamsearch.study.table import read_record
from gamsearch.training.baseline import read_baseline, write_checkpoint

TOLERANCE = 1e-3
"""Largest accepted difference between the trial's predictions and an exported file's, relative to the largest one."""


@dataclass(frozen=True)
class Exported:
    """One exported file.

    Attributes:
        path: The file.
        difference: Largest difference to the trial's model, relative to its largest prediction; None if not run.
        how: How the file was checked.
    """

    path: Path
    difference: float | None
    how: str

    @property
    def line(self) -> str:
        if self.difference is None:
            return f"wrote {self.path}  ({self.how})"
        return f"wrote {self.path}  ({self.how}: largest relative difference {self.difference:.2g})"


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
    record = read_record(study, folder.name)
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
    path = folder / "baseline" / "baseline.pt"
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
    built: Model = build(pyyaml.safe_load(text), nc=form["nc"])  # before there is a file that others may open
    path.write_text(text, encoding="utf-8")
    if _shapes(built) != _shapes(model):
        return Exported(path, None, "builds; the class branch of the weights is wider than this YAML gives")
    built.load_state_dict(model.state_dict())
    return Exported(path, _compare(model, built.eval(), (64,), path), "rebuilt with the same weights")


def _comments(record: Record, row: pd.Series, detector: Detector, pick: str) -> list[str]:
    figures = [f"{m.name} {row[m.name]:.4f}" for m in METRICS.values() if not math.isnan(row.get(m.name, math.nan))]
    settings = record.settings
    versions = ", ".join(f"{k} {v}" for k, v in settings.get("versions", {}).items())
    lines = [
        f"{row['label']} in {detector.name} (scale {detector.scale}), found by gamsearch.",
        f"Run {record.name}, trial {int(row['number'])}{f', pick {pick}' if pick else ''}.",
        f"Measured after {settings.get('baseline_epochs')} + {int(row['epochs'])} epochs, {settings.get('imgsz')} px: "
        + f"{', '.join(figures)}.",
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


def write_weights_files(stem: Path, model: Model, architecture: Architecture, imgsz: int) -> list[Exported]:
    """Write checkpoint, ONNX, TorchScript and stand-alone modules; run the first three and compare them with `model`.

    Args:
        stem: Path of the files without extension.
        model: The trial's model.
        architecture: The trial's architecture.
        imgsz: Image size in px.

    Returns:
        The written files.

    Raises:
        ModelError: A file differs from the trial's model.
    """
    checkpoint = stem.with_suffix(".pt")
    write_checkpoint(model, checkpoint, {"imgsz": imgsz})
    reloaded = load_checkpoint(checkpoint)
    files = [Exported(checkpoint, _compare(model, reloaded, (imgsz,), checkpoint), "reloaded")]
    files.append(_onnx(checkpoint, model, imgsz))
    files.append(_torchscript(stem.with_suffix(".torchscript"), model, imgsz))
    files += [_standalone(stem.parent, name) for name in sorted({p.module for p in architecture.placements})]
    return files


def _onnx(checkpoint: Path, model: Model, imgsz: int) -> Exported:
    """Export ONNX with Ultralytics, which adds the class names that `YOLO` reads; compare it at two image sizes."""
    import onnxruntime
    from ultralytics import YOLO

    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the tracer's remarks on constant folding
        written = YOLO(str(checkpoint)).export(format="onnx", imgsz=imgsz, dynamic=True, simplify=False, device="cpu")
    path, options = Path(written), onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(image: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: image.numpy()})[0])

    sides = (imgsz, imgsz + int(max(model.stride)))
    return Exported(path, _compare(model, run, sides, path), f"run at {sides[0]} and {sides[1]} px")


def _torchscript(path: Path, model: Model, imgsz: int) -> Exported:
    """Trace the model into a file that needs torch, but neither gamsearch nor Ultralytics."""
    traceable = deepcopy(model).eval()
    traceable.model[-1].export, traceable.model[-1].format = True, "torchscript"
    for parameter in traceable.parameters():
        parameter.requires_grad_(False)
    image = _image(imgsz)
    traceable(image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and still what needs no package but torch
        torch.jit.trace(traceable, image, strict=False, check_trace=False).save(str(path))
        difference = _compare(model, torch.jit.load(str(path)), (imgsz,), path)
    return Exported(path, difference, "traced, needs neither gamsearch nor Ultralytics")


def _standalone(folder: Path, name: str) -> Exported:
    """Write the module's source as one file that registers it, for use without gamsearch."""
    path = folder / f"{name.lower()}_standalone.py"
    path.write_text(standalone_source(name), encoding="utf-8")
    return Exported(path, None, "import it instead of gamsearch to use or train the .pt and the YAML")


def _image(side: int) -> torch.Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def _compare(model: Model, other: Callable[[torch.Tensor], Any], sides: Sequence[int], path: Path) -> float:
    """Return the largest difference of the predictions on random images, relative to the largest prediction."""
    worst = 0.0
    for side in sides:
        with torch.no_grad():
            ours, theirs = predictions(model(_image(side))), predictions(other(_image(side)))
        worst = max(worst, float((ours - theirs).abs().max() / ours.abs().max()))
    if not worst <= TOLERANCE:
        raise ModelError(f"{path} differs from the trial's model by {worst:.3g} (relative): do not use it, report this")
    return worst


def _shapes(model: Model) -> dict[str, torch.Size]:
    return {n: t.shape for n, t in model.state_dict().items()}
