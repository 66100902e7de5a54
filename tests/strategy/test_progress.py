"""What a search reports of a finished trial."""

import pytest
from optuna.trial import TrialState, create_trial
from support.landscape import SMALL, new_study

from gamsearch.strategy.progress import gain_of, outcome_of
from gamsearch.study.history import ArchitectureHistory, History

COMPLETE = create_trial(values=[0.5], user_attrs={"measurement": {"metrics": {"map50_95": 0.43}}})
PRUNED = create_trial(state=TrialState.PRUNED, user_attrs={"reason": "limit: params_m"})
REPEAT = create_trial(state=TrialState.PRUNED, user_attrs={"recalled_from": 4, "reason": "repeats trial 4: ..."})
BASELINE = ArchitectureHistory(SMALL.baseline, 0, TrialState.COMPLETE, curve={3: {"map50_95": 0.4}})


def test_an_outcome_is_the_state_with_its_reason_or_the_trial_that_it_repeats():
    assert [outcome_of(t) for t in (COMPLETE, PRUNED, REPEAT)] == [
        "complete",
        "pruned: limit: params_m",
        "repeats trial 4",
    ]


def test_a_gain_is_the_difference_to_the_baseline_and_only_complete_trials_have_one(tmp_path):
    unknown, known = (History(new_study(tmp_path / name)) for name in ("unknown", "known"))
    known.baseline = BASELINE
    assert gain_of(COMPLETE, known, 3) == pytest.approx(0.03)
    assert gain_of(PRUNED, known, 3) is None and gain_of(COMPLETE, unknown, 3) is None
