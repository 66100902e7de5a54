"""Details of a training's last validation: metrics per class and per object size, and matches image by image."""

from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ultralytics.models.yolo.classify import ClassificationValidator
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils import ops

from gamsearch.tasks import DETECT, Task, task_named
from gamsearch.training.classification import accuracy_per_class
from gamsearch.training.task_parts import validator_for
from gamsearch.training.trainer import LeanTrainer

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Areas of boxes in the original images, px², as in COCO."""

MATCHES = {"segment": "tp_m", "pose": "tp_p"}
"""What Ultralytics calls the matches of the primary metric: masks, key points; those of boxes are `tp`."""

AVERAGES = {"segment": "seg", "pose": "pose"}
"""What it calls their average precision; that of boxes is `box`."""

Image = dict[str, NDArray[Any]]


class DetailedValidator(DetectionValidator):
    """A validator that keeps each image's boxes and matches: `images` has one mapping of arrays per image.

    `target_box` (`m x 4`, xywh in px of the original image) and `target_cls` (`m`) are the labels; `box` (`n x 4`),
    `cls`, `conf` (`n`) the predictions, and `tp` (`n x 10`) says which of them match at 0.50 to 0.95 in what the
    primary metric compares: IoU of boxes or masks, similarity of key points. A box is the upright one around an
    oriented box.
    """

    def init_metrics(self, model: torch.nn.Module) -> None:
        super().init_metrics(model)
        self.images: list[Image] = []

    def update_metrics(self, preds: list[dict[str, torch.Tensor]], batch: dict[str, Any]) -> None:
        """Keep the stock validator's boxes and matches of each image."""
        matches = MATCHES.get(self.args.task, "tp")
        before = len(self.metrics.stats[matches])
        super().update_metrics(preds, batch)
        for i, pred in enumerate(preds):
            labels = self._prepare_batch(i, batch)
            shape, original, pad = labels["imgsz"], labels["ori_shape"], labels["ratio_pad"]
            targets = ops.scale_boxes(shape, _upright(labels["bboxes"]), original, ratio_pad=pad)
            boxes = ops.scale_boxes(shape, _upright(pred["bboxes"]), original, ratio_pad=pad)
            self.images.append(
                {
                    "target_box": ops.xyxy2ltwh(targets).cpu().numpy().reshape(-1, 4),
                    "target_cls": labels["cls"].cpu().numpy().astype(int).reshape(-1),
                    "box": ops.xyxy2ltwh(boxes).cpu().numpy().reshape(-1, 4),
                    "conf": pred["conf"].float().cpu().numpy(),
                    "cls": pred["cls"].cpu().numpy().astype(int),
                    "tp": np.asarray(self.metrics.stats[matches][before + i], dtype=bool).reshape(-1, 10),
                }
            )


def _upright(boxes: torch.Tensor) -> torch.Tensor:
    """Copies of boxes as `n x 4`, xyxy; of oriented ones (`n x 5`), the upright boxes around them."""
    if boxes.shape[-1] == 4:
        return boxes.clone()
    corners = ops.xywhr2xyxyxyxy(boxes)
    return torch.cat([corners.amin(-2), corners.amax(-2)], -1)


class DetailedTrainer(LeanTrainer):
    """A lean trainer with details in its provenance.

    It leaves `images.npz` in its folder for the bootstrap, but for classification, whose images have no matches.
    """

    shared_splits = ()  # those of a full budget would fill the memory

    def get_validator(self) -> Any:
        stock = super().get_validator()  # it sets the names of the losses
        if isinstance(stock, ClassificationValidator):
            return stock
        return validator_for(self.model, DetailedValidator)(
            self.test_loader, save_dir=self.save_dir, args=copy(self.args), _callbacks=self.callbacks
        )

    def details(self) -> dict[str, Any]:
        """The primary metric per class, for detectors also per object size; `images.npz` is for `image_bootstrap`."""
        if isinstance(self.validator, ClassificationValidator):
            return {"per_class": accuracy_per_class(self.validator), "per_size": {}}
        assert isinstance(self.validator, DetailedValidator)
        images, task = self.validator.images, task_named(self.args.task)
        np.savez_compressed(Path(self.save_dir) / "images.npz", **joined(images))
        found = getattr(self.validator.metrics, AVERAGES.get(task.name, "box"))
        return {"per_class": self._per_class(found, task), "per_size": per_size(images) if task is DETECT else {}}

    def _per_class(self, found: Any, task: Task) -> dict[str, dict[str, float]]:
        names = self.data["names"]
        return {
            str(names[int(number)]): {task.primary: float(ap.mean()), task.secondary: float(ap[0])}
            for number, ap in zip(found.ap_class_index, found.all_ap, strict=True)
        }


def joined(images: list[Image]) -> dict[str, NDArray[Any]]:
    """Join all images' predictions and targets.

    Args:
        images: The boxes and matches of each image, as `DetailedValidator` keeps them.

    Returns:
        One array of each, and to which image (by position) each belongs.
    """
    numbers = np.arange(len(images))

    def all_of(name: str, empty: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([empty, *(image[name] for image in images)])

    return {
        "tp": all_of("tp", np.zeros((0, 10), dtype=bool)),
        "conf": all_of("conf", np.zeros(0, dtype=np.float32)),
        "pred_cls": all_of("cls", np.zeros(0, dtype=int)),
        "target_cls": all_of("target_cls", np.zeros(0, dtype=int)),
        "pred_image": np.repeat(numbers, [len(image["conf"]) for image in images]),
        "target_image": np.repeat(numbers, [len(image["target_cls"]) for image in images]),
        "images": np.array(len(images)),
    }


def per_size(images: list[Image]) -> dict[str, float | None]:
    """Compute AP at IoU 0.50 to 0.95 for the objects of each of `SIZES`, by pycocotools.

    Args:
        images: The boxes and matches of each image, as `DetailedValidator` keeps them.

    Returns:
        By size; None where there is no such object.
    """
    from contextlib import redirect_stdout
    from io import StringIO

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    classes = sorted({int(number) for image in images for number in image["target_cls"]})
    if not classes:
        return dict.fromkeys(SIZES)
    with redirect_stdout(StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i} for i in range(len(images))],
            "categories": [{"id": number} for number in classes],
            "annotations": [
                {"id": n, "image_id": i, "category_id": int(c), "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
                for n, (i, c, box) in enumerate(_boxes(images, "target_cls", "target_box"), start=1)
            ],
        }
        truth.createIndex()
        found = np.array(
            [
                [i, *box, conf, cls]
                for i, image in enumerate(images)
                for box, conf, cls in zip(image["box"], image["conf"], image["cls"], strict=True)
            ],
            dtype=float,
        ).reshape(-1, 7)
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox") if len(found) else None
        if evaluation is None:
            return {name: 0.0 if _any_of(images, *area) else None for name, area in SIZES.items()}
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [list(a) for a in SIZES.values()], list(SIZES)
        evaluation.params.maxDets = [300]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # IoU x recall x class x area x detections
    return {name: _mean_known(precision[:, :, :, number]) for number, name in enumerate(SIZES)}


def _boxes(images: list[Image], classes: str, boxes: str) -> list[tuple[int, int, list[float]]]:
    return [
        (i, int(c), [float(v) for v in box])
        for i, image in enumerate(images)
        for c, box in zip(image[classes], image[boxes], strict=True)
    ]


def _any_of(images: list[Image], low: float, high: float) -> bool:
    return any(low <= w * h < high for image in images for _, _, w, h in image["target_box"])


def _mean_known(precision: NDArray[np.float64]) -> float | None:
    """The mean without the entries of -1, which mark classes that have no object of the size."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None
