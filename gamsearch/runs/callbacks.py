"""What a program of the user's, or an experiment tracker, is called with while a search runs."""

from collections.abc import Mapping, Sequence

import optuna
import pandas as pd

from gamsearch.strategy.progress import Progress
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.study.record import Record
from gamsearch.study.table import read_record

NOT_ENDED = ("running", "waiting")
"""States of trials that have no result yet."""


class Callback:
    """Override what you need; every method does nothing by default.

    Pass it as `gamsearch.search(..., callbacks=[...])`. Only the process that leads the search calls it, also for
    trials of other workers. What it raises ends the search; all that was recorded stays, and the run can be resumed.
    """

    def on_trial(self, record: Record, trial: pd.Series) -> None:
        """A trial has ended: complete, pruned, paused or failed.

        Args:
            record: The run so far.
            trial: The trial's row of `record.trials`.
        """

    def on_end(self, record: Record) -> None:
        """The search has ended, or was resumed and had nothing left to do.

        Args:
            record: The run with its answer.
        """


class Notifier:
    """Calls callbacks once for each trial that ends from now on."""

    def __init__(self, study: optuna.Study, name: str, folder: str, callbacks: Sequence[Callback]):
        self.study, self.name, self.folder, self.callbacks = study, name, folder, callbacks
        self.seen = set(self._ended(self.record())["number"]) if callbacks else set()

    def record(self) -> Record:
        """The run as it is recorded now."""
        return read_record(self.study, self.name, self.folder)

    @staticmethod
    def _ended(record: Record) -> pd.DataFrame:
        return record.trials[~record.trials["state"].isin(NOT_ENDED)]

    def trials(self) -> None:
        """Call `on_trial` for the trials that have ended since the last call, in their order."""
        if not self.callbacks:
            return
        record = self.record()
        for _, row in self._ended(record).iterrows():
            if row["number"] not in self.seen:
                self.seen.add(row["number"])
                for callback in self.callbacks:
                    callback.on_trial(record, row)

    def end(self) -> None:
        """Call `on_trial` for the last trials, then `on_end`."""
        self.trials()
        if self.callbacks:
            record = self.record()
            for callback in self.callbacks:
                callback.on_end(record)


class NotifyingProgress:
    """Displays progress as another one does, and notifies after each trial."""

    def __init__(self, shown: Progress, notifier: Notifier):
        self.shown, self.notifier = shown, notifier

    def started(self, number: int, label: str, used: float, search_budget: SearchBudget) -> None:
        """See `Progress`."""
        self.shown.started(number, label, used, search_budget)

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        """See `Progress`."""
        self.shown.epoch(epoch, epochs, metrics)

    def ended(self, number: int, outcome: str, gain: float | None) -> None:
        """See `Progress`."""
        self.shown.ended(number, outcome, gain)
        self.notifier.trials()
