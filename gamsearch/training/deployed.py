"""The accuracy of a deployed file: Ultralytics' validation of whatever computes predictions of one image.

All files, and the checkpoint that they are compared with, see the same square images, one at a time. Ultralytics
validates a square image inside a border of half a stride on each side; a file that is made for `framed` sees that too.
"""

import io
import math
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn
from ultralytics.models.yolo.classify import ClassificationValidator

from gamsearch.parser.build import is_rtdetr
from gamsearch.tasks import task_of
from gamsearch.training.dataset import DataSet
from gamsearch.training.details import DetailedValidator, joined
from gamsearch.training.guards import no_data_downloads, no_nms_time_limit
from gamsearch.training.read_only import read_only_data
from gamsearch.training.task_parts import validator_for

Run = Callable[[torch.Tensor], Any]


@dataclass(frozen=True, eq=False)
class Accuracy:
    """What a validation found.

    Attributes:
        metrics: The task's own metrics by name.
        images: Arrays for a bootstrap over the images: the matches that `Detections` holds; for classification
            `right`, one flag per image.
    """

    metrics: dict[str, float]
    images: dict[str, NDArray[Any]]


class _Deployed(nn.Module):
    """Predictions of a file, in the place of the model that it was made from."""

    def __init__(self, run: Run, model: Any):
        super().__init__()
        self.run, self.yaml, self.stride, self.names = run, model.yaml, model.stride, model.names
        self._end2end = bool(getattr(model, "end2end", False))

    @property
    def end2end(self) -> bool:
        """Whether the file leaves nothing to non-maximum suppression, whatever the validator would choose."""
        return self._end2end

    @end2end.setter
    def end2end(self, value: bool) -> None:
        pass

    def fuse(self, *args: Any, **options: Any) -> "_Deployed":
        """Nothing is left to fuse; 8.4.0 asks for it."""
        return self

    def forward(self, image: torch.Tensor, *args: Any, **options: Any) -> Any:
        return self.run(image)


class _Detections(DetailedValidator):
    """A validator of objects that leaves the data as they are and makes all images square."""

    side = 0

    def build_dataset(self, img_path: str, mode: str = "val", batch: int | None = None) -> Any:
        with read_only_data():
            return squared(super().build_dataset(img_path, mode, batch), self.side)


class _Classes(ClassificationValidator):
    """A validator of classes that leaves the data as they are."""

    def build_dataset(self, img_path: str) -> Any:
        with read_only_data():
            return super().build_dataset(img_path)


def framed(model: Any, imgsz: int) -> int:
    """Compute the side of a square image in Ultralytics' validation, which adds half a stride and rounds up.

    Args:
        model: The model.
        imgsz: Image size in px.

    Returns:
        The side in px; `imgsz` for classification and RT-DETR, whose images have no border.
    """
    if task_of(model.yaml).name == "classify" or is_rtdetr(model.yaml):
        return imgsz
    stride = max(32, int(max(model.stride)))
    return math.ceil(imgsz / stride + 0.5) * stride


def squared(dataset: Any, side: int) -> Any:
    """Make the images of a data set square, in place.

    Args:
        dataset: Ultralytics' data set, built with `rect` where its images have labels.
        side: Side of each image in px, border included.

    Returns:
        The same.
    """
    if getattr(dataset, "rect", False):
        dataset.batch_shapes[:] = side
    return dataset


def accuracy(run: Run, model: Any, data: DataSet, sides: tuple[int, int], folder: Path) -> Accuracy:
    """Validate a file on the validation images.

    Args:
        run: Takes an image, `1 x 3 x side x side`, and returns predictions as the file's model does.
        model: The model that the file was made from, for its task and names.
        data: The data set; nothing is written to it.
        sides: Image size (the longer side that each image is scaled to) and side with border, in px.
        folder: A folder that Ultralytics may create; nothing is written into it.

    Returns:
        The metrics, and what a bootstrap over the images needs.
    """
    task, (imgsz, side) = task_of(model.yaml), sides
    settings = {"data": str(data.yaml), "imgsz": imgsz, "batch": 1, "device": "cpu", "task": task.name, "mode": "val"}
    quiet = {"plots": False, "verbose": False, "workers": 0, "rect": True, "save_dir": str(folder)}
    kind: Any = _Classes if task.name == "classify" else validator_for(model, _Detections)
    validator: Any = kind(args={**settings, **quiet}, save_dir=folder)
    validator.side = side
    with no_data_downloads(), no_nms_time_limit(), redirect_stdout(io.StringIO()):
        results = validator(model=_Deployed(run, model))
    metrics = {metric.name: metric.compute(results) for metric in task.trained_metrics}
    return Accuracy(metrics, _right(validator) if task.name == "classify" else joined(validator.images))


def _right(validator: Any) -> dict[str, NDArray[Any]]:
    predicted: Sequence[torch.Tensor] = validator.pred
    best, targets = torch.cat([*predicted])[:, 0], torch.cat([*validator.targets])
    return {"right": (best == targets).numpy().astype(bool)}
