"""How a search reports its progress."""

from collections.abc import Mapping
from typing import Protocol

from optuna.trial import FrozenTrial, TrialState

from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.study.history import History
from gamsearch.study.record import STATES


class Progress(Protocol):
    """Displays the progress of a search; `gamsearch.runs.progress` does so in a terminal."""

    def started(self, number: int, label: str, used: float, search_budget: SearchBudget) -> None:
        """A training starts.

        Args:
            number: Number of the trial.
            label: Its architecture in words.
            used: How much of the search budget is used up, in the budget's unit.
            search_budget: The budget.
        """
        ...

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        """An epoch of the current training ended.

        Args:
            epoch: The epoch, from 1.
            epochs: The epochs of a full training.
            metrics: Validation metrics by name, as fractions.
        """
        ...

    def ended(self, number: int, outcome: str, gain: float | None) -> None:
        """A trial ended, and its result is recorded.

        Args:
            number: Number of the trial.
            outcome: How it ended, in words.
            gain: Its primary metric minus the baseline's, as a fraction; None if it was not trained to the end.
        """
        ...


def outcome_of(trial: FrozenTrial) -> str:
    """How a trial ended, in a few words."""
    if "recalled_from" in trial.user_attrs:
        return f"repeats trial {trial.user_attrs['recalled_from']}"
    state = STATES[trial.state.name]
    return state if trial.state == TrialState.COMPLETE else f"{state}: {trial.user_attrs.get('reason', '')}"


def gain_of(trial: FrozenTrial, history: History, epochs: int) -> float | None:
    """The gain of a complete trial over the baseline in the primary metric after `epochs` epochs."""
    if trial.state != TrialState.COMPLETE or history.baseline is None:
        return None
    reached = trial.user_attrs["measurement"]["metrics"][history.task.primary]
    return float(reached - history.level(history.baseline, epochs))
