"""Files of tensors: written atomically, weights in half precision, read without running code in them."""

import uuid
from pathlib import Path
from typing import Any

import torch

from gamsearch.errors import RunError, one_line
from gamsearch.parser.build import Model


def save(content: Any, path: Path) -> None:
    """Write with `torch.save`, atomically: no other process ever sees a partial file.

    Args:
        content: What `torch.save` can write.
        path: The file; its folder is created if it is missing.

    Raises:
        RunError: The file cannot be written, e.g. on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}-{uuid.uuid4().hex}.partial")
    try:
        torch.save(content, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # PyTorch's writer reports a full disk as a RuntimeError
        partial.unlink(missing_ok=True)
        raise RunError(
            f"{path} cannot be written ({one_line(error)[:200]}); make room on the disk, then repeat the command"
        ) from error


def write_weights(model: Model, path: Path) -> None:
    """Write a model's state dict in fp16, atomically; a tensor that exceeds fp16's range keeps its precision.

    Args:
        model: The model.
        path: The file, which can be loaded without unpickling objects.

    Raises:
        RunError: The file cannot be written.
    """
    save({name: _halved(tensor) for name, tensor in model.state_dict().items()}, path)


@torch.no_grad()
def round_as_written(model: Model) -> None:
    """Round a model's tensors to what `write_weights` keeps of them, so that its metrics are those of the file.

    Args:
        model: The model; it is changed in place.
    """
    for tensor in model.state_dict().values():
        tensor.copy_(_halved(tensor))


def _halved(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in fp16, or unchanged if it holds integers or values beyond fp16's range."""
    half = tensor.half() if tensor.is_floating_point() else tensor
    return half if torch.isfinite(half).all() else tensor


def read_weights(model: Model, path: Path) -> None:
    """Load a state dict that `write_weights` wrote.

    Args:
        model: The model to load it into.
        path: The file.

    Raises:
        RunError: The file is missing, damaged or does not fit the model.
    """
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing, so this trial's weights are lost; search again to train it") from error
    except Exception as error:  # a damaged file can raise anything
        raise RunError(f"{path} does not hold this trial's weights: {one_line(error)[:200]}") from error
