"""Batch-norm statistics re-estimated on training images before a validation that ranks.

Ultralytics sets batch-norm momentum to 0.03, so after a short training the running statistics still hold much of their
initial values, most of all in new layers.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from ultralytics.data.build import build_yolo_dataset

from gamsearch.training.read_only import ReadOnlyRTDETRDataset, read_only_data

STATISTICS_IMAGES = 256
"""Most training images that re-estimate the batch-norm statistics; always the same ones."""


def statistics_images(arguments: Any, images: Any, data: dict[str, Any], kind: str, stride: int) -> list[torch.Tensor]:
    """Training images as a validation would see them: not augmented, always the same ones.

    Args:
        arguments: The training arguments.
        images: Where the training images are.
        data: The data YAML as Ultralytics reads it.
        kind: The class of the model; RT-DETR takes images stretched to squares.
        stride: Largest stride of the model.

    Returns:
        Batches `B x 3 x H x W` of bytes, at most `STATISTICS_IMAGES` images in all.
    """
    return images_for_statistics(unaugmented(arguments, images, data, kind, stride))


def unaugmented(arguments: Any, images: Any, data: dict[str, Any], kind: str, stride: int) -> Any:
    """A data set of training images as a validation would see them; nothing is written to it.

    Args:
        arguments: The training arguments.
        images: Where the training images are.
        data: The data YAML as Ultralytics reads it.
        kind: The class of the model; RT-DETR takes images stretched to squares.
        stride: Largest stride of the model.

    Returns:
        Ultralytics' data set.
    """
    cfg: Any = deepcopy(arguments)
    cfg.cache, cfg.fraction = False, 1.0
    with read_only_data():
        if kind == "RTDETRDetectionModel":
            return ReadOnlyRTDETRDataset(
                img_path=images, imgsz=cfg.imgsz, augment=False, hyp=cfg, rect=False, data=data
            )
        return build_yolo_dataset(cfg, images, 16, data, mode="val", rect=True, stride=stride)


def images_for_statistics(dataset: Any) -> list[torch.Tensor]:
    """Evenly spread images of a data set as batches of one shape (`B x 3 x H x W`, bytes), always the same ones."""
    step = -(-len(dataset) // STATISTICS_IMAGES)
    groups: dict[tuple, list[torch.Tensor]] = {}
    for i in range(0, len(dataset), step):
        image = dataset[i]["img"]
        groups.setdefault(tuple(image.shape), []).append(image)
    return [torch.stack(part) for group in groups.values() for part in _chunks(group, 16)]


def _chunks(items: list, size: int) -> Iterator[list]:
    """Consecutive parts of at most `size`, none of them a single image (a batch norm cannot learn from one)."""
    parts = [items[i : i + size] for i in range(0, len(items), size)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2] += parts.pop()
    yield from parts


@torch.no_grad()
def reestimate_statistics(model: nn.Module, batches: Iterator[torch.Tensor]) -> None:
    """Replace the running statistics of every batch norm by their averages over `batches` (`B x 3 x H x W`, 0..1).

    The weights are not touched.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta, training = [m.momentum for m in norms], model.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the cumulative average
    model.train()
    for images in batches:
        model(images)
    model.train(training)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
