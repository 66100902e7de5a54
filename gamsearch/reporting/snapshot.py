"""A run at one moment, read from its folder while others write to it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from gamsearch.runs.settings import Settings
from gamsearch.study import store
from gamsearch.study.history import History
from gamsearch.study.interruptions import interrupted
from gamsearch.study.record import Record
from gamsearch.study.table import read_record

WINDOW = timedelta(hours=1)
"""Rates are averaged over the last hour in which the run was active."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run at one moment.

    Attributes:
        folder: The run's folder.
        running: Whether a process holds the folder.
        now: The local time, or the end of the last trial if the run is not running.
    """

    folder: Path
    running: bool
    study: optuna.Study
    record: Record
    trials: list[FrozenTrial]
    settings: Settings
    now: datetime
    history: History


def read_snapshot(folder: Path, running: bool, now: datetime) -> Snapshot:
    """Read the study of a run once.

    Args:
        folder: The run's folder, which holds a study.
        running: Whether a process holds it.
        now: The local time.

    Returns:
        The run at that moment.
    """
    study = store.snapshot(folder)
    record, trials = read_record(study, folder.resolve().name, str(folder)), store.trials(study)
    known = {k: v for k, v in record.settings.items() if k in Settings.__dataclass_fields__}
    settings = Settings(**{**known, "objectives": tuple(known.get("objectives", ()))})
    ends = [t.datetime_complete for t in trials if t.datetime_complete]
    moment = now if running or not ends else max(ends)
    return Snapshot(folder, running, study, record, trials, settings, moment, History(study).update())


def resumable(run: Snapshot) -> bool:
    """Whether the record is in today's form.

    Args:
        run: The run.

    Returns:
        False where an earlier gamsearch made it, which can only be reported.
    """
    return "stopping" in run.record.settings


def used(run: Snapshot) -> float:
    """How much of the search budget is used.

    Args:
        run: The run.

    Returns:
        The amount in the budget's unit.
    """
    epochs = run.settings.epochs
    return run.settings.search_budget.used(run.history.charged(epochs), epochs, run.history.seconds)


def pace(run: Snapshot) -> tuple[float, float] | None:
    """How fast a run is, over the trials that ended within `WINDOW`.

    Args:
        run: The run.

    Returns:
        Trials and epochs per hour; None if none has ended.
    """
    trained = [t for t in run.trials if not interrupted(t) and "epochs_trained" in t.user_attrs]
    recent = [t for t in trained if t.datetime_complete and run.now - WINDOW <= t.datetime_complete <= run.now]
    starts = [t.datetime_start for t in recent if t.datetime_start]
    hours = min(WINDOW, run.now - min(starts)) / timedelta(hours=1) if starts else 0.0
    if hours <= 0:
        return None
    epochs = sum(int(t.user_attrs.get("epochs_trained", 0)) for t in recent)
    return len(recent) / hours, epochs / hours
