"""Logs a search in trackers as it goes."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import optuna
import pandas as pd

from gamsearch.errors import one_line
from gamsearch.files import TRACKING
from gamsearch.runs.callbacks import NOT_ENDED, Callback
from gamsearch.runs.tracking.registry import TrackedAnswer, TrackedTrial, Tracker, TrackerSpec
from gamsearch.study.record import Record


class Tracking(Callback):
    """Logs each trial once, however often the run is resumed; the study records which are logged.

    A tracker that fails is reported in one line and left alone until the run is resumed; it never ends a search.
    """

    def __init__(self, specs: Sequence[TrackerSpec], study: optuna.Study, folder: Path, say: Callable[[str], None]):
        self._study, self._say = study, say
        self._open: dict[str, Tracker] = {}
        for spec in specs:
            self._guarded(spec.name, "be opened", partial(self._opened, spec, folder / TRACKING))

    def _opened(self, spec: TrackerSpec, folder: Path) -> None:
        self._open[spec.name] = spec.open(folder)

    def on_trial(self, record: Record, trial: pd.Series) -> None:
        """Log what has ended and is not logged yet, of this process and of others."""
        self._log(record)

    def on_end(self, record: Record) -> None:
        """Log the last trials and the answer."""
        self._log(record)
        for name, tracker in list(self._open.items()):
            self._guarded(name, "log the answer", partial(self._log_answer, tracker, record))

    def _log(self, record: Record) -> None:
        """Log the trials that have ended; one that ended before it had an architecture has nothing to log."""
        ended = record.trials[~record.trials["state"].isin(NOT_ENDED) & (record.trials["key"] != "")]
        for name, tracker in list(self._open.items()):
            logged = set(self._study.user_attrs.get(f"tracked:{name}", ()))
            for _, row in ended[~ended["number"].isin(logged)].iterrows():
                number = int(row["number"])
                log = partial(self._log_trial, tracker, record, row)
                if not self._guarded(name, f"log trial {number}", log):
                    break
                logged.add(number)
                self._study.set_user_attr(f"tracked:{name}", sorted(logged))

    @staticmethod
    def _log_trial(tracker: Tracker, record: Record, row: pd.Series) -> None:
        tracker.log_trial(TrackedTrial.of(record, row))

    @staticmethod
    def _log_answer(tracker: Tracker, record: Record) -> None:
        tracker.log_answer(TrackedAnswer.of(record))

    def _guarded(self, name: str, what: str, call: Callable[[], None]) -> bool:
        """Call; a failure is said and closes the tracker."""
        try:
            call()
        except Exception as error:  # of any kind: the tracker is other people's code and a network
            self._open.pop(name, None)
            reason = f"{type(error).__name__}: {one_line(error)[:200]}"
            self._say(f"--track {name} could not {what} ({reason}); the search goes on, resume it to log the rest")
            return False
        return True
