"""Several workers of one study in one process, each in a thread that runs only when it is told to.

A worker carries out the real search on a real journal. It halts before each call of the storage, each epoch and each
sleep, so that it can be killed, stalled or told to leave at any of these points, or lose the call or its reply. Time
passes only when `advance` is called.
"""

import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from made_up import timed_table
from optuna.storages import BaseStorage, JournalStorage
from optuna.trial import TrialState

from gamsearch.evaluation import TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.signals import stop_request
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING
from gamsearch.study import claims, outage, store, workers
from gamsearch.study.interruptions import interrupted
from gamsearch.study.journal import Journal
from gamsearch.study.retrying import RetryingStorage
from gamsearch.study.workers import WorkerRegistry
from gamsearch.training.replay import ReplayEvaluator, ReplayTable
from support.landscape import Quiet

EPOCHS = 3
CALLS = 7
"""Calls of the storage for which a worker runs while time passes; a trial has some 40."""
SHOWN = ("key", "worker", "claimed", "recalled_from", "retry_of", "resumes", "reason", "epochs_trained", "stop")
WAIT_S = 60.0
"""Real seconds for a thread to halt; more is a deadlock."""


class Killed(BaseException):
    """As SIGKILL: nothing that the worker still does reaches the study."""


class World:
    """The study, its workers and their clock; `evaluating` has the workers that train each architecture."""

    def __init__(self, folder: Path, stopping: str, sampler: str, trials: int):
        self.folder, self.clock, self.all = folder, 0.0, []
        table, space_file = timed_table(folder, "[4, 6]", 0.0)
        self.table, self.space = ReplayTable.read(table), SearchSpace.load(space_file)
        budget = TrialBudget(EPOCHS), SearchBudget(trials)
        self.plan = Plan(self.space, *budget, sampler, noise_seeds=1, stopping=STOPPING[stopping])
        store.create(folder, [metric_named(name) for name in self.space.objectives], {"settings": {}})
        self.study = store.load(folder)
        self.evaluating: dict[str, list[Worker]] = {}
        clock = SimpleNamespace(monotonic=lambda: self.clock, sleep=self._sleep)
        self._patch = pytest.MonkeyPatch()
        for module in (claims, outage, workers):
            self._patch.setattr(module, "time", clock)
        self._patch.setattr(stop_request, "sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        for worker in self.all:
            worker.halt()

    @property
    def alive(self) -> list["Worker"]:
        return [worker for worker in self.all if not worker.ended]

    @property
    def is_open(self) -> bool:
        return bool(self.study.user_attrs.get("open"))

    def start(self, leads: bool, far: bool) -> None:
        self.all.append(Worker(self, len(self.all) + 1, leads, far))

    def advance(self, seconds: float = 15.0) -> None:
        """Let time pass, in which every worker that is not stalled makes a little progress."""
        self.clock += seconds
        for worker in self.alive:
            if worker.stalled:
                worker.presumed_dead = True
            else:
                worker.beat()
                worker.step(CALLS)

    def finish(self) -> None:
        """Let all workers end by themselves, then one that leads."""
        for worker in self.alive:
            worker.stalled = False
        self._until_all_ended()
        self.start(True, False)
        self._until_all_ended()

    def _until_all_ended(self) -> None:
        for _ in range(2000):
            if not self.alive:
                return
            self.advance(3.0)
        raise AssertionError("the search does not end")

    def close(self) -> None:
        """Kill what still runs and give the modules their clocks back."""
        for worker in self.alive:
            with suppress(Exception):
                worker.kill()
        self._patch.undo()

    def evaluated(self) -> Counter:
        """How often each architecture was settled: trained to the end, stopped for good or failed by itself."""
        found: Counter = Counter()
        for trial in store.trials(self.study):
            known = trial.user_attrs
            paused = known.get("stop", {}).get("paused")
            if trial.state.is_finished() and "key" in known and not (paused or interrupted(trial)):
                found[known["key"]] += "recalled_from" not in known
        return found

    def lost(self) -> set[str]:
        """Architectures that were proposed, but are neither settled, nor paused, nor in the queue."""
        trials = store.trials(self.study)
        kept = {t.user_attrs["key"] for t in trials if t.user_attrs.get("stop", {}).get("paused")}
        for trial in trials:
            if trial.state == TrialState.WAITING:
                kept.add(self.space.decode(trial.system_attrs["fixed_params"]).key)
        begun = {t.user_attrs["key"] for t in trials if "key" in t.user_attrs and "recalled_from" not in t.user_attrs}
        return begun - kept - set(+self.evaluated())

    def epochs(self) -> Counter:
        """How many epochs of each architecture the record counts, without interrupted trials."""
        found: Counter = Counter()
        for trial in store.trials(self.study):
            known = trial.user_attrs
            if trial.state.is_finished() and "recalled_from" not in known and not interrupted(trial):
                found[known["key"]] += known.get("epochs_trained", 0)
        return found

    def mixed_up(self) -> list[int]:
        """Trials with the result of another architecture."""
        trials = store.trials(self.study, TrialState.COMPLETE)
        every = store.trials(self.study)
        recalled = [(t, every[t.user_attrs["recalled_from"]]) for t in trials if "recalled_from" in t.user_attrs]
        return [t.number for t, twin in recalled if t.user_attrs["key"] != twin.user_attrs["key"]]

    def blamed(self) -> list[str]:
        """The reasons of candidates that failed by themselves: none ever does here."""
        failed = store.trials(self.study, TrialState.FAIL)
        return [trial.user_attrs["reason"] for trial in failed if not interrupted(trial)]

    def story(self) -> str:
        """Every trial in a line, for the message of a failure."""
        lines = []
        for trial in store.trials(self.study):
            known = {k: v for k, v in trial.user_attrs.items() if k in SHOWN}
            lines.append(f"{trial.number} {trial.state.name} {known}")
        return "\n".join(lines)


class Worker:
    """One worker of a world, in a thread of its own."""

    def __init__(self, world: World, number: int, leads: bool, far: bool):
        self.world, self.leads = world, leads
        self.ended = self.killed = self.stalled = self.presumed_dead = False
        self.budget, self.fault, self.error = 0, "", None
        self._go, self._halted = threading.Semaphore(0), threading.Semaphore(0)
        self.thread = threading.Thread(target=self._work, daemon=True)
        journal = JournalStorage(Journal(world.folder / store.JOURNAL))
        storage = RetryingStorage(Interrupted(self, journal), "the journal")
        self.registry = Registry(optuna.load_study(study_name="gamsearch", storage=storage), world, number, leads, far)
        self.thread.start()

    def _work(self) -> None:
        self._go.acquire()
        registry = self.registry
        try:
            with registry:
                search(registry.study, self.world.plan, Evaluator(self), Quiet(), registry)
        except (Killed, KeyboardInterrupt) as ending:
            if isinstance(ending, Killed) != self.killed:
                self.error = ending
            registry._lock.release()  # as the kernel does
        except BaseException as error:
            self.error = error
        self.ended = True
        self._halted.release()

    def halt(self) -> None:
        """Called by the worker's thread where it may be interrupted."""
        if threading.current_thread() is not self.thread:
            return
        self.budget -= 1
        if self.budget < 0 and not self.killed:
            self._halted.release()
            self._go.acquire()
        if self.killed:
            raise Killed

    def step(self, calls: int) -> None:
        """Let the worker run until it has called the storage so often, trained or slept."""
        if not self.ended:
            self.budget = calls
            self._go.release()
            self._await()

    def kill(self) -> None:
        self.killed = True
        self.step(0)

    def leave(self) -> None:
        self.registry.leaving = True

    def beat(self) -> None:
        if self.registry.entered:
            self.registry.direct.set_user_attr(workers.PREFIX + self.registry.id, self.registry.next_entry())

    def _await(self) -> None:
        assert self._halted.acquire(timeout=WAIT_S), "a worker does not halt"
        if self.error is not None:
            raise self.error


class Registry(WorkerRegistry):
    """A registry whose heart beats when the world's time passes."""

    def __init__(self, study: optuna.Study, world: World, number: int, leads: bool, far: bool):
        super().__init__(study, world.folder, "cpu", leads)
        self.id = f"{number:012x}"
        self._lock = workers.lock_of(self.folder, self.id)
        self._heart = SimpleNamespace(start=lambda: None, join=lambda timeout: None)
        self.direct, self.entered = world.study, False
        if far:
            self.entry["host"] = "another machine"

    def __enter__(self) -> "Registry":
        super().__enter__()
        self.entered = True
        return self

    def __exit__(self, *error: object) -> None:
        self.entered = False
        super().__exit__(*error)

    def next_entry(self) -> dict:
        self.entry = {**self.entry, "beat": self.entry["beat"] + 1}
        return self.entry


class Interrupted:
    """A journal whose calls a worker halts before, and of which it may lose one or its reply."""

    def __init__(self, worker: Worker, storage: BaseStorage):
        self._worker, self._storage = worker, storage

    def __getattr__(self, name: str):
        called = getattr(self._storage, name)

        def call(*arguments, **named):
            self._worker.halt()
            fault, self._worker.fault = self._worker.fault, ""
            if fault == "call":
                raise ConnectionResetError("the call was lost")
            answer = called(*arguments, **named)
            if fault == "reply":
                raise ConnectionResetError("the reply was lost")
            return answer

        return call


class Evaluator(ReplayEvaluator):
    """A replay that halts before every epoch; two workers that others believe alive never train the same."""

    def __init__(self, worker: Worker):
        super().__init__(worker.world.table)
        self.worker = worker

    def evaluate(self, architecture, budget, report):
        worker, active = self.worker, self.worker.world.evaluating.setdefault(architecture.key, [])
        twins = [other for other in active if not (other.killed or other.presumed_dead)]
        assert not twins or worker.presumed_dead, f"{architecture.label} is trained twice at the same time"
        active.append(worker)

        def halting(epoch, metrics):
            worker.halt()
            report(epoch, metrics)

        try:
            return super().evaluate(architecture, budget, halting)
        finally:
            active.remove(worker)
            worker.presumed_dead = False
