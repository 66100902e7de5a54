"""Open Ultralytics checkpoints: `open_checkpoint` runs nothing that is in the file, `load_checkpoint` unpickles it.

The safe way takes the model YAML and the tensors from inert stand-ins and rebuilds the model from that YAML with the
installed Ultralytics. No object, hook or method of the file is ever used.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gamsearch.errors import ModelError
from gamsearch.models.inert_pickle import NeedsTrustError, StandIn, is_plain, read_inert, reason_of, tensors_of
from gamsearch.parser.build import CLASSES, build, class_name
from gamsearch.parser.register import TASKS as PARSER
from gamsearch.parser.register import tasks_module
from gamsearch.tasks import TASKS

MODELS = tuple(f"{PARSER}.{n}" for n in (*CLASSES.values(), "YOLOv10DetectionModel", "RTDETRDetectionModel"))


def open_checkpoint(path: str | Path, trust: bool = False) -> nn.Module:
    """Open an Ultralytics `.pt` without running code from it; nothing is downloaded or installed.

    Args:
        path: The checkpoint file.
        trust: Unpickle a file that cannot be inspected, which runs whatever code it holds.

    Returns:
        The model in float32 and eval mode, without gradients.

    Raises:
        ModelError: The file is missing, damaged, of no task that is searched, or can only be opened with `trust`.
    """
    file = _existing(path)
    try:
        content = read_inert(file)
    except NeedsTrustError as error:
        if trust:
            return load_checkpoint(file)
        raise ModelError(
            f"{file} can only be opened by running code that is in it ({error}): if you trust its source, "
            "give --trust-checkpoint; otherwise train it again with a newer Ultralytics"
        ) from error
    return _rebuilt(file, _model_in(file, content))


def load_checkpoint(path: str | Path) -> nn.Module:
    """Unpickle an Ultralytics `.pt`, which runs whatever code it holds; nothing is downloaded or installed.

    Args:
        path: The checkpoint file, written by this program or trusted by the user.

    Returns:
        The model in float32 and eval mode.

    Raises:
        ModelError: The file is missing, unreadable or of no task that is searched.
    """
    file, tasks = _existing(path), tasks_module()
    try:
        with _offline(tasks):
            model: Any = tasks.load_checkpoint(file)[0]
    except ModelError:
        raise
    except Exception as error:  # unpickling a damaged file can raise anything
        raise ModelError(f"{file} cannot be read as an Ultralytics checkpoint: {reason_of(error)}") from error
    found, heads = type(model).__name__, (tasks.Detect, tasks.RTDETRDecoder, tasks.Classify)
    if f"{PARSER}.{found}" not in MODELS or found != class_name(model.yaml) or not isinstance(model.model[-1], heads):
        raise _not_searched(file, found)
    opened: nn.Module = model
    return opened


@contextmanager
def _offline(tasks: Any) -> Iterator[None]:
    """Keep Ultralytics' loader from downloading a file of that name and from installing packages for a pickle."""

    def refuse(package: str, *args: Any, **options: Any) -> None:
        raise ModelError(f"the checkpoint needs the Python package '{package}', which is not installed: install it")

    downloads: Any = import_module("ultralytics.utils.downloads")
    stock = tasks.check_requirements, downloads.attempt_download_asset
    tasks.check_requirements, downloads.attempt_download_asset = refuse, lambda file, *args, **options: str(file)
    try:
        yield
    finally:
        tasks.check_requirements, downloads.attempt_download_asset = stock


def _existing(path: str | Path) -> Path:
    file = Path(path)
    if file.suffix != ".pt" or not file.is_file():
        raise ModelError(f"the checkpoint must be an existing .pt file, but {file} is not: check the path")
    return file


def _not_searched(file: Path, found: str) -> ModelError:
    known = ", ".join(task.noun for task in TASKS.values())
    return ModelError(f"{file} must hold a YOLO model for {known}, but holds a {found}: use one of these")


def _model_in(file: Path, content: Any) -> StandIn:
    """The model's stand-in in a checkpoint; the averaged weights (`ema`) take precedence."""
    entries = [content.get(name) for name in ("ema", "model")] if isinstance(content, dict) else []
    model = next((entry for entry in entries if entry is not None), None)
    if not isinstance(model, StandIn):
        raise ModelError(
            f"{file} cannot be read as an Ultralytics checkpoint: it must hold a dictionary with a 'model'"
        )
    if model.origin not in MODELS:
        raise _not_searched(file, model.class_name)
    return model


def _rebuilt(file: Path, model: StandIn) -> nn.Module:
    """The model that the stand-in's YAML describes, with its tensors and class names."""
    yaml, tensors = model.get("yaml"), dict(tensors_of(file, model))
    if not is_plain(yaml) or not isinstance(yaml, dict):
        raise ModelError(f"{file} holds no model YAML, so its layers are unknown; give an Ultralytics .pt")
    try:
        classes, channels = int(yaml["nc"]), int(yaml.get("channels", 3))
        built: Any = build(yaml, nc=classes, ch=channels)
        width = _class_width(built, tensors)
        if width:
            built.load(build(yaml, nc=width, ch=channels), verbose=False)
        built.load_state_dict(tensors)
    except ModelError as error:
        raise ModelError(f"{file} cannot be opened: {error}") from error
    except (KeyError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise ModelError(
            f"{file} cannot be opened: its weights do not fit its own model YAML ({reason_of(error)}); "
            "give a checkpoint as Ultralytics writes them, neither fused nor pruned"
        ) from error
    built.names = _names(model.get("names"), classes)
    for parameter in built.parameters():
        parameter.requires_grad = False
    return built.float().eval()


def _class_width(built: Any, tensors: Mapping[str, torch.Tensor]) -> int:
    """The width of the class branch in `tensors` if it differs from the built one, else 0.

    Ultralytics makes it as wide as the first training had classes; loading from such a model widens it.
    """
    branch = getattr(built.model[-1], "cv3", None)
    if branch is None:
        return 0
    last = tensors.get(f"model.{len(built.model) - 1}.cv3.0.{len(branch[0]) - 1}.weight")
    if last is None or last.ndim != 4 or last.shape[1] == branch[0][-1].in_channels:
        return 0
    return int(last.shape[1])


def _names(written: Any, classes: int) -> dict[int, str]:
    """The class names, or their numbers if the file has no matching names."""
    fits = isinstance(written, dict) and sorted(map(str, written)) == sorted(map(str, range(classes)))
    return {int(k): str(v) for k, v in written.items()} if fits else {i: str(i) for i in range(classes)}
