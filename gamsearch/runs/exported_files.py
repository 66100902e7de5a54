"""Write a trained model as checkpoint, in other formats and as attention modules; compare each with the model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gamsearch.architecture import Architecture
from gamsearch.attention.standalone import standalone_source
from gamsearch.errors import ModelError
from gamsearch.models.checkpoint import load_checkpoint
from gamsearch.models.identity import predictions
from gamsearch.parser.build import Model, is_rtdetr
from gamsearch.runs.conversion import convert, opened
from gamsearch.runs.export_formats import USUAL, Format, formats_named
from gamsearch.training.baseline import write_checkpoint

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


def write_weights_files(
    stem: Path, model: Model, architecture: Architecture, imgsz: int, formats: Sequence[Format] | None = None
) -> list[Exported]:
    """Write checkpoint, other formats and attention modules; run all that can run here and compare them with `model`.

    Args:
        stem: Path of the files without extension, in a folder that the exporters may write to.
        model: The trial's model.
        architecture: The trial's architecture.
        imgsz: Image size in px.
        formats: The formats besides the checkpoint; `USUAL` if left out.

    Returns:
        The written files.

    Raises:
        ModelError: A file differs from the trial's model, or a format cannot hold it.
    """
    checkpoint = stem.with_suffix(".pt")
    write_checkpoint(model, checkpoint, {"imgsz": imgsz})
    reloaded = load_checkpoint(checkpoint)
    files = [Exported(checkpoint, compare(model, reloaded, (imgsz,), checkpoint), "reloaded")]
    files += [
        _converted(checkpoint, form, model, imgsz) for form in (formats_named(USUAL) if formats is None else formats)
    ]
    if architecture.placements:
        files.append(_standalone(modules_file(stem), architecture))
    return files


def _converted(checkpoint: Path, form: Format, model: Model, imgsz: int) -> Exported:
    """Write a format and compare it with the model; ONNX at two image sizes, the others have one."""
    path, factors = convert(checkpoint, form, imgsz)
    if form.elsewhere:
        return Exported(path, None, f"not compared: it runs {form.elsewhere}{factors}")
    larger = imgsz + max(32, int(max(model.stride)))
    sides, at = ((imgsz, larger), f"{imgsz} and {larger}") if form.name == "onnx" else ((imgsz,), str(imgsz))
    note = ", needs neither gamsearch nor Ultralytics" if form.name == "torchscript" else ""
    return Exported(path, compare(model, opened(path, form), sides, path), f"run at {at} px{note}{factors}")


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


def _image(side: int) -> torch.Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def compare(model: Model, other: Callable[[torch.Tensor], Any], sides: Sequence[int], path: Path) -> float:
    """Compare the predictions of two models on random images.

    Args:
        model: The trial's model.
        other: Anything that takes an image and returns predictions of the same form.
        sides: Sides of the images in px.
        path: The file that `other` comes from, for the message.

    Returns:
        The largest difference, relative to the largest prediction.

    Raises:
        ModelError: The difference is above `TOLERANCE` or not a number.
    """
    worst = 0.0
    for side in sides:
        with torch.no_grad():
            expected, actual = predictions(model(_image(side))), predictions(other(_image(side)))
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
            if not difference <= TOLERANCE:  # true for NaN as well
                by = f"by {difference:.3g} (relative)"
                raise ModelError(f"{path.name} differs from the trial's model {by}: do not use it, report this")
            worst = max(worst, difference)
    return worst


def _nearest(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """The one of `others` nearest to each box of RT-DETR, which sorts by score: equal scores have no order."""
    index = torch.cdist(boxes, others.to(boxes), p=float("inf")).argmin(-1, keepdim=True)
    return others.gather(1, index.expand_as(boxes))
