"""What a task adds to training: our trainers and validators with the parts that the model needs.

Ultralytics gives each task its own data, loss, metrics and validator, and RT-DETR its own too. Our classes stay in
front of them, so whatever they guarantee holds for all.
"""

from functools import cache
from typing import Any

from ultralytics.models.rtdetr.train import RTDETRTrainer
from ultralytics.models.rtdetr.val import RTDETRValidator
from ultralytics.models.yolo.obb import OBBTrainer, OBBValidator
from ultralytics.models.yolo.pose import PoseTrainer, PoseValidator
from ultralytics.models.yolo.segment import SegmentationTrainer, SegmentationValidator

from gamsearch.parser.build import class_name
from gamsearch.training.classification import ClassificationData

TRAINERS: dict[str, type] = {
    "SegmentationModel": SegmentationTrainer,
    "PoseModel": PoseTrainer,
    "OBBModel": OBBTrainer,
    "ClassificationModel": ClassificationData,
    "RTDETRDetectionModel": RTDETRTrainer,
}
"""What stands behind a trainer of ours, by the class of the model; nothing for other detectors."""

VALIDATORS: dict[str, type] = {
    "SegmentationModel": SegmentationValidator,
    "PoseModel": PoseValidator,
    "OBBModel": OBBValidator,
    "RTDETRDetectionModel": RTDETRValidator,
}
"""The same for a validator of detections."""


def trainer_for(model: Any, trainer: Any) -> Any:
    """Choose the trainer of a model.

    Args:
        model: The model.
        trainer: The class of a trainer of ours.

    Returns:
        It, or its form for the task of the model.
    """
    return _with(trainer, TRAINERS.get(class_name(model.yaml)))


def validator_for(model: Any, validator: Any) -> Any:
    """Choose the validator of a model that finds objects.

    Args:
        model: The model.
        validator: The class of a detection validator of ours.

    Returns:
        It, or its form for the task of the model.
    """
    return _with(validator, VALIDATORS.get(class_name(model.yaml)))


@cache
def _with(first: Any, second: type | None) -> Any:
    return type(first.__name__, (first, second), {"__doc__": first.__doc__}) if second else first
