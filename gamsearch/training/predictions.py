"""A validation of a trained model outside its training, which keeps every image's boxes."""

import io
from collections.abc import Mapping
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from gamsearch.errors import OptionError
from gamsearch.models import device as devices
from gamsearch.tasks import task_of
from gamsearch.training.details import DetailedValidator, Image
from gamsearch.training.gate_watch import GateWatch
from gamsearch.training.guards import no_data_downloads, no_nms_time_limit
from gamsearch.training.read_only import read_only_data
from gamsearch.training.task_parts import validator_for


class _Validator(DetailedValidator):
    """A validator with the file and the shape of each image, which leaves the data as they are."""

    watch: GateWatch | None = None

    def build_dataset(self, img_path: str, mode: str = "val", batch: int | None = None) -> Any:
        with redirect_stdout(io.StringIO()), read_only_data():
            return super().build_dataset(img_path, mode, batch)

    def preprocess(self, batch: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = super().preprocess(batch)
        if self.watch:
            self.watch.expect(found)
        return found

    def update_metrics(self, preds: list[dict[str, torch.Tensor]], batch: dict[str, Any]) -> None:
        before = len(self.images)
        super().update_metrics(preds, batch)
        for image, file, shape in zip(self.images[before:], batch["im_file"], batch["ori_shape"], strict=True):
            image["file"], image["shape"] = file, shape


def predictions(
    model: Any, data: Path, imgsz: int, batch: int, device: torch.device, folder: Path, watch: GateWatch | None = None
) -> list[Mapping[str, Any]]:
    """Validate a model on the validation images.

    Args:
        model: The model with its weights; it may be fused in place.
        data: The data YAML.
        imgsz: Image size in px.
        batch: Images per batch.
        device: Where to run.
        folder: A folder that Ultralytics may create; nothing is written into it.
        watch: Watches attention rows of the model.

    Returns:
        Per image what `DetailedValidator` keeps, its `file`, and its `shape` (height, width).

    Raises:
        OptionError: The model is for classification, which finds no objects.
    """
    task = task_of(model.yaml)
    if task.name == "classify":
        raise OptionError("the predictions of classifiers have no boxes to compare")
    settings = {"data": str(data), "imgsz": imgsz, "batch": batch, "device": devices.ultralytics_name(device)}
    quiet = {"task": task.name, "plots": False, "verbose": False, "workers": 0, "rect": True, "mode": "val"}
    validator = validator_for(model, _Validator)(args={**settings, **quiet, "save_dir": str(folder)}, save_dir=folder)
    validator.watch = watch
    watching = watch.watching() if watch else nullcontext()
    with watching, no_data_downloads(), no_nms_time_limit(), redirect_stdout(io.StringIO()):
        validator(model=model)
    images: list[Image] = validator.images
    return list(images)
