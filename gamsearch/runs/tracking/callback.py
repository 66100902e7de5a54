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
        ended = record.trials[~record.trials["state"].isin(NOT_ENDED)]
        for name, tracker in list(self._open.items()):
            logged = set(self._study.user_attrs.get(f"tracked:{name}", ()))
            for _, row in ended[~ended["number"].isin(logged)].iterrows():
                one = TrackedTrial.of(record, row)
                if not self._guarded(name, f"log trial {one.number}", partial(tracker.log_trial, one)):
                    break
                logged.add(one.number)
                self._study.set_user_attr(f"tracked:{name}", sorted(logged))

    def on_end(self, record: Record) -> None:
        """Log the last trials and the answer."""
        if not record.trials.empty:
            self.on_trial(record, record.trials.iloc[-1])
        for name, tracker in list(self._open.items()):
            self._guarded(name, "log the answer", partial(tracker.log_answer, TrackedAnswer.of(record)))

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
