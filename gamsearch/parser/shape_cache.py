"""Shapes of detectors that were read before, kept in the user's cache folder, so that most commands need no torch.

Only model YAMLs all of whose modules come with Ultralytics or PyTorch are kept. An entry belongs to the files of the
installed Ultralytics that define them; whoever edits these files gets new entries. No torch.
"""

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gamsearch.files import UnreadableError, read_json

FORMAT = 2
"""Counts the changes of what is kept."""


def kept(text: str) -> list[list[Any]] | None:
    """Look up shapes.

    Args:
        text: What the shapes depend on in the model YAML.

    Returns:
        For each row its channels, stride, whether it is a map, convolutions and inner channels; None if nothing is
        kept.
    """
    with suppress(OSError, RuntimeError, UnreadableError):
        found = read_json(_file(text))
        if isinstance(found, list) and all(_is_row(row) for row in found):
            return found
    return None


def keep(text: str, rows: list[list[Any]]) -> None:
    """Keep shapes; nothing happens where the folder cannot be written to.

    Args:
        text: What they depend on.
        rows: What `kept` returns.
    """
    with suppress(OSError, RuntimeError):
        file = _file(text)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(rows))
        part.replace(file)


def _file(text: str) -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gamsearch" / "shapes"
    state = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in _definitions()]
    return folder / f"{hashlib.sha256(json.dumps([FORMAT, state, text]).encode()).hexdigest()[:32]}.json"


def _definitions() -> Iterator[Path]:
    """The files of Ultralytics' parser and layers, found without importing it."""
    spec = importlib.util.find_spec("ultralytics")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield from [Path(place) / "nn" / "tasks.py", *sorted((Path(place) / "nn" / "modules").glob("*.py"))]


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and [type(value) for value in row] == [int, int, bool, int, int]
