"""The state and progress of a run, read from its folder while others write to it; nothing there is changed."""

import platform
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from gamsearch.errors import RunError, one_line, plural
from gamsearch.reporting.formatting import duration, signed
from gamsearch.runs.folder_lock import is_locked, running_state
from gamsearch.runs.forecast import ATTRIBUTE, sentence
from gamsearch.runs.settings import AUTO, Settings
from gamsearch.study import store, unreachable
from gamsearch.study.history import History
from gamsearch.study.interruptions import interrupted
from gamsearch.study.record import Record
from gamsearch.study.storages import Address
from gamsearch.study.table import read_record
from gamsearch.study.worker_entries import FOLDER, describe, lock_held, owner, workers

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


def status(folder: Path, now: datetime | None = None) -> list[str]:
    """Describe the state of a run.

    Args:
        folder: The run's folder.
        now: The local time; by default the current time.

    Returns:
        The lines to print.

    Raises:
        RunError: The folder holds no run.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; give the folder of a run, such as results/my-search")
    running = is_locked(folder)
    try:
        return _read(folder, running, now or datetime.now())
    except RunError as error:
        left = unreachable.seconds_left(folder) if running else None
        if left is None:
            raise
        return [
            f"{folder}: {running_state(folder)}",
            f"storage   {error}",
            f"left      the run keeps trying for {left:.0f} s",
        ]


def _read(folder: Path, running: bool, now: datetime) -> list[str]:
    """The lines of a run whose storage can be reached."""
    if not store.exists(folder):
        if not running:
            raise RunError(f"{folder} holds no run (no {store.JOURNAL}); give the folder of a run")
        return [f"{folder}: {running_state(folder)}", "it has just started and is reading the data and the model"]
    return _lines(_snapshot(folder, running, now))


def _snapshot(folder: Path, running: bool, now: datetime) -> Snapshot:
    """Read the study once."""
    study = store.snapshot(folder)
    record, trials = read_record(study, folder.resolve().name, str(folder)), store.trials(study)
    known = {k: v for k, v in record.settings.items() if k in Settings.__dataclass_fields__}
    settings = Settings(**{**known, "objectives": tuple(known.get("objectives", ()))})
    ends = [t.datetime_complete for t in trials if t.datetime_complete]
    moment = now if running or not ends else max(ends)
    return Snapshot(folder, running, study, record, trials, settings, moment, History(study).update())


def _lines(run: Snapshot) -> list[str]:
    """The state and all other lines that are not empty, each with its name."""
    participants = _workers(run)
    named = [
        ("searched", run.record.counts.sentence),
        ("now", _current(run) if run.running else ""),
        ("used", run.settings.search_budget.state(_used(run)) if _resumable(run) else ""),
        ("rate", _rate(run)),
        ("time", _expected(run) if run.running else ""),
        ("baseline", run.record.still_rising),
        ("best", _best(run)),
        ("verified", _verification(run)),
        ("browse", _browse(run)),
        *(("workers" if index == 0 else "", line) for index, line in enumerate(participants)),
    ]
    answer = run.record.answer()
    named.insert(0, ("next", "" if run.running else answer.next))
    headline = f"So far: {answer.headline}" if run.running and answer.headline else answer.headline
    opening = [headline, answer.detail, f"{run.folder}: {_state(run, participants)}"]
    return [*opening, *(f"{name:<9} {text}" for name, text in named if text)]


def _resumable(run: Snapshot) -> bool:
    """Whether the record is in today's form."""
    return "stopping" in run.record.settings


def _used(run: Snapshot) -> float:
    """How much of the search budget is used, in its unit."""
    epochs = run.settings.epochs
    return run.settings.search_budget.used(run.history.charged(epochs), epochs, run.history.seconds)


def _state(run: Snapshot, participants: list[str]) -> str:
    """Whether the run is running, finished or interrupted."""
    if run.running:
        return running_state(run.folder)
    if not _resumable(run):
        return "recorded by an earlier version of gamsearch; it can be reported but not resumed"
    ended = str(run.study.user_attrs.get("ended", ""))
    if ended or _used(run) >= run.settings.search_budget.amount:
        return f"finished{f' ({one_line(ended)})' if ended else ''}"
    if any(": alive," in line for line in participants):
        return "running without its leading process"
    if any(facts.get("host") != platform.node() and not facts.get("left") for facts in workers(run.study).values()):
        return "running on other machines"
    return "interrupted; the same command resumes it"


def _browse(run: Snapshot) -> str:
    """The command that shows the study in a browser; empty for gRPC, which the dashboard cannot read."""
    address = Address.of(run.folder)
    if address.url.startswith("grpc"):
        return ""
    return f"optuna-dashboard {address.location}  (pip install 'gamsearch[dashboard]')"


def _workers(run: Snapshot) -> list[str]:
    """One line per worker: whether it is alive if it runs on this machine, else when it last reported."""
    counts = Counter(owner(t) for t in run.trials if t.state == TrialState.COMPLETE)
    lines = []
    for worker, facts in workers(run.study).items():
        if facts.get("left"):
            continue
        alive = lock_held(run.folder / FOLDER, worker) if facts.get("host") == platform.node() else None
        state = {True: "alive", False: "dead", None: f"last report at {one_line(facts.get('at'))[:30]}"}[alive]
        lines.append(f"{describe(facts)}: {state}, {counts[worker]} complete")
    return lines


def _current(run: Snapshot) -> str:
    """What is being trained."""
    running = [t for t in run.trials if t.state == TrialState.RUNNING]
    if running:
        return "; ".join(_trial(t, run.now) for t in running)
    return "" if run.trials else _baseline(run)


def _baseline(run: Snapshot) -> str:
    """How far the baseline stage is."""
    stage, given = run.record.baseline_stage, run.settings.baseline_epochs
    length = "until its curve is flat" if given == AUTO else f"for {plural(int(given), 'epoch')}"
    task = run.record.task
    known = task.primary in stage
    reached = f", {task.primary_title} {stage[task.primary]:.4f} after {stage['epochs']}" if known else ""
    return f"training the baseline {length}{reached}"


def _trial(trial: FrozenTrial, now: datetime) -> str:
    """A running trial and for how long it has been running."""
    label = one_line(trial.user_attrs.get("label", "being proposed"))
    start = trial.datetime_start
    since = duration(max(0.0, (now - start).total_seconds())) if start else ""
    return f"trial {trial.number}, {label}{f', for {since}' if since else ''}"


def _pace(run: Snapshot) -> tuple[float, float] | None:
    """Trials and epochs per hour over the trials that ended within `WINDOW`; None if there are none."""
    trained = [t for t in run.trials if not interrupted(t) and "epochs_trained" in t.user_attrs]
    recent = [t for t in trained if t.datetime_complete and run.now - WINDOW <= t.datetime_complete <= run.now]
    starts = [t.datetime_start for t in recent if t.datetime_start]
    hours = min(WINDOW, run.now - min(starts)) / timedelta(hours=1) if starts else 0.0
    if hours <= 0:
        return None
    epochs = sum(int(t.user_attrs.get("epochs_trained", 0)) for t in recent)
    return len(recent) / hours, epochs / hours


def _rate(run: Snapshot) -> str:
    pace = _pace(run)
    return "" if pace is None else f"{pace[0]:.3g} trials and {pace[1]:.3g} epochs per hour"


def _expected(run: Snapshot) -> str:
    """When the process that leads expects to end, as it says itself; empty before its first epoch."""
    return sentence(run.study.user_attrs.get(ATTRIBUTE, {}), run.now.timestamp())


def _best(run: Snapshot) -> str:
    """The best candidate so far and the baseline."""
    candidates, baseline = run.record.candidates, run.record.baseline
    if baseline is None:
        return ""
    task = run.record.task
    reference = f"baseline {task.primary_title} {baseline[task.primary]:.4f}"
    if candidates.empty:
        return f"no candidate yet; {reference}"
    best = candidates.iloc[0]
    return f"{signed(best[task.gain])} with {best['label']} (trial {int(best['number'])}); {reference}"


def _verification(run: Snapshot) -> str:
    """How many of the planned trainings at full budget are done."""
    verification = run.record.verification
    if not verification.chosen:
        return ""
    arms = 1 + len(verification.chosen) + (verification.control is not None)
    done = sum(len(seeds) for seeds in verification.trainings.values())
    seeds = int(verification.settings.get("seeds") or 0)
    length = plural(int(verification.settings.get("epochs") or 0), "epoch")
    return f"{done} of {arms * seeds} trainings of {length} ({plural(seeds, 'seed')})"
