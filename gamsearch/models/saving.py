"""Files of tensors, written whole or not at all."""

import uuid
from pathlib import Path
from typing import Any

import torch

from gamsearch.errors import RunError, one_line


def save(content: Any, path: Path) -> None:
    """Write with `torch.save` in one step, so that no half-written file is ever found; `RunError` on a full disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}-{uuid.uuid4().hex}.partial")
    try:
        torch.save(content, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # PyTorch's writer tells of a full disk by a RuntimeError
        partial.unlink(missing_ok=True)
        raise RunError(
            f"{path} cannot be written ({one_line(error)[:200]}); make room on the disk, then the same command goes on"
        ) from error
