"""What a process says while the storage of its study is unreachable, and what it leaves for `status` to read."""

import sys
import time
from contextlib import suppress
from math import isfinite
from pathlib import Path

from gamsearch.files import UnreadableError, read_regular

REPORT_S = 30.0
"""Seconds between two messages about a storage that does not answer."""
FILE = ".storage-unreachable"
"""File in the run's folder with the time (s since 1970) until which the run keeps trying; absent while it answers."""

_FOLDERS: list[Path] = []
"""The folder of the run that this process carries out, if any."""


def keep_in(folder: Path) -> None:
    """Leave word in a run's folder whenever its storage is unreachable.

    Args:
        folder: The run's folder.
    """
    _FOLDERS[:] = [folder]
    (folder / FILE).unlink(missing_ok=True)


def report(location: str, left_s: float) -> None:
    """Say that a storage does not answer.

    Args:
        location: The storage, without a password.
        left_s: Seconds for which it is tried again.
    """
    print(f"gamsearch: {location} does not answer; trying for {left_s:.0f} s more", file=sys.stderr, flush=True)
    for folder in _FOLDERS:
        with suppress(OSError):  # only `status` misses it
            (folder / FILE).write_text(f"{time.time() + left_s:.0f}\n", encoding="utf-8")


def report_back(location: str) -> None:
    """Say that a storage answers again.

    Args:
        location: The storage, without a password.
    """
    print(f"gamsearch: {location} answers again", file=sys.stderr, flush=True)
    for folder in _FOLDERS:
        with suppress(OSError):
            (folder / FILE).unlink(missing_ok=True)


def seconds_left(folder: Path) -> float | None:
    """Read for how long a run keeps trying to reach its storage.

    Args:
        folder: The run's folder.

    Returns:
        Seconds, at least 0; None if the run has not reported that its storage is unreachable.
    """
    try:
        until = float(read_regular(folder / FILE, 40))
    except (UnreadableError, OSError, ValueError):
        return None
    return max(0.0, until - time.time()) if isfinite(until) else None
