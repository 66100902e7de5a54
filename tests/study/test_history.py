"""What a study knows about each architecture."""

from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState

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


@pytest.mark.parametrize("ended", [TrialState.COMPLETE, TrialState.PRUNED])
def test_a_paused_trial_does_not_hide_an_earlier_one_that_resumed_it(study, ended):
    """Trial 0 waited in the queue while trial 1 of the same architecture was paused, then resumed it."""
    placed = {"detector": "yolov8n", "placements": [{"site": 4, "module": "GAM", "options": {"rate": 4}}]}
    curve = [{"epoch": epoch, "map50_95": 0.1 * epoch, "map50": 0.2 * epoch} for epoch in (1, 2, 3)]
    own = {"key": "0123456789ab", "architecture": placed, "feasible": True}
    stop = {"reason": "paused", "epoch": 1, "paused": True}
    further = {"measurement": {"metrics": {}, "curve": curve}} if ended == TrialState.COMPLETE else {}
    further = further or {"curve": curve[:2], "stop": {**stop, "epoch": 2}}
    values = [0.3, 1.0] if ended == TrialState.COMPLETE else None
    study.add_trial(optuna.trial.create_trial(values=values, state=ended, user_attrs={**own, **further, "resumes": 1}))
    study.add_trial(
        optuna.trial.create_trial(state=TrialState.PRUNED, user_attrs={**own, "curve": curve[:1], "stop": stop})
    )
    known = History(study).update().architectures["0123456789ab"]
    assert known.number == 0 and known.epochs == (3 if ended == TrialState.COMPLETE else 2)
    assert known.settled is (ended == TrialState.COMPLETE)


def test_a_failed_training_is_charged_as_a_whole_one_until_the_architecture_completes(study):
    def ended(number: int, state: TrialState, epochs: int) -> None:
        placed = {"detector": "yolov8n", "placements": [{"site": number, "module": "GAM", "options": {"rate": 4}}]}
        curve = [{"epoch": epoch, "map50_95": 0.1, "map50": 0.2} for epoch in range(1, epochs + 1)]
        own = {"key": f"{number:012x}", "architecture": placed, "curve": curve, "epochs_trained": epochs}
        reason = (
            {"reason": "out_of_memory: too large"} if state == TrialState.FAIL else {"measurement": {"metrics": {}}}
        )
        values = [0.3, 1.0] if state == TrialState.COMPLETE else None
        study.add_trial(optuna.trial.create_trial(values=values, state=state, user_attrs={**own, **reason}))

    ended(4, TrialState.FAIL, 1)
    ended(6, TrialState.COMPLETE, 5)
    history = History(study).update()
    assert (history.spent, history.charged(5)) == (6, 10)
    ended(4, TrialState.COMPLETE, 5)
    assert (history.update().spent, history.charged(5)) == (11, 11)
