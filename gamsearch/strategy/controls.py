"""What a search compares with: the baseline, its noise over seeds, and the best candidate at other seeds."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import optuna

from gamsearch.analysis import pareto
from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, GamsearchError, RunError
from gamsearch.evaluation import Evaluator, TrialBudget, WorkerLeft
from gamsearch.study import store
from gamsearch.study.table import read_record
from gamsearch.study.workers import SingleWorker

CHANCE = random.SystemRandom()
"""Trainings seed Python's common generator, with which all workers would choose alike."""

Job = tuple[str, Architecture, int, int]
"""The study attribute that takes the result, the architecture, the number of its trial, and the seed."""


class TrainingProgress(Protocol):
    """What a training at another seed tells while it runs."""

    def started(self, number: int, label: str) -> None: ...
    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None: ...
    def ended(self, number: int, outcome: str, gain: float | None) -> None: ...


class Controls:
    """The trainings of one study that are no proposals, shared among its workers; each is recorded as it ends."""

    def __init__(
        self,
        study: optuna.Study,
        budget: TrialBudget,
        evaluator: Evaluator,
        shows: TrainingProgress,
        registry: SingleWorker,
    ):
        self.study, self.budget, self.evaluator, self.shows, self.registry = study, budget, evaluator, shows, registry

    def baseline(self, evaluate: Callable[[], None]) -> None:
        """Have trial 0 evaluated by `evaluate` unless the record has it; what it is worth fixes the reference point."""
        if store.baseline_trial(self.study) is None:
            evaluate()
        control = store.baseline_trial(self.study)
        if control is None:
            reason = store.trials(self.study)[-1].user_attrs.get("reason", "unknown")
            raise RunError(f"the baseline could not be evaluated ({reason}), so nothing can be compared with it")
        if "reference_point" not in self.study.user_attrs:
            point = pareto.reference_point(control.values, store.objectives_of(self.study))
            self.study.set_user_attr("reference_point", list(point))

    def noise(self, architecture: Architecture, seeds: int) -> list[dict[str, float]]:
        """The metrics of the baseline at `seeds` seeds, trial 0's first; what the record lacks is trained."""
        control = store.baseline_trial(self.study)
        assert control is not None
        first = {**control.user_attrs["measurement"]["metrics"], "seed": self.budget.seed}
        others = [self.budget.seed + n for n in range(1, seeds)]
        known = {seed["seed"]: seed for seed in self.study.user_attrs.get("baseline_seeds", [])}
        for seed in others:
            if seed in known and _control(seed) not in self.study.user_attrs:  # recorded before workers shared them
                self.study.set_user_attr(_control(seed), known[seed])

        def write(done: list[dict[str, float]]) -> None:
            self.study.set_user_attr("baseline_seeds", [first, *done])

        try:
            self._shared([(_control(seed), architecture, 0, seed) for seed in others], write)
        except CandidateFailed as failure:
            raise RunError(f"the baseline failed at another seed ({failure}), so its noise is unknown") from failure
        return list(self.study.user_attrs["baseline_seeds"])

    def confirm(self) -> None:
        """Train the best candidate at the baseline's other seeds as far as the record lacks them.

        The best of many gains at one seed is too good by selection; its paired gains at other seeds are not.
        """
        best = read_record(self.study, "").candidates.head(1)
        if best.empty or best["map50_95_gain"].iloc[0] <= 0:
            return
        key, number = best["key"].iloc[0], int(best["number"].iloc[0])
        architecture = Architecture.from_dict(best["architecture"].iloc[0])
        kept = self.study.user_attrs.get("confirmations", {})
        known = {one["seed"]: one for one in kept.get(key, [])}
        seeds = [int(control["seed"]) for control in self.study.user_attrs["baseline_seeds"][1:]]
        for seed in seeds:
            if seed in known and _confirmation(key, seed) not in self.study.user_attrs:
                self.study.set_user_attr(_confirmation(key, seed), known[seed])

        def write(done: list[dict[str, float]]) -> None:
            self.study.set_user_attr("confirmations", {**self.study.user_attrs.get("confirmations", {}), key: done})

        try:
            self._shared([(_confirmation(key, seed), architecture, number, seed) for seed in seeds], write)
        except CandidateFailed as failure:
            self.shows.ended(number, f"not confirmed: {failure}", None)

    def _shared(self, jobs: Sequence[Job], write: Callable[[list[dict[str, float]]], None]) -> None:
        """Have each job done by one of the workers; `write` is given the results so far, in the jobs' order.

        Two workers that choose the same job at the same time both do it, to the same result.
        """
        while True:
            own = self.study.user_attrs
            write([own[name] for name, *_ in jobs if name in own])
            missing = [job for job in jobs if job[0] not in own]
            if not missing:
                return
            if self.registry.leaving:
                raise KeyboardInterrupt
            taken = self.registry.tasks()
            free = [job for job in missing if job[0] not in taken]
            if not free:
                self.registry.wait()
                continue
            name, architecture, number, seed = CHANCE.choice(free) if self.registry.others() else free[0]
            with self.registry.working_on(name):
                self.study.set_user_attr(name, self._at_seed(architecture, number, seed))

    def _at_seed(self, architecture: Architecture, number: int, seed: int) -> dict[str, float]:
        """The metrics of an architecture at another seed; whatever goes wrong is a `CandidateFailed`."""
        self.shows.started(number, f"{architecture.label}, seed {seed}")
        try:
            budget = replace(self.budget, seed=seed, curve=False)
            measurement = self.evaluator.evaluate(architecture, budget, self._report)
        except WorkerLeft as left:
            raise KeyboardInterrupt from left
        except (CandidateFailed, GamsearchError):
            raise
        except Exception as error:
            raise CandidateFailed("error", f"{type(error).__name__}: {error}") from error
        return {**measurement.metrics, "seed": seed}

    def _report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        if epoch:
            self.shows.epoch(epoch, self.budget.epochs, metrics)
            if self.registry.leaving and epoch < self.budget.epochs:
                raise WorkerLeft


def _control(seed: int) -> str:
    return f"control:{seed}"


def _confirmation(key: str, seed: int) -> str:
    return f"confirmation:{key}:{seed}"
