"""The folder that `export` writes to: files are prepared elsewhere, and only what an export wrote is ever replaced."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gamsearch.errors import RunError
from gamsearch.files import UnreadableError, read_json

RECORD = "export.json"
"""What an export wrote into a folder: its `files`, and what was measured of them."""


def create(path: Path) -> Path:
    """Create the folder to write to.

    Args:
        path: The folder.

    Returns:
        The same path.

    Raises:
        RunError: It cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path} cannot be written to ({error.strerror}); choose another folder with --out") from error
    return path


def refuse_foreign(folder: Path, names: Sequence[str]) -> None:
    """Refuse to replace what no export wrote.

    Args:
        folder: The folder to write to.
        names: The files and folders that are to be written there.

    Raises:
        RunError: One of them is there already, and the record of the folder does not list it.
    """
    ours = {RECORD, *recorded(folder)["files"]}
    for name in (name for name in names if name not in ours):
        path = folder / name
        if path.is_symlink() or path.exists():
            raise RunError(
                f"{path} is there already and was not written by an export here: "
                "move it away, or choose another folder with --out"
            )


def recorded(folder: Path) -> dict[str, Any]:
    """Read what exports wrote into a folder.

    Args:
        folder: The folder.

    Returns:
        The record; no `files` where there is none.
    """
    try:
        found = read_json(folder / RECORD)
        if all(isinstance(name, str) for name in found["files"]):
            return {**found, "files": list(found["files"])}
    except (OSError, UnreadableError, KeyError, TypeError):
        pass
    return {"files": []}


def put(source: Path, folder: Path, names: Sequence[str], facts: dict[str, Any]) -> None:
    """Move files into the folder and record them.

    Args:
        source: Where they are.
        folder: Where they belong.
        names: Their names.
        facts: What else to record.

    Raises:
        RunError: The folder cannot be written to.
    """
    try:
        for name in names:
            _remove(folder / name)
            shutil.move(source / name, folder / name)
        content = {**facts, "files": sorted({*recorded(folder)["files"], *names})}
        (folder / RECORD).write_text(json.dumps(content, indent=1), encoding="utf-8")
    except OSError as error:
        raise RunError(f"{folder} cannot be written to ({error.strerror}); choose another folder with --out") from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
