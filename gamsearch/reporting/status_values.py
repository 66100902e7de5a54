"""The state of a run as plain values, for `status --json`."""

from datetime import datetime
from typing import Any

from optuna.trial import TrialState

from gamsearch.reporting.plain import run_values
from gamsearch.reporting.snapshot import Snapshot, pace, resumable, used
from gamsearch.runs.forecast import ATTRIBUTE


def status_values(run: Snapshot, state: str) -> dict[str, Any]:
    """The state of a run.

    Args:
        run: The run at one moment.
        state: Whether it is running, finished or interrupted, in words.

    Returns:
        What `run_values` has of a run, with `running`, `state`, `used` (of the budget), `per_hour`, `training` (what is
        being trained, and since when), `expected_end` (local time) and `verification` (trainings done and planned).
    """
    rate, end = pace(run), run.study.user_attrs.get(ATTRIBUTE, {}).get("end")
    training = [t for t in run.trials if t.state == TrialState.RUNNING] if run.running else []
    verification = run.record.verification
    arms = 1 + len(verification.chosen) + (verification.control is not None)
    planned = arms * int(verification.settings.get("seeds") or 0) if verification.chosen else 0
    budget = run.settings.search_budget
    return {
        **run_values(run.record),
        "folder": str(run.folder),
        "running": run.running,
        "state": state,
        "used": {"amount": used(run), "of": budget.amount, "unit": budget.unit} if resumable(run) else None,
        "per_hour": None if rate is None else {"trials": rate[0], "epochs": rate[1]},
        "training": [
            {"number": t.number, "label": t.user_attrs.get("label"), "since": _text(t.datetime_start)} for t in training
        ],
        "expected_end": _text(datetime.fromtimestamp(end)) if run.running and end else None,
        "verification": {"done": sum(map(len, verification.trainings.values())), "planned": planned},
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
