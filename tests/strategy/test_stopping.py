"""The stopping settings."""

import pytest
from optuna.trial import TrialState
from support.curves import new_study, run

from gamsearch.errors import OptionError
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING, stopping_named
from gamsearch.study import store
from gamsearch.study.table import read_record


def test_rungs_are_a_factor_of_three_apart_and_begin_at_a_tenth():
    assert STOPPING["default"].rungs(20) == (2, 6, 18)
    assert STOPPING["default"].rungs(5) == (1, 3)
    assert STOPPING["default"].rungs(1) == () == STOPPING["off"].rungs(20)
    with pytest.raises(OptionError, match="did you mean 'default'"):
        stopping_named("defalt")


def test_off_trains_everything_to_the_end(tmp_path):
    study = new_study(tmp_path / "run")
    why = run(study, "thaw", "off", SearchBudget(7))
    assert why == "the budget of 7 full trainings is used up: 7 candidates, 140 epochs"
    assert {t.state for t in store.trials(study) if "key" in t.user_attrs} == {TrialState.COMPLETE}


def test_a_short_search_trains_every_candidate_to_the_end(tmp_path):
    study = new_study(tmp_path / "run")
    run(study, "thaw", "default", SearchBudget(6))
    counts = read_record(study, "run").counts
    assert counts.complete == counts.candidates == 6
