"""Who works on a study, and who of them is still alive. No torch.

Every worker keeps a line `worker:ID` in the study, whose `beat` counts up. On one machine a worker is dead as soon as
the kernel has freed its lock file; from elsewhere it is dead when its beat stood still for `MISSED` looks, each a
beat's time after the last. No clock is compared with another one, and none with itself: clocks jump, storages go away.
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
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

from gamsearch.errors import one_line
from gamsearch.study.schema import KEY

PREFIX = "worker:"
FOLDER = "workers"
BEAT_S = 15.0
MISSED = 4
POLL_S = 0.3
"""So long a worker that has nothing to do sleeps between two looks."""


class SingleWorker:
    """The roster of a search that has no other workers."""

    own = ""
    leads = True
    leaving = False

    def alive(self, worker: str) -> bool:
        """Whether that worker may still be at work."""
        return False

    def others(self) -> list[str]:
        """The other workers that may still be at work."""
        return []

    def tasks(self) -> set[str]:
        """What the others are at work on besides trials."""
        return set()

    @contextmanager
    def at(self, task: str) -> Iterator[None]:
        """Tell the others what is being worked on that is no trial."""
        yield

    def wait(self) -> None:
        """Sleep a little while others are at work."""
        time.sleep(POLL_S)


class WorkerRegistry(SingleWorker):
    """The workers of `study` as this one sees them; use it as a context manager, within which this one is alive.

    `leads` is whether this worker opens the study for the others. `leaving` becomes true when it was asked to end
    after its epoch, or when the process `parent` that started it is gone.
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
        self.own = uuid.uuid4().hex[:12]
        self.leaving = False
        self.facts: dict[str, Any] = {
            "pid": os.getpid(),
            "host": platform.node(),
            "device": device,
            "since": datetime.now().isoformat(sep=" ", timespec="seconds"),
            "leads": leads,
            "task": "",
            "beat": 0,
        }
        self._looks: dict[str, tuple[Any, int, float]] = {}
        self._gone, self._telling = threading.Event(), threading.Lock()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._lock = _lock_of(self.folder, self.own)

    def __enter__(self) -> "WorkerRegistry":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.acquire(timeout=0)
        self._tell()
        self._beating.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.set()
        self._beating.join(timeout=5)
        with suppress(Exception):  # the storage may be what ended the work
            self._tell(left=True)
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._gone.wait(self.beat_s if not self.parent else min(self.beat_s, 1.0)):
            if self.parent and os.getppid() != self.parent:
                self.leaving = True
            if time.monotonic() - self._told >= self.beat_s:
                with suppress(Exception):  # the next beat tries again
                    self._tell()

    def _tell(self, **more: Any) -> None:
        with self._telling:
            self._told = time.monotonic()
            at = datetime.now().isoformat(sep=" ", timespec="seconds")
            self.facts = {**self.facts, **more, "at": at, "beat": self.facts["beat"] + 1}
            self.study.set_user_attr(PREFIX + self.own, self.facts)

    def _known(self) -> dict[str, Mapping[str, Any]]:
        """The other workers' lines, also of those that left."""
        return {id: facts for id, facts in workers(self.study).items() if id != self.own}

    def alive(self, worker: str) -> bool:
        """Whether that worker may still be at work; one that was never heard of is not."""
        if worker == self.own:
            return True
        facts = self._known().get(worker)
        return facts is not None and self._alive(worker, facts)

    def _alive(self, worker: str, facts: Mapping[str, Any]) -> bool:
        if facts.get("left"):
            return False
        here = facts.get("host") == platform.node()
        locked = lock_held(self.folder, worker) if here else None
        return locked if locked is not None else self.watched(worker, facts.get("beat"))

    def watched(self, name: str, beat: Any) -> bool:
        """Whether something with a counter may still be alive: False once it stood still for `MISSED` looks."""
        now = time.monotonic()
        before, looks, at = self._looks.get(name, (None, 0, now))
        if name not in self._looks or before != beat:
            looks, at = 0, now
        elif now - at >= self.beat_s:
            looks, at = looks + 1, now
        self._looks[name] = (beat, looks, at)
        return looks < MISSED

    def others(self) -> list[str]:
        return [worker for worker, facts in self._known().items() if self._alive(worker, facts)]

    def leaders(self) -> list[str]:
        """The other workers that lead the study and may still be at work: a run, at most one of them alive."""
        known = self._known()
        return [worker for worker, facts in known.items() if facts.get("leads") and self._alive(worker, facts)]

    def beats(self) -> dict[str, Any]:
        """The counters of the other workers."""
        return {worker: facts.get("beat") for worker, facts in self._known().items()}

    def here(self, worker: str) -> bool:
        """Whether that worker holds a lock file in this folder, so that it is alive for certain."""
        return self._known()[worker].get("host") == platform.node() and bool(lock_held(self.folder, worker))

    def described(self, worker: str) -> str:
        """That worker in a sentence."""
        return described(self._known()[worker])

    def tasks(self) -> set[str]:
        return {str(facts.get("task")) for worker, facts in self._known().items() if self._alive(worker, facts)} - {""}

    @contextmanager
    def at(self, task: str) -> Iterator[None]:
        self._tell(task=task)
        try:
            yield
        finally:
            self._tell(task="")


def workers(study: optuna.Study) -> dict[str, Mapping[str, Any]]:
    """The lines of all workers by their identities, also of those that left or died."""
    found = {name.removeprefix(PREFIX): facts for name, facts in study.user_attrs.items() if name.startswith(PREFIX)}
    return {id: facts for id, facts in found.items() if KEY.fullmatch(id) and isinstance(facts, Mapping)}


def lock_held(folder: Path, worker: str) -> bool | None:
    """Whether a worker of this machine holds its lock file in `folder`; None if there is no such file to tell by."""
    lock = _lock_of(folder, worker)
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


def _lock_of(folder: Path, worker: str) -> FileLock:
    return FileLock(folder / f"{worker}.lock")


def owner(trial: FrozenTrial) -> str:
    """The worker that a trial belongs to; empty if it has not told yet, or was recorded before there were workers."""
    return str(trial.user_attrs.get("worker", ""))


def lost(study: optuna.Study, registry: SingleWorker) -> list[FrozenTrial]:
    """The running trials whose worker is dead."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    anybody = bool(registry.others()) if any(not owner(trial) for trial in running) else False
    found = []
    for trial in running:
        worker = owner(trial)
        if worker:
            alive = registry.alive(worker)
        else:  # between being asked for and telling its worker, or left there
            alive = anybody and isinstance(registry, WorkerRegistry) and registry.watched(f"trial {trial.number}", None)
        if not alive:
            found.append(trial)
    return found


def described(facts: Mapping[str, Any]) -> str:
    """E.g. `process 4711 on host, cuda:0`."""
    return one_line(f"process {facts.get('pid')} on {facts.get('host')}, {facts.get('device')}")[:200]
