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
