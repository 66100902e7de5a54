"""Forecasts with a clock that the test moves: what is said after the first epoch, and how it is renewed."""

import re
from datetime import datetime

import optuna
import pandas as pd
import pytest
from support.curves import SPACE

from gamsearch.evaluation import TrialBudget
from gamsearch.runs.forecast import ATTRIBUTE, Forecast, RunForecast, sentence, span
from gamsearch.runs.verification_forecast import VerificationForecast
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget

NOON = datetime(2026, 3, 2, 12).timestamp()


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def minutes(text: str) -> float:
    """The duration that a forecast says, in minutes."""
    hours = re.search(r"(\d+) h", text)
    rest = re.search(r"(\d+) (min|s) ?in all", text)
    return 60 * int(hours[1] if hours else 0) + (int(rest[1]) / (60 if rest[2] == "s" else 1) if rest else 0)


def test_the_sentence_has_duration_and_end():
    facts = {"begun": NOON, "end": NOON + 11_400, "certain": True}
    assert sentence(facts, NOON) == "about 3 h 10 min in all, until 15:10"
    assert sentence({**facts, "certain": False}, NOON).startswith("at most 3 h 10 min in all, until 15:10, less if")
    assert sentence({**facts, "end": NOON + 86_400}, NOON) == "about 24 h 0 min in all, until Tue 12:00"
    assert sentence(facts, NOON + 12_000).endswith("until 15:10, later than expected")
    assert sentence({}, NOON) == "" == sentence({"end": 1e14}, NOON)


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45 s"), (720, "12 min"), (3600, "1 h 0 min"), (190_000, "2 d 4 h")]
)
def test_durations_in_words(seconds, text):
    assert span(seconds) == text


def test_the_pace_is_learned_and_renewed():
    clock, written = Clock(), []
    forecast = Forecast(written.append, clock=clock)
    assert forecast.renew(0, 10) == "" and not written
    clock.now += 60
    assert forecast.renew(1, 9) == "about 10 min in all, until 12:10"
    clock.now += 180
    assert forecast.renew(2, 8) == "about 20 min in all, until 12:20"
    assert [round(facts["end"] - NOON) for facts in written] == [600, 1200]


def plan(budget: SearchBudget) -> Plan:
    return Plan(SPACE, TrialBudget(5), budget, noise_seeds=3)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(SearchBudget(4), 20 + 1.2 * (20 + 45)), (SearchBudget(2, "hours"), 20 + 1.2 * 45 + 120)],
)
def test_after_the_first_epoch_a_run_says_how_long_everything_takes(budget, expected):
    """20 epochs of the baseline, four candidates of five epochs, nine trainings for noise and confirmation."""
    study = optuna.create_study(directions=["maximize"])
    study.set_user_attr("objectives", ["map50_95"])
    clock = Clock()
    forecast = RunForecast(study, plan(budget), clock=clock)
    clock.now += 60
    assert minutes(forecast.baseline_epoch(19, True)) == pytest.approx(expected, abs=1)
    assert sentence(study.user_attrs[ATTRIBUTE], clock.now) == forecast.text
    for left in range(18, -1, -1):  # twice as fast as the first
        clock.now += 30
        forecast.baseline_epoch(left, True)
    assert minutes(forecast.text) < 0.7 * expected or budget.unit == "hours"


def test_a_time_is_said_before_the_first_training_of_a_verification_and_counts_all_that_are_left():
    clock, written = Clock(), []
    trials = pd.DataFrame({"key": ["0" * 12, "a"], "label": ["baseline", "GAM@2"], "seconds": [60.0, 120.0]})
    trials["epochs_trained"] = 1
    forecast = VerificationForecast(["baseline", "a"], range(2), 10, trials, written.append, clock)
    assert forecast.training({}, "baseline") == "about 1 h 0 min in all, until 13:00"
    for _ in range(10):
        clock.now += 180  # three times as slow
        forecast.epoch()
    after = forecast.training({"baseline": [{"seed": 0}]}, "a")
    assert after == "about 3 h 0 min in all, until 15:00" and len(written) == 12


def test_a_verification_on_other_hardware_says_a_time_after_its_first_epoch():
    clock = Clock()
    nothing = pd.DataFrame(columns=["key", "label", "seconds", "epochs_trained"])
    forecast = VerificationForecast(["baseline", "a"], range(2), 10, nothing, lambda facts: None, clock)
    assert forecast.training({}, "baseline") == ""
    clock.now += 60
    assert forecast.epoch() == "about 44 min in all, until 12:44"
