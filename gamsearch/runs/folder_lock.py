"""One writer per run folder: the lock, and a note that names the process that holds it. No torch."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from gamsearch.errors import RunError, one_line
from gamsearch.files import UnreadableError, read_json, refuse_links
from gamsearch.runs.progress import RunProgress
from gamsearch.signals import stop_request
from gamsearch.study.workers import MISSED, WorkerRegistry

LOCK = ".lock"
FILE = ".worker.json"


@dataclass(frozen=True)
class Holder:
    """The process that holds a run's folder: its id, its host, its task, and since when (ISO 8601)."""

    pid: int
    host: str
    task: str
    since: str

    @property
    def description(self) -> str:
        return f"{self.task} by process {self.pid} on {one_line(self.host)[:80]}, since {self.since}"


@contextmanager
def held(folder: Path, task: str = "search") -> Iterator[None]:
    """Lock a run's folder against other writers, name this process in it, and stop on a signal."""
    with _lock(folder), stop_request.handled(), announced(folder, task):
        yield


def make_folder(folder: Path) -> None:
    """Create a run's folder; raise `RunError` if it is not writable or holds a link that leads out of it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
        refuse_links(folder)
    except OSError as error:
        raise RunError(
            f"{folder} is not writable ({error.strerror}); change its permissions or give another --out"
        ) from error


@contextmanager
def announced(folder: Path, task: str) -> Iterator[None]:
    """Note in the folder which process works there; call it only while holding the lock."""
    holder = Holder(os.getpid(), platform.node(), task, datetime.now().isoformat(sep=" ", timespec="seconds"))
    path = folder / FILE
    path.write_text(json.dumps(asdict(holder)), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def is_locked(folder: Path) -> bool:
    """Return whether a process holds the folder, without creating the lock file.

    Args:
        folder: A run's folder.

    Returns:
        True while a search or a verification runs there; False also where the lock cannot be opened.
    """
    path = folder / LOCK
    if not path.exists() or path.is_symlink():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # somebody else's file: unknown
        return False
    lock.release()
    return False


def running_state(folder: Path) -> str:
    """Describe the process that holds the folder.

    Args:
        folder: A run's folder that is locked.

    Returns:
        `running`, followed by the task, process, host and start time if the note in the folder is readable.
    """
    try:
        note = read_json(folder / FILE)
        holder = Holder(int(note["pid"]), *(one_line(note[name])[:80] for name in ("host", "task", "since")))
    except (OSError, UnreadableError, ValueError, KeyError, TypeError):
        return "running"
    return f"running ({holder.description})"


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder; the lock disappears with the process."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(f"{folder} is in use by another run; wait for it or give another --name") from error
    try:
        yield
    finally:
        lock.release()


def refuse_second_leader(registry: WorkerRegistry, progress: RunProgress) -> None:
    """Refuse a second run on one storage; wait until a leader that died on another machine is considered dead.

    Args:
        registry: The workers of the study, this process among them.
        progress: Displays that another run is being watched.

    Raises:
        RunError: Another run leads the study.
    """
    beats = registry.beats()
    reported = False
    while leaders := registry.leaders():
        now = registry.beats()
        for worker in leaders:
            if registry.locked_here(worker) or now[worker] != beats.get(worker):
                raise RunError(
                    f"this study is led by another run ({registry.describe(worker)}); wait for it, join it with "
                    "`worker`, or give another --name"
                )
        if not reported:
            minutes = registry.beat_s * (MISSED + 1) / 60
            progress.say(f"another run led this study and did not end cleanly; watching it for up to {minutes:.0f} min")
            reported = True
        registry.wait()
