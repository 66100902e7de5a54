"""What the study and the lock files record about workers: the entry `worker:ID` of each, and the owner of a trial."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial

from gamsearch.errors import one_line
from gamsearch.study.schema import KEY

PREFIX = "worker:"
FOLDER = "workers"
"""Subfolder of a run's folder that holds the lock files."""


def workers(study: optuna.Study) -> dict[str, Mapping[str, Any]]:
    """Return the entries of all workers.

    Args:
        study: The study.

    Returns:
        Entries by worker ID, including those of workers that left or died.
    """
    found = {name.removeprefix(PREFIX): entry for name, entry in study.user_attrs.items() if name.startswith(PREFIX)}
    return {id: entry for id, entry in found.items() if KEY.fullmatch(id) and isinstance(entry, Mapping)}


def lock_held(folder: Path, worker: str) -> bool | None:
    """Check whether a worker of this machine holds its lock file.

    Args:
        folder: Folder of the lock files.
        worker: ID of the worker.

    Returns:
        Whether it holds the lock; None if there is no such file or it cannot be locked.
    """
    lock = lock_of(folder, worker)
    if not Path(lock.lock_file).is_file():
        return None
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return None
    lock.release()
    return False


def delete_free_locks(folder: Path, names: Iterable[str]) -> None:
    """Delete the lock files that nobody holds.

    The last worker calls it: without the file of a dead worker, others would have to wait for its missed heartbeats.

    Args:
        folder: Folder of the lock files.
        names: IDs of workers that have published their entry, and so held their lock before.
    """
    for name in names:
        if lock_held(folder, name) is False:
            Path(lock_of(folder, name).lock_file).unlink(missing_ok=True)


def owner(trial: FrozenTrial) -> str:
    """Return the worker that a trial belongs to.

    Args:
        trial: A trial of the study.

    Returns:
        ID of the worker; empty if it is not recorded yet, or if the record is older than workers.
    """
    return str(trial.user_attrs.get("worker", ""))


def describe(entry: Mapping[str, Any]) -> str:
    """Describe a worker for a message.

    Args:
        entry: The worker's entry in the study.

    Returns:
        A text such as `process 4711 on host, cuda:0`.
    """
    return one_line(f"process {entry.get('pid')} on {entry.get('host')}, {entry.get('device')}")[:200]


def lock_of(folder: Path, worker: str) -> FileLock:
    """The lock file of a worker, which the kernel releases when the worker dies."""
    return FileLock(folder / f"{worker}.lock")
