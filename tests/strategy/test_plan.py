"""What a plan derives from its settings."""

import pytest
from support.landscape import SMALL

from gamsearch.evaluation import TrialBudget
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING


@pytest.mark.parametrize(
    ("sampler", "stopping", "rungs", "curve"),
    [("tpe", "off", (), False), ("tpe", "default", (2, 6, 18), True), ("thaw", "off", (), True)],
)
def test_rungs_come_from_the_stopping_settings_and_curves_are_validated_where_they_are_read(
    sampler, stopping, rungs, curve
):
    plan = Plan(SMALL, TrialBudget(20), SearchBudget(5), sampler, stopping=STOPPING[stopping]).with_rungs()
    assert (plan.trial_budget.rungs, plan.trial_budget.curve) == (rungs, curve)


@pytest.mark.parametrize(
    ("search_budget", "stopping", "used", "expected"),
    [
        (SearchBudget(6), "default", 0.0, True),
        (SearchBudget(6), "aggressive", 0.0, False),  # which the user asked for
        (SearchBudget(40), "default", 10.0, False),
        (SearchBudget(40), "default", 39.2, True),  # paused, it could not be resumed
        (SearchBudget(30, "epochs"), "default", 0.0, False),
    ],
)
def test_few_trials_and_the_last_training_reach_their_end(search_budget, stopping, used, expected):
    plan = Plan(SMALL, TrialBudget(5), search_budget, stopping=STOPPING[stopping])
    assert plan.trains_to_the_end(used, 5) is expected
