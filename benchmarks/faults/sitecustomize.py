"""Faults of a file server, for processes that have this folder in PYTHONPATH: `benchmarks/outages.py` uses it.

While the file that GAMSEARCH_FAULT names exists, operations on `study.journal` fail as over NFS while the server
restarts: it cannot be opened, read, written or synced. A write may fail before, within or after its bytes.
"""

import builtins
import errno
import io
import os
import random

FLAG = os.environ.get("GAMSEARCH_FAULT", "")
NUMBERS = (errno.ESTALE, errno.EIO, errno.ETIMEDOUT)
RNG = random.Random()
_open, _fsync = io.open, os.fsync


def fail(chance: float) -> None:
    """Raise with this probability while the fault lasts."""
    if FLAG and os.path.exists(FLAG) and RNG.random() < chance:
        number = RNG.choice(NUMBERS)
        raise OSError(number, os.strerror(number), "study.journal")


class Faulty(io.FileIO):
    """A file on such a server."""

    def readinto(self, buffer):
        fail(0.3)
        return super().readinto(buffer)

    def write(self, content):
        fail(0.3)
        written = super().write(content[: RNG.randint(1, len(content))] if FLAG and os.path.exists(FLAG) else content)
        fail(0.3)
        return written

    def truncate(self, size=None):
        fail(0.5)
        return super().truncate(size)


def faulty_open(file, mode="r", buffering=-1, *arguments, **named):
    """`open`, which fails or returns a faulty file if it is the journal."""
    if not (isinstance(file, (str, os.PathLike)) and str(file).endswith("study.journal") and "b" in mode):
        return _open(file, mode, buffering, *arguments, **named)
    fail(0.5)
    raw = Faulty(file, mode)
    return raw if buffering == 0 else io.BufferedReader(raw)


def faulty_fsync(number):
    """`os.fsync`, which may fail after the bytes are written."""
    _fsync(number)
    fail(0.2)


if FLAG:
    builtins.open = io.open = faulty_open
    os.fsync = faulty_fsync
