"""The folder that `export` writes to: files are prepared elsewhere, and only what an export wrote is ever replaced."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gamsearch.errors import RunError
from gamsearch.files import UnreadableError, read_json

RECORD = "export.json"
"""Names the `files` that exports wrote into a folder, and the run and trial of the latest."""


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
    known = recorded(folder)
    ours = {RECORD, *known} if known else set()
    for name in (name for name in (*names, RECORD) if name not in ours):
        path = folder / name
        if path.is_symlink() or path.exists():
            raise RunError(
                f"{path} is there already and was not written by an export here: "
                "move it away, or choose another folder with --out"
            )


def recorded(folder: Path) -> list[str]:
    """Read what exports wrote into a folder.

    Args:
        folder: The folder.

    Returns:
        The names of the files; none where no export has written anything.
    """
    try:
        found = read_json(folder / RECORD)
        if found.keys() >= {"run", "trial", "files"} and all(isinstance(name, str) for name in found["files"]):
            return list(found["files"])
    except (OSError, UnreadableError, AttributeError, TypeError):
        pass
    return []


def put(source: Path, folder: Path, names: Sequence[str], facts: dict[str, Any]) -> None:
    """Record files and move them into the folder.

    Args:
        source: Where they are, with room for the record.
        folder: Where they belong.
        names: Their names.
        facts: The run and the trial.

    Raises:
        RunError: The folder cannot be written to.
    """
    try:
        content = {**facts, "files": sorted({*recorded(folder), *names})}
        (source / RECORD).write_text(json.dumps(content, indent=1), encoding="utf-8")
        for name in (RECORD, *names):  # the record first: what is left half way is known as an export's
            _remove(folder / name)
            shutil.move(source / name, folder / name)
    except OSError as error:
        raise RunError(f"{folder} cannot be written to ({error.strerror}); choose another folder with --out") from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
