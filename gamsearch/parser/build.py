"""Build a model from a model YAML, once its rows are known to be harmless. No torch at import."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any

from gamsearch.errors import ModelError
from gamsearch.parser.register import tasks_module
from gamsearch.parser.row_checks import check_rows
from gamsearch.tasks import task_of

Model = Any
"""A model of Ultralytics: a torch module with attributes (`yaml`, `stride`, ...) that no stub declares."""

CLASSES = {
    "detect": "DetectionModel",
    "segment": "SegmentationModel",
    "pose": "PoseModel",
    "obb": "OBBModel",
    "classify": "ClassificationModel",
}
"""Ultralytics' class of a model by its task; RT-DETR has one of its own."""


def build(yaml: dict[str, Any], nc: int, ch: int = 3, strides: Sequence[float] | None = None) -> Model:
    """Build the model that a model YAML describes.

    Args:
        yaml: The parsed model YAML; it is not changed.
        nc: Number of classes.
        ch: Number of input channels.
        strides: Strides of the maps that the head reads, if known. Ultralytics' probing forward pass is then skipped,
            so errors of that pass appear at the first real one.

    Returns:
        The model, of the class of its task, in training mode.

    Raises:
        ModelError: The YAML fails a check, or Ultralytics or an attention module rejects it.
    """
    import torch

    tasks = tasks_module()
    check_rows(tasks, yaml, nc)
    try:
        with activation_kept(tasks), _strides_known(tasks, strides), torch.no_grad():
            kind = getattr(tasks, class_name(yaml))
            model: Model = kind({**deepcopy(yaml), "nc": nc}, ch=ch, nc=nc, verbose=False)
    except KeyError as error:
        raise ModelError(f"the model YAML names {error}, which Ultralytics does not know: correct the row") from error
    except Exception as error:  # a layer can raise anything
        raise ModelError(f"the model YAML cannot be built: {_first_line(error)}") from error
    return model


def class_name(yaml: Mapping[str, Any]) -> str:
    """Name the class of a model.

    Args:
        yaml: The model YAML.

    Returns:
        Ultralytics' class, e.g. `SegmentationModel`.
    """
    return "RTDETRDetectionModel" if is_rtdetr(yaml) else CLASSES[task_of(yaml).name]


def is_rtdetr(yaml: Mapping[str, Any]) -> bool:
    """Whether a model YAML has the head of RT-DETR, which Ultralytics builds and trains by classes of its own.

    Args:
        yaml: The model YAML.

    Returns:
        Whether its last row is `RTDETRDecoder`.
    """
    return bool(yaml["head"][-1][2] == "RTDETRDecoder")


def classes_of(model: Model) -> int:
    """The number of classes of a model.

    Args:
        model: A built model.

    Returns:
        The classes that it was built for; the head of a classifier does not say.
    """
    return int(model.yaml["nc"])


def with_key_points(yaml: Mapping[str, Any], kpt_shape: Any) -> dict[str, Any]:
    """A model YAML for the key points of a data set, as Ultralytics adapts it.

    Args:
        yaml: The model YAML.
        kpt_shape: Number of key points and of values for each, of the data or of a model that was built for it; None
            where there are none.

    Returns:
        The YAML, with that `kpt_shape` where the model estimates poses.
    """
    return {**yaml, **({"kpt_shape": list(kpt_shape)} if kpt_shape and "kpt_shape" in yaml else {})}


@cache
def width_by_name() -> bool:
    """Whether the installed parser resolves `c2` in an attention row to the scaled width of the previous row."""
    tasks = tasks_module()
    rows = [[-1, 1, "Conv", [64, 3, 2]], [-1, 1, "GAM", ["c2", 8]], [-1, 1, "Conv", [64, 3, 1]]]
    probe = {"nc": 1, "scales": {"n": [1.0, 0.25, 1024]}, "scale": "n", "backbone": rows, "head": []}
    try:
        with activation_kept(tasks):
            layers, _ = tasks.parse_model(probe, ch=3, verbose=False)
    except (KeyError, ValueError, TypeError):
        return False
    return bool(layers[1].channels == 16 and layers[1].rate == 8)


@contextmanager
def _strides_known(tasks: Any, strides: Sequence[float] | None) -> Iterator[None]:
    """Replace the forward pass from which Ultralytics derives its strides by empty maps of the known ones."""
    if strides is None:
        yield
        return

    def forward(self: Any, image: Any) -> dict[str, Any]:
        maps = {"feats": [image[:, :0, :: int(stride), :1] for stride in strides]}
        return {**maps, "one2many": maps}

    tasks.DetectionModel.forward = forward
    try:
        yield
    finally:
        del tasks.DetectionModel.forward


@contextmanager
def activation_kept(tasks: Any) -> Iterator[None]:
    """Restore the process-wide default activation, which a YAML may change and a failed build leaves changed.

    Args:
        tasks: What `tasks_module` returns.
    """
    before = tasks.Conv.default_act
    try:
        yield
    finally:
        tasks.Conv.default_act = before


def _first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
