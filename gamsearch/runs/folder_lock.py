"""Who is at work in a run's folder: told by whoever holds its lock, and asked without holding it."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from gamsearch.errors import one_line

LOCK = ".lock"
FILE = ".worker.json"


@dataclass(frozen=True)
class Worker:
    """The process that holds a run's folder: its number, its machine, what it does, and since when (ISO 8601)."""

    pid: int
    host: str
    task: str
    since: str

    @property
    def shown(self) -> str:
        return f"{self.task} by process {self.pid} on {one_line(self.host)[:80]}, since {self.since}"


@contextmanager
def announced(folder: Path, task: str) -> Iterator[None]:
    """Tell in the folder who is at work there; only for who holds its lock."""
    worker = Worker(os.getpid(), platform.node(), task, datetime.now().isoformat(sep=" ", timespec="seconds"))
    path = folder / FILE
    path.write_text(json.dumps(asdict(worker)), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def at_work(folder: Path) -> bool:
    """Whether a process holds the folder; its lock is tried for an instant, and never made."""
    path = folder / LOCK
    if not path.exists() or path.is_symlink():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # not ours to write, so whoever is at work cannot be known
        return False
    lock.release()
    return False


def who(folder: Path) -> str:
    """`running` and, where the folder tells, by whom."""
    try:
        written = json.loads((folder / FILE).read_text(encoding="utf-8"))
        worker = Worker(int(written["pid"]), *(one_line(written[name])[:80] for name in ("host", "task", "since")))
    except (OSError, ValueError, KeyError, TypeError):
        return "running"
    return f"running ({worker.shown})"
