"""RT-DETR (arXiv 2304.08069) in training: our trainers and validators with the parts that its head needs.

Ultralytics gives RT-DETR its own data set, loss and validator. Our classes stay in front of them, so whatever they
guarantee holds for both kinds of detectors.
"""

from functools import cache
from typing import Any

from ultralytics.models.rtdetr.train import RTDETRTrainer
from ultralytics.models.rtdetr.val import RTDETRValidator

from gamsearch.parser.build import is_rtdetr


def trainer_for(model: Any, trainer: Any) -> Any:
    """Choose the trainer of a model.

    Args:
        model: The model.
        trainer: The class of a detection trainer.

    Returns:
        It, or its form for RT-DETR.
    """
    return _with(trainer, RTDETRTrainer) if is_rtdetr(model.yaml) else trainer


def validator_for(model: Any, validator: Any) -> Any:
    """Choose the validator of a model.

    Args:
        model: The model.
        validator: The class of a detection validator.

    Returns:
        It, or its form for RT-DETR.
    """
    return _with(validator, RTDETRValidator) if is_rtdetr(model.yaml) else validator


def image_form(model: Any) -> tuple[bool, int]:
    """What the images of a training depend on besides its arguments.

    Args:
        model: The model.

    Returns:
        Whether they are stretched to squares, as RT-DETR has them, and the stride whose multiples their sides are.
    """
    return is_rtdetr(model.yaml), max(int(max(model.stride)), 32)


@cache
def _with(first: Any, second: type) -> Any:
    return type(first.__name__, (first, second), {"__doc__": first.__doc__})
