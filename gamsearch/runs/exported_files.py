"""Write a trained model as checkpoint, ONNX, TorchScript and attention modules, and compare each with the model."""

import io
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gamsearch.architecture import Architecture
from gamsearch.attention.standalone import standalone_source
from gamsearch.errors import ModelError
from gamsearch.models.checkpoint import load_checkpoint
from gamsearch.models.gains import fold_gains
from gamsearch.models.identity import predictions
from gamsearch.parser.build import Model, is_rtdetr
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


def write_weights_files(stem: Path, model: Model, architecture: Architecture, imgsz: int) -> list[Exported]:
    """Write checkpoint, ONNX, TorchScript and attention modules; run the first three and compare them with `model`.

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
    files = [Exported(checkpoint, compare(model, reloaded, (imgsz,), checkpoint), "reloaded")]
    files.append(_onnx(checkpoint, model, imgsz))
    files.append(_torchscript(stem.with_suffix(".torchscript"), model, imgsz))
    if architecture.placements:
        files.append(_standalone(modules_file(stem), architecture))
    return files


def modules_file(stem: Path) -> Path:
    """Name the file of an export that holds its attention modules, so that Python can import it.

    Args:
        stem: Path of the export's files without extension.

    Returns:
        E.g. `best_modules.py`, `trial_17_modules.py`.
    """
    return stem.with_name(f"{stem.name.replace('-', '_')}_modules.py")


def _onnx(checkpoint: Path, model: Model, imgsz: int) -> Exported:
    """Export ONNX with Ultralytics, which adds the class names that `YOLO` reads; compare it at two image sizes."""
    import onnxruntime
    from ultralytics import YOLO

    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the tracer warns about constant folding
        yolo = YOLO(str(checkpoint))
        factors = _deploy(yolo.model)
        written = yolo.export(format="onnx", imgsz=imgsz, dynamic=True, simplify=False, device="cpu")
    path, options = Path(written), onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(image: torch.Tensor) -> list[torch.Tensor]:
        return [torch.from_numpy(one) for one in session.run(None, {session.get_inputs()[0].name: image.numpy()})]

    sides = (imgsz, imgsz + max(32, int(max(model.stride))))
    return Exported(path, compare(model, run, sides, path), f"run at {sides[0]} and {sides[1]} px{factors}")


def _torchscript(path: Path, model: Model, imgsz: int) -> Exported:
    """Trace the model into a file that needs torch, but neither gamsearch nor Ultralytics."""
    traceable = deepcopy(model)
    factors = _deploy(traceable)
    traceable.model[-1].export, traceable.model[-1].format = True, "torchscript"
    for parameter in traceable.parameters():
        parameter.requires_grad_(False)
    image = _image(imgsz)
    traceable(image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but the only format that needs torch alone
        torch.jit.trace(traceable, image, strict=False, check_trace=False).save(str(path))
        difference = compare(model, torch.jit.load(str(path)), (imgsz,), path)
    return Exported(path, difference, f"traced, needs neither gamsearch nor Ultralytics{factors}")


def _deploy(model: Model) -> str:
    """Fuse a model and fold the constant factors of its gates, in place; say what became of the factors."""
    folded, kept = fold_gains(model.eval().fuse(verbose=False))
    parts = [f"the constant factor of {', '.join(folded)} is in the next layers"] if folded else []
    return "".join(f"; {part}" for part in (*parts, *kept))


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
            difference = float((one - its).abs().max() / one.abs().max())
            if not difference <= TOLERANCE:  # true for NaN as well
                raise ModelError(
                    f"{path} differs from the trial's model by {difference:.3g} (relative): do not use it, report this"
                )
            worst = max(worst, difference)
    return worst


def _nearest(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """The one of `others` nearest to each box of RT-DETR, which sorts by score: equal scores have no order."""
    index = torch.cdist(boxes, others.to(boxes), p=float("inf")).argmin(-1, keepdim=True)
    return others.gather(1, index.expand_as(boxes))
