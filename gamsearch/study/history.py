"""What a study knows about each architecture: what samplers and stopping policies decide on.

Several trials can belong to one architecture (a paused training that resumes, a repeat); they share one
`ArchitectureHistory`. Every finished trial is read once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from gamsearch.architecture import Architecture
from gamsearch.metrics import METRICS, Metric
from gamsearch.study import store
from gamsearch.study.interruptions import interrupted


@dataclass
class ArchitectureHistory:
    """What is known about one architecture.

    Attributes:
        architecture: The architecture.
        number: Number of its last trial.
        state: State of that trial.
        built: Metrics that are known before training.
        curve: Trained metrics by epoch.
        paused: Whether that trial was PRUNED but its training may be resumed.
        reason: Why that trial failed or was pruned.
    """

    architecture: Architecture
    number: int
    state: TrialState
    built: dict[str, float] = field(default_factory=dict)
    curve: dict[int, dict[str, float]] = field(default_factory=dict)
    paused: bool = False
    reason: str = ""

    @property
    def epochs(self) -> int:
        """Epochs trained so far."""
        return max(self.curve, default=0)

    @property
    def complete(self) -> bool:
        """Whether it was trained to the end."""
        return self.state == TrialState.COMPLETE

    @property
    def settled(self) -> bool:
        """Whether nothing more can be learnt about it: complete, failed, refused or stopped for good."""
        return not self.paused

    def beyond(self, other: "ArchitectureHistory") -> bool:
        """Check whether this is known later than another history of the same architecture.

        Trials do not end in the order of their numbers: one that waited in the queue may resume a later one.

        Args:
            other: The history of a trial with a higher number.

        Returns:
            Whether this one is settled or has more epochs, while the other is only paused.
        """
        return other.paused and (self.settled or self.epochs > other.epochs)

    def costs(self, objectives: tuple[Metric, ...]) -> tuple[float, ...] | None:
        """Return the objectives that are known before training.

        Args:
            objectives: The objectives of the study.

        Returns:
            One value per built objective, or None if the architecture was never built.
        """
        names = [m.name for m in objectives if m.stage == "built"]
        return tuple(self.built[name] for name in names) if all(name in self.built for name in names) else None


class History:
    """The history of all architectures of `study`; call `update` before reading it.

    Attributes:
        trials: All trials as they were at the last update.
        architectures: The history of each architecture by key, in order of first appearance.
        baseline: The history of the baseline, or None while it is not complete.
        task: What the recorded detector is for.
        spent: Epochs for which candidates were trained, without interrupted trials.
        seconds: Duration of their trials, without interrupted ones.
    """

    def __init__(self, study: optuna.Study):
        self.study = study
        self.task = store.task(study)
        self.trials: list[FrozenTrial] = []
        self.architectures: dict[str, ArchitectureHistory] = {}
        self.baseline: ArchitectureHistory | None = None
        self.spent = 0
        self.seconds = 0.0
        self._candidates: dict[str, ArchitectureHistory] = {}
        self._failed: dict[str, ArchitectureHistory] = {}
        self._unfinished: list[int] = []

    def update(self) -> "History":
        """Read the trials that have finished since the last call; return this history."""
        before, waiting = len(self.trials), self._unfinished
        self.trials, self._unfinished = self.study.get_trials(deepcopy=False), []
        for trial in (*(self.trials[n] for n in waiting), *self.trials[before:]):
            if not trial.state.is_finished():
                self._unfinished.append(trial.number)
                continue
            if "key" in trial.user_attrs and "recalled_from" not in trial.user_attrs and not interrupted(trial):
                self._add(trial)
        return self

    def _add(self, trial: FrozenTrial) -> None:
        """Add a finished trial to the history of its architecture."""
        attributes = trial.user_attrs
        key, architecture = attributes["key"], Architecture.from_dict(attributes["architecture"])
        before = self.architectures.get(key)
        history = ArchitectureHistory(
            architecture,
            trial.number,
            trial.state,
            {**(before.built if before else {}), **attributes.get("built", {})},
            curve_of(attributes) or (before.curve if before else {}),
            bool(attributes.get("stop", {}).get("paused", False)),
            str(attributes.get("reason", "")),
        )
        if history.complete:
            metrics = attributes["measurement"]["metrics"]
            history.built |= {k: v for k, v in metrics.items() if k not in _trained_metrics()}
        if architecture.is_baseline:
            if history.complete and self.baseline is None:
                self.baseline = self.architectures[key] = history
            return
        self.spent += int(attributes.get("epochs_trained", 0))
        self.seconds += _seconds(trial)
        if before is None or not before.beyond(history):
            self.keep(key, history)

    def keep(self, key: str, history: ArchitectureHistory) -> None:
        """Set what is known about a candidate.

        Args:
            key: Its recorded key.
            history: Its history, which replaces the one before.
        """
        self.architectures[key] = self._candidates[key] = history
        self._failed.pop(key, None)
        if history.state == TrialState.FAIL:
            self._failed[key] = history

    def charged(self, each: int) -> int:
        """Count the epochs that are charged to the search budget: a failed training counts as a whole one.

        Args:
            each: Epochs of a whole training.

        Returns:
            Number of epochs.
        """
        return self.spent + sum(each - history.epochs for history in self._failed.values())

    @property
    def candidates(self) -> list[ArchitectureHistory]:
        """All architectures but the baseline, in order of first appearance."""
        return list(self._candidates.values())

    @property
    def unfinished(self) -> list[FrozenTrial]:
        """The trials that were waiting or running at the last update."""
        return [self.trials[number] for number in self._unfinished]

    @property
    def running(self) -> set[str]:
        """Keys of the architectures whose trials were running at the last update."""
        return {str(trial.user_attrs.get("key", "")) for trial in self.unfinished} - {""}

    def level(self, history: ArchitectureHistory, epoch: int) -> float:
        """Return the primary metric of an architecture.

        Args:
            history: The history of the architecture.
            epoch: Number of epochs after which it was measured.

        Returns:
            The metric.
        """
        return history.curve[epoch][self.task.primary]

    def gain(self, history: ArchitectureHistory, epoch: int) -> float | None:
        """Return the paired difference of an architecture to the baseline in the primary metric.

        Args:
            history: The history of the architecture.
            epoch: Number of epochs after which both are compared.

        Returns:
            The difference, or None if one of the two was not measured after that epoch.
        """
        if self.baseline is None or epoch not in history.curve or epoch not in self.baseline.curve:
            return None
        return self.level(history, epoch) - self.level(self.baseline, epoch)


def curve_of(attributes: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    """Return the trained metrics by epoch in a trial's attributes."""
    epochs = attributes.get("measurement", {}).get("curve") or attributes.get("curve", [])
    trained = _trained_metrics()
    return {int(e["epoch"]): {k: v for k, v in e.items() if k in trained} for e in epochs}


def _seconds(trial: FrozenTrial) -> float:
    """Duration of a trial by its worker's monotonic clock; older records by the wall clock, which may jump."""
    if "took" in trial.user_attrs:
        return float(trial.user_attrs["took"])
    return max(0.0, trial.duration.total_seconds()) if trial.duration else 0.0


def _trained_metrics() -> set[str]:
    """Names of the metrics that validation measures."""
    return {m.name for m in METRICS.values() if m.stage == "trained"}
