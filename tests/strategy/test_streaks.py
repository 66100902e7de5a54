"""Repeats and errors in a row."""

from optuna.trial import TrialState, create_trial

from gamsearch.strategy.streaks import Streaks

REPEAT = create_trial(values=[0.5], user_attrs={"recalled_from": 1})
ERROR = create_trial(state=TrialState.FAIL, user_attrs={"traceback": "...", "reason": "error: OverflowError"})
CANDIDATES_FAULT = create_trial(state=TrialState.FAIL, user_attrs={"reason": "nan: the loss"})
COMPLETE = create_trial(values=[0.5])


def counted(*trials) -> Streaks:
    streaks = Streaks()
    for trial in trials:
        streaks.count(trial)
    return streaks


def test_repeats_and_errors_are_counted_until_another_kind_of_trial_ends_the_row():
    assert counted(REPEAT, REPEAT).repeats == 2
    assert counted(ERROR, ERROR) == Streaks(errors=2, last_error="error: OverflowError")
    assert counted(REPEAT, COMPLETE).repeats == 0
    assert counted(ERROR, COMPLETE) == Streaks(last_error="error: OverflowError")


def test_a_failure_of_the_candidate_itself_is_no_error():
    assert counted(ERROR, CANDIDATES_FAULT).errors == 0
