"""The search budget: how it is written and when it is used up."""

import time

import pytest
from support.curves import evaluator, new_study, run

from gamsearch.errors import OptionError
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.study.history import History
from gamsearch.training.replay import ReplayEvaluator


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [("3h", 3, "hours"), ("90min", 1.5, "hours"), ("200epochs", 200, "epochs"), (" 1.5 H ", 1.5, "hours")],
)
def test_a_budget_is_a_time_or_a_number_of_epochs(text, amount, unit):
    assert SearchBudget.parse(text) == SearchBudget(amount, unit)


def test_a_budget_in_hours_ends_the_search_when_the_trials_have_taken_that_long(tmp_path):
    class Slow(ReplayEvaluator):
        def evaluate(self, architecture, budget, report):
            time.sleep(0.1)
            return super().evaluate(architecture, budget, report)

    study = new_study(tmp_path / "run")
    run(study, "random", "off", SearchBudget(1 / 3600, "hours"), Slow(evaluator().table))
    trained = [known for known in History(study).update().candidates if known.curve]
    assert History(study).update().seconds >= 1
    assert 1 <= len(trained) <= 10  # none begins once a second is used up


@pytest.mark.parametrize("text", ["", "3", "h", "-2h", "0epochs", "3 days", "ten epochs"])
def test_a_budget_that_is_neither_is_refused_in_one_sentence(text):
    with pytest.raises(OptionError, match="such as 3h, 90min or 200epochs"):
        SearchBudget.parse(text)
