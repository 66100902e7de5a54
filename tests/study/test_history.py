"""What a study knows about each architecture."""

from datetime import datetime, timedelta

import optuna
import pytest

from gamsearch.architecture import Architecture
from gamsearch.study.history import History


def test_a_clock_that_jumps_does_not_use_up_a_budget_of_hours(study):
    architecture = Architecture.of("yolov8n", [])
    for days, took in ((-30, 60.0), (30, 120.0), (30, None)):
        started = datetime(2026, 1, 1)
        placed = {**architecture.to_dict(), "placements": [{"site": 4, "module": "GAM", "options": {"rate": 4}}]}
        own = {"key": f"{abs(days):012x}", "architecture": placed, **({"took": took} if took else {})}
        trial = optuna.trial.create_trial(values=[0.1, 1.0], user_attrs={**own, "measurement": {"metrics": {}}})
        trial.datetime_start, trial.datetime_complete = started, started + timedelta(days=days)
        study.add_trial(trial)
    clocked = timedelta(days=30).total_seconds()  # a record that is older than `took`
    assert History(study).update().seconds == pytest.approx(60 + 120 + clocked)
