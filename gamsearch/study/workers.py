"""The worker registry of a study: which workers are alive, and what they are working on.

The heartbeat in a worker's entry counts up. On the same machine, a worker is dead as soon as the kernel has released
its lock file. From another machine, it is considered dead when its heartbeat has not changed over `MISSED` looks, each
at least one interval after the last. Wall clocks may jump, so none are compared.
"""

import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna

from gamsearch.study.single_worker import SingleWorker
from gamsearch.study.worker_entries import FOLDER, PREFIX, delete_free_locks, describe, lock_held, lock_of, workers

BEAT_S = 15.0
"""Seconds between two heartbeats."""
MISSED = 4
"""Looks without a new heartbeat after which a worker is considered dead."""


class WorkerRegistry(SingleWorker):
    """The workers of a study from the view of this one, which is alive within the registry's context.

    `leaving` becomes true when the worker is asked to stop after its epoch, or when its parent process is gone.

    Args:
        study: The study.
        folder: The run's folder.
        device: Device of this worker, for display.
        leads: Whether this worker opens the study for the others.
        beat_s: Seconds between two heartbeats.
        parent: ID of the process that started this worker; 0 if none watches over it.
    """

    def __init__(
        self,
        study: optuna.Study,
        folder: Path,
        device: str,
        leads: bool = True,
        beat_s: float = BEAT_S,
        parent: int = 0,
    ):
        self.study, self.folder, self.leads, self.beat_s, self.parent = study, folder / FOLDER, leads, beat_s, parent
        self.id = uuid.uuid4().hex[:12]
        self.leaving = False
        self.entry: dict[str, Any] = {
            "pid": os.getpid(),
            "host": platform.node(),
            "device": device,
            "since": datetime.now().isoformat(sep=" ", timespec="seconds"),
            "leads": leads,
            "task": "",
            "beat": 0,
        }
        self._seen: dict[str, tuple[Any, int, float]] = {}
        self._left, self._writing = threading.Event(), threading.Lock()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._lock = lock_of(self.folder, self.id)

    def __enter__(self) -> "WorkerRegistry":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.acquire(timeout=0)
        self._publish()
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._heart.join(timeout=5)
        ended = [self.id]
        with suppress(Exception):  # the storage may be what ended the work
            self._publish(left=True)
            if not self.others():
                ended += self._others()
        self._lock.release()
        delete_free_locks(self.folder, ended)

    def _beat(self) -> None:
        """Publish heartbeats and watch the parent process; runs in a thread."""
        while not self._left.wait(self.beat_s if not self.parent else min(self.beat_s, 1.0)):
            if self.parent and os.getppid() != self.parent:
                self.leaving = True
            if time.monotonic() - self._published >= self.beat_s:
                with suppress(Exception):  # the next heartbeat tries again
                    self._publish()

    def _publish(self, **changes: Any) -> None:
        """Write this worker's entry, with some values changed, and count its heartbeat up."""
        with self._writing:
            self._published = time.monotonic()
            at = datetime.now().isoformat(sep=" ", timespec="seconds")
            self.entry = {**self.entry, **changes, "at": at, "beat": self.entry["beat"] + 1}
            self.study.set_user_attr(PREFIX + self.id, self.entry)

    def _others(self) -> dict[str, Mapping[str, Any]]:
        """The entries of the other workers, including those that left or died."""
        return {worker: entry for worker, entry in workers(self.study).items() if worker != self.id}

    def alive(self, worker: str) -> bool:
        """Check whether a worker may still be alive.

        Args:
            worker: ID of the worker.

        Returns:
            Whether it may be alive; an unknown worker is not.
        """
        if worker == self.id:
            return True
        entry = self._others().get(worker)
        return entry is not None and self._alive(worker, entry)

    def _alive(self, worker: str, entry: Mapping[str, Any]) -> bool:
        if entry.get("left"):
            return False
        here = entry.get("host") == platform.node()
        locked = lock_held(self.folder, worker) if here else None
        return locked if locked is not None else self.beating(worker, entry.get("beat"))

    def beating(self, name: str, beat: Any) -> bool:
        """Look at a heartbeat and check whether it may still be counting up.

        Args:
            name: What the heartbeat belongs to.
            beat: Its present value.

        Returns:
            False once it has not changed over `MISSED` looks.
        """
        now = time.monotonic()
        before, looks, at = self._seen.get(name, (beat, 0, now))
        if before != beat:
            looks, at = 0, now
        elif now - at >= self.beat_s:
            looks, at = looks + 1, now
        self._seen[name] = (beat, looks, at)
        return looks < MISSED

    def others(self) -> list[str]:
        """Return the IDs of the other workers that may still be alive."""
        return [worker for worker, entry in self._others().items() if self._alive(worker, entry)]

    def leaders(self) -> list[str]:
        """Return the IDs of the other workers that lead the study and may still be alive, normally at most one."""
        others = self._others().items()
        return [worker for worker, entry in others if entry.get("leads") and self._alive(worker, entry)]

    def beats(self) -> dict[str, Any]:
        """Return the heartbeats of the other workers by their IDs."""
        return {worker: entry.get("beat") for worker, entry in self._others().items()}

    def locked_here(self, worker: str) -> bool:
        """Check whether another worker holds a lock file in this folder, so that it is certainly alive.

        Args:
            worker: ID of the worker.

        Returns:
            Whether it holds one.
        """
        return self._others()[worker].get("host") == platform.node() and bool(lock_held(self.folder, worker))

    def describe(self, worker: str) -> str:
        """Describe another worker for a message.

        Args:
            worker: ID of the worker.

        Returns:
            A text such as `process 4711 on host, cuda:0`.
        """
        return describe(self._others()[worker])

    def tasks(self) -> set[str]:
        """Return the tasks besides trials that the others are working on."""
        return {str(entry.get("task")) for worker, entry in self._others().items() if self._alive(worker, entry)} - {""}

    @contextmanager
    def working_on(self, task: str) -> Iterator[None]:
        """Publish a task besides trials while the context lasts.

        Args:
            task: Name of the task.

        Yields:
            None.
        """
        self._publish(task=task)
        try:
            yield
        finally:
            self._publish(task="")
