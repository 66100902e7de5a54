"""Write a trained model as checkpoint, in other formats and as attention modules; compare each with the model."""

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from gamsearch.architecture import Architecture
from gamsearch.attention.standalone import standalone_source
from gamsearch.errors import ModelError
from gamsearch.models.checkpoint import load_checkpoint
from gamsearch.models.identity import predictions
from gamsearch.parser.build import Model, is_rtdetr
from gamsearch.runs.compared_image import clearest_image, random_image
from gamsearch.runs.conversion import convert, opened
from gamsearch.runs.export_formats import FP32, INT8, USUAL, Format, formats_named
from gamsearch.tasks import task_of
from gamsearch.training.baseline import write_checkpoint
from gamsearch.training.calibration import calibration_images
from gamsearch.training.dataset import DataSet
from gamsearch.training.deployed import accuracy, framed

TOLERANCE = 1e-3
"""Largest accepted difference between the trial's predictions and an exported file's, relative to the largest one."""


@dataclass(frozen=True)
class Exported:
    """One exported file.

    Attributes:
        path: The file.
        difference: Largest difference to the trial's model, relative to its largest prediction; None if not run.
        how: How the file was checked.
        metrics: What its validation measured, by metric; empty if it was not validated.
        measured: The same in words.
    """

    path: Path
    difference: float | None
    how: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    measured: str = ""

    @property
    def line(self) -> str:
        difference = "" if self.difference is None else f": largest relative difference {self.difference:.2g}"
        return f"wrote {self.path}  ({self.how}{difference}){self.measured}"


def write_weights_files(
    stem: Path,
    model: Model,
    architecture: Architecture,
    imgsz: int,
    formats: Sequence[Format] | None = None,
    data: DataSet | None = None,
    validate: bool = False,
) -> list[Exported]:
    """Write checkpoint, other formats and attention modules; run all that can run here and compare them with `model`.

    Args:
        stem: Path of the files without extension, in a folder that the exporters may write to.
        model: The trial's model.
        architecture: The trial's architecture.
        imgsz: Image size in px.
        formats: The formats besides the checkpoint; `USUAL` if left out.
        data: The data set, which int8 and a validation need.
        validate: Whether to validate every file on the validation images.

    Returns:
        The written files.

    Raises:
        ModelError: A file differs from the trial's model, or a format cannot hold it.
    """
    checkpoint = stem.with_suffix(".pt")
    write_checkpoint(model, checkpoint, {"imgsz": imgsz})
    reloaded = load_checkpoint(checkpoint)
    judge = Judge(model, data, imgsz) if data and validate else None
    first = Exported(checkpoint, compare(model, reloaded, (imgsz,), checkpoint), "reloaded")
    files = [judge.checkpoint(first) if judge else first]
    forms = formats_named(USUAL) if formats is None else formats
    int8 = any(form.precision == INT8 for form in forms)
    images = calibration_images(model, data, (imgsz, imgsz)) if int8 and data else []
    for form in forms:
        path, factors = convert(checkpoint, form, imgsz, images, str(data.yaml) if data else "")
        written = _compared(path, form, model, imgsz, factors)
        files.append(judge.file(written, form) if judge else written)
    if architecture.placements:
        files.append(_standalone(modules_file(stem), architecture))
    return files


def _compared(path: Path, form: Format, model: Model, imgsz: int, factors: str) -> Exported:
    """Compare a file with the model; ONNX in fp32 at two image sizes, the others have one."""
    if form.elsewhere:
        return Exported(path, None, f"not compared: it runs {form.elsewhere}{factors}")
    larger = imgsz + max(32, int(max(model.stride)))
    two = (form.name, form.precision) == ("onnx", FP32)
    sides, at = ((imgsz, larger), f"{imgsz} and {larger}") if two else ((imgsz,), str(imgsz))
    note = ", needs neither gamsearch nor Ultralytics" if form.name == "torchscript" else ""
    bound = TOLERANCE if form.precision == FP32 else math.inf
    difference = compare(model, opened(path, form), sides, path, bound)
    return Exported(path, difference, f"run at {at} px{note}{factors}")


class Judge:
    """Validates the files of an export on square images as the formats of a fixed size take them."""

    def __init__(self, model: Model, data: DataSet, imgsz: int):
        self.model, self.data, self.imgsz = model, data, imgsz
        self.task = task_of(model.yaml)

    def checkpoint(self, file: Exported) -> Exported:
        """Validate the model, also with the border that Ultralytics' validation adds where it does."""
        found = self._metrics(deepcopy(self.model), self.imgsz)
        words, side = self._words(found), framed(self.model, self.imgsz)
        if side != self.imgsz:
            inside = self._metrics(deepcopy(self.model), side)[self.task.primary]
            words += f", and {inside:.4f} inside the border that `yolo val` adds to a .pt ({side} px)"
        return replace(file, metrics=found, measured=words)

    def file(self, file: Exported, form: Format) -> Exported:
        """Validate a file in its own runtime, if it runs here."""
        if form.elsewhere:
            return file
        found = self._metrics(opened(file.path, form), self.imgsz)
        return replace(file, metrics=found, measured=self._words(found))

    def _metrics(self, run: Callable[[torch.Tensor], Any], side: int) -> dict[str, float]:
        with tempfile.TemporaryDirectory(prefix="gamsearch-") as folder:
            return accuracy(run, self.model, self.data, (self.imgsz, side), Path(folder)).metrics

    def _words(self, found: Mapping[str, float]) -> str:
        return f"; {self.task.primary_title} {found[self.task.primary]:.4f} at {self.imgsz} px"


def modules_file(stem: Path) -> Path:
    """Name the file of an export that holds its attention modules, so that Python can import it.

    Args:
        stem: Path of the export's files without extension.

    Returns:
        E.g. `best_modules.py`, `trial_17_modules.py`.
    """
    return stem.with_name(f"{stem.name.replace('-', '_')}_modules.py")


def _standalone(path: Path, architecture: Architecture) -> Exported:
    """Write the source of the modules as one file that registers them, for use without gamsearch."""
    names = sorted({placement.module for placement in architecture.placements})
    inner = any(placement.semantics == "inner" for placement in architecture.placements)
    path.write_text(standalone_source(names, inner), encoding="utf-8")
    return Exported(path, None, f"{', '.join(names)}: import it to use or train the .pt and the YAML without gamsearch")


def compare(
    model: Model,
    other: Callable[[torch.Tensor], Any],
    sides: Sequence[int],
    path: Path,
    bound: float = TOLERANCE,
) -> float:
    """Compare the predictions of two models on random images.

    Args:
        model: The trial's model.
        other: Anything that takes an image and returns predictions of the same form.
        sides: Sides of the images in px.
        path: The file that `other` comes from, for the message.
        bound: Largest accepted difference.

    Returns:
        The largest difference, relative to the largest prediction.

    Raises:
        ModelError: The difference is above the bound or not a number.
    """
    worst = 0.0
    for side in sides:
        image = clearest_image(model, side) if is_rtdetr(model.yaml) else random_image(side)
        with torch.no_grad():
            expected, actual = predictions(model(image)), predictions(other(image))
        pairs = list(zip(expected, actual, strict=False))  # an exported file may leave out the last
        if is_rtdetr(model.yaml):  # each box of either must have one of the other
            first, second = pairs[0]
            pairs = [(first, _nearest(first, second)), (second, _nearest(second, first))]
        for one, its in pairs:
            if one.shape != its.shape:
                raise ModelError(
                    f"{path.name} has outputs of {[*its.shape]} where the trial's model has {[*one.shape]}"
                )
            difference = float((one - its).abs().max() / one.abs().max())
            if not difference <= bound:  # true for NaN as well
                by = f"by {difference:.3g} (relative)"
                raise ModelError(f"{path.name} differs from the trial's model {by}: do not use it, report this")
            worst = max(worst, difference)
    return worst


def _nearest(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """The one of `others` nearest to each box of RT-DETR, which sorts by score: equal scores have no order."""
    index = torch.cdist(boxes, others.to(boxes), p=float("inf")).argmin(-1, keepdim=True)
    return others.gather(1, index.expand_as(boxes))
