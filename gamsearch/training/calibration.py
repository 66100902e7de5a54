"""Training images as a validation would see them, one by one and square, from which the ranges of int8 are taken."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gamsearch.parser.build import class_name
from gamsearch.training.batch_norm import unaugmented
from gamsearch.training.dataset import DataSet
from gamsearch.training.deployed import squared
from gamsearch.training.guards import no_data_downloads
from gamsearch.training.read_only import ReadOnlyClassificationDataset

MOST_IMAGES = 256
"""Most training images that calibrate; always the same ones, evenly spread."""


def calibration_images(model: Any, data: DataSet, sides: tuple[int, int]) -> list[NDArray[np.float32]]:
    """Load training images that are not augmented.

    Args:
        model: The model, whose task and stride they are for.
        data: The data set; nothing is written to it.
        sides: Image size and side with border, in px; see `accuracy`.

    Returns:
        At most `MOST_IMAGES` images, each `1 x 3 x side x side` from 0 to 1.

    Raises:
        DataError: An image can no longer be read.
    """
    dataset = squared(_dataset(model, data, sides[0]), sides[1])
    chosen = range(0, len(dataset), -(-len(dataset) // MOST_IMAGES))
    return [_scaled(dataset[i]["img"])[None].numpy() for i in chosen]


def _dataset(model: Any, data: DataSet, imgsz: int) -> Any:
    from ultralytics.cfg import get_cfg
    from ultralytics.engine import validator

    cfg: Any = get_cfg(overrides={"imgsz": imgsz, "task": data.task.name})
    if data.task.name == "classify":
        return ReadOnlyClassificationDataset(str(data.yaml / "train"), cfg, augment=False, prefix="calibration")
    with no_data_downloads():
        form = {**validator.check_det_dataset(str(data.yaml)), "channels": 3}
    return unaugmented(cfg, form["train"], form, class_name(model.yaml), int(max(model.stride)))


def _scaled(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 255 if image.dtype == torch.uint8 else image.float()
