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
    budget, verification = run.settings.search_budget, run.record.verification
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
        "verification": {"done": verification.done, "planned": verification.planned},
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
