"""When a search ends."""

import pytest
from optuna.trial import create_trial
from support.landscape import BUDGET, SMALL, Quiet, new_study, run

from gamsearch.errors import RunError
from gamsearch.strategy.ending import ERRORS_BEFORE_STOP, reason_to_stop
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.search_context import SearchContext, open_context
from gamsearch.study.single_worker import SingleWorker


def context_of(study, evaluator, trials: int) -> SearchContext:
    plan = Plan(SMALL, BUDGET, SearchBudget(trials), "random").with_rungs()
    context = open_context(study, plan, evaluator, Quiet(), SingleWorker())
    context.history.update()
    return context


@pytest.fixture
def study(tmp_path, evaluator):
    """Four candidates were evaluated."""
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=4)
    return study


def test_a_search_ends_when_its_budget_is_used_up(study, evaluator):
    assert (
        reason_to_stop(context_of(study, evaluator, 4))
        == "the budget of 4 full trainings is used up: 4 candidates, 12 epochs"
    )
    assert reason_to_stop(context_of(study, evaluator, 5)) is None


def test_trials_of_other_workers_count_as_if_they_were_trained_to_the_end(study, evaluator):
    busy = [create_trial(values=[0.4, 10.0], user_attrs={"key": "a"})]
    assert (
        reason_to_stop(context_of(study, evaluator, 5), busy)
        == "the budget of 5 full trainings is used up: 4 candidates, 12 epochs"
    )
    assert reason_to_stop(context_of(study, evaluator, 6), busy) is None


def test_errors_in_a_row_end_a_search_with_the_last_one(study, evaluator):
    context = context_of(study, evaluator, 9)
    context.streaks.errors, context.streaks.last_error = ERRORS_BEFORE_STOP, "error: OverflowError"
    with pytest.raises(RunError, match="3 candidates in a row failed, the last one with error: OverflowError"):
        reason_to_stop(context)


def test_a_single_candidate_is_counted_in_the_singular(tmp_path, evaluator):
    study = new_study(tmp_path / "single")
    run(study, evaluator, trials=1)
    assert (
        reason_to_stop(context_of(study, evaluator, 1))
        == "the budget of 1 full training is used up: 1 candidate, 3 epochs"
    )
