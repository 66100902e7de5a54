"""The state and progress of a run, read from its folder while others write to it; nothing there is changed."""

import platform
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from gamsearch.errors import RunError, one_line, plural
from gamsearch.reporting.formatting import duration, signed
from gamsearch.reporting.snapshot import Snapshot, pace, read_snapshot, resumable, used
from gamsearch.reporting.status_values import status_values
from gamsearch.runs.folder_lock import is_locked, running_state
from gamsearch.runs.forecast import ATTRIBUTE, sentence
from gamsearch.runs.settings import AUTO
from gamsearch.study import store, unreachable
from gamsearch.study.storages import Address
from gamsearch.study.worker_entries import FOLDER, describe, lock_held, owner, workers


@dataclass(frozen=True)
class Status:
    """The state of a run.

    Attributes:
        lines: What to print.
        values: The same as plain values, for `--json`.
    """

    lines: list[str]
    values: dict[str, Any]


def status(folder: Path, now: datetime | None = None) -> Status:
    """Describe the state of a run.

    Args:
        folder: The run's folder.
        now: The local time; by default the current time.

    Returns:
        The state.

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
        lines = [
            f"{folder}: {running_state(folder)}",
            f"storage   {error}",
            f"left      the run keeps trying for {left:.0f} s",
        ]
        return Status(lines, {"folder": folder, "running": True, "storage": str(error), "keeps_trying_s": left})


def _read(folder: Path, running: bool, now: datetime) -> Status:
    """The state of a run whose storage can be reached."""
    if not store.exists(folder):
        if not running:
            raise RunError(f"{folder} holds no run (no {store.JOURNAL}); give the folder of a run")
        lines = [f"{folder}: {running_state(folder)}", "it has just started and is reading the data and the model"]
        return Status(lines, {"folder": folder, "running": True, "state": running_state(folder)})
    run = read_snapshot(folder, running, now)
    return Status(_lines(run), status_values(run, _state(run, _workers(run))))


def _lines(run: Snapshot) -> list[str]:
    """The state and all other lines that are not empty, each with its name."""
    participants = _workers(run)
    named = [
        ("searched", run.record.counts.sentence),
        ("now", _current(run) if run.running else ""),
        ("used", run.settings.search_budget.state(used(run)) if resumable(run) else ""),
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


def _state(run: Snapshot, participants: list[str]) -> str:
    """Whether the run is running, finished or interrupted."""
    if run.running:
        return running_state(run.folder)
    if not resumable(run):
        return "recorded by an earlier version of gamsearch; it can be reported but not resumed"
    ended = str(run.study.user_attrs.get("ended", ""))
    if ended or used(run) >= run.settings.search_budget.amount:
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


def _rate(run: Snapshot) -> str:
    found = pace(run)
    return "" if found is None else f"{found[0]:.3g} trials and {found[1]:.3g} epochs per hour"


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
    seeds = int(verification.settings.get("seeds") or 0)
    length = plural(int(verification.settings.get("epochs") or 0), "epoch")
    return f"{verification.done} of {verification.planned} trainings of {length} ({plural(seeds, 'seed')})"
