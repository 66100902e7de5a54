"""What a study knows about each architecture, read once per finished trial: what samplers and stopping rules decide on.

Several trials can belong to one architecture (a paused training that continues, a repeat); they share one
`ArchitectureHistory`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed
from gamsearch.metrics import METRICS, Metric

INTERRUPTED = "interrupted"
"""The reason of a trial that ended because the run was stopped."""
LOST = "lost"
"""How the reason of a trial begins that ended because its worker vanished."""


@dataclass
class ArchitectureHistory:
    """One architecture: `built` metrics, trained metrics by epoch, and how its last trial (`number`) ended.

    `state` is the trial's; `paused` says that a PRUNED training may go on.
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
        return self.state == TrialState.COMPLETE

    @property
    def settled(self) -> bool:
        """Whether nothing more can be learnt about it: complete, failed, refused or stopped for good."""
        return not self.paused

    def costs(self, objectives: tuple[Metric, ...]) -> tuple[float, ...] | None:
        """The objectives that are known before training, or None if it was never built."""
        names = [m.name for m in objectives if m.stage == "built"]
        return tuple(self.built[name] for name in names) if all(name in self.built for name in names) else None


class History:
    """All architectures of `study` by key; call `update` before reading.

    `spent` counts the epochs that candidates were trained for, `seconds` how long their trials took; what was
    interrupted counts for neither.
    """

    def __init__(self, study: optuna.Study):
        self.study = study
        self.known: dict[str, ArchitectureHistory] = {}
        self.baseline: ArchitectureHistory | None = None
        self.spent = 0
        self.seconds = 0.0
        self._open: set[int] = set()
        self._seen = 0

    def update(self) -> "History":
        """Read the trials that have finished since the last call."""
        trials = self.study.get_trials(deepcopy=False)
        waiting = sorted(self._open)
        self._open = set()
        for trial in (*(trials[n] for n in waiting), *trials[self._seen :]):
            if not trial.state.is_finished():
                self._open.add(trial.number)
                continue
            if "key" in trial.user_attrs and "recalled_from" not in trial.user_attrs and not interrupted(trial):
                self._learn(trial)
        self._seen = len(trials)
        return self

    def _learn(self, trial: FrozenTrial) -> None:
        own = trial.user_attrs
        architecture = Architecture.from_dict(own["architecture"])
        before = self.known.get(own["key"])
        measurement = own.get("measurement", {})
        found = ArchitectureHistory(
            architecture,
            trial.number,
            trial.state,
            {**(before.built if before else {}), **own.get("built", {})},
            curve_of(own) or (before.curve if before else {}),
            bool(own.get("stop", {}).get("paused", False)),
            str(own.get("reason", "")),
        )
        if trial.state == TrialState.COMPLETE:
            found.built |= {k: v for k, v in measurement["metrics"].items() if k not in _trained()}
        if architecture.is_baseline:
            if trial.state == TrialState.COMPLETE and self.baseline is None:
                self.baseline = self.known[own["key"]] = found
            return
        self.spent += int(own.get("epochs_trained", 0))
        self.seconds += _seconds(trial)
        self.known[own["key"]] = found

    def charged(self, each: int) -> int:
        """Epochs that count against an allowance of trainings of `each` epochs: a failed one counts as a whole one."""
        return self.spent + sum(each - known.epochs for known in self.candidates if known.state == TrialState.FAIL)

    @property
    def candidates(self) -> list[ArchitectureHistory]:
        """Everything but the baseline, in the order of first appearance."""
        return [known for known in self.known.values() if not known.architecture.is_baseline]

    @property
    def running(self) -> set[str]:
        """Keys of the architectures that other trials are at work on."""
        trials = self.study.get_trials(deepcopy=False)
        return {str(trials[n].user_attrs.get("key", "")) for n in self._open if n < len(trials)} - {""}

    def gain(self, known: ArchitectureHistory, epoch: int, metric: str = "map50_95") -> float | None:
        """The paired difference to the baseline after the same number of epochs, or None where one was not measured."""
        if self.baseline is None or epoch not in known.curve or epoch not in self.baseline.curve:
            return None
        return known.curve[epoch][metric] - self.baseline.curve[epoch][metric]


def _seconds(trial: FrozenTrial) -> float:
    """How long a trial took by its worker's own counter; older records by their clock, which may jump."""
    if "took" in trial.user_attrs:
        return float(trial.user_attrs["took"])
    return max(0.0, trial.duration.total_seconds()) if trial.duration else 0.0


def _trained() -> set[str]:
    """Names of the metrics that are read from a validation."""
    return {m.name for m in METRICS.values() if m.stage == "trained"}


def curve_of(attributes: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    """The trained metrics by epoch that a trial's attributes hold."""
    epochs, trained = attributes.get("measurement", {}).get("curve") or attributes.get("curve", []), _trained()
    return {int(e["epoch"]): {k: v for k, v in e.items() if k in trained} for e in epochs}


def interrupted(trial: FrozenTrial) -> bool:
    """Whether the trial ended because the run was stopped, not because of its architecture.

    A candidate's own failure has one of `CandidateFailed.REASONS`. A kill can leave none, or that of a stop which was
    noted but not told.
    """
    reason = str(trial.user_attrs.get("reason", ""))
    return trial.state == TrialState.FAIL and reason.partition(":")[0] not in CandidateFailed.REASONS


def is_lost(trial: FrozenTrial) -> bool:
    """Whether the trial ended because its worker vanished."""
    return str(trial.user_attrs.get("reason", "")).startswith(LOST)
