"""Freeze-thaw: the whole front for a fraction of the epochs, resumed searches, predicted costs."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from support.curves import EPOCHS, OBJECTIVES, SPACE, TRUE_FRONT, evaluator, front_of, new_study, run

from gamsearch.metrics import metric_named
from gamsearch.strategy.freeze_thaw import FreezeThaw
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING
from gamsearch.strategy.surrogate import Surrogates
from gamsearch.study import store, summaries
from gamsearch.study.history import History
from gamsearch.study.table import read_record
from gamsearch.training.replay import ReplayEvaluator


def test_the_thaw_sampler_finds_the_whole_front_in_a_third_of_the_epochs_of_training_everything(tmp_path):
    study = new_study(tmp_path / "run")
    run(study, "thaw", "default", SearchBudget(220, "epochs"))
    assert front_of(study) == TRUE_FRONT
    assert History(study).update().spent < 240 < 32 * EPOCHS / 2


def test_a_search_that_was_stopped_between_trials_resumes_with_the_same_history(tmp_path):
    whole, parts = new_study(tmp_path / "whole"), new_study(tmp_path / "parts")
    run(whole, "thaw", "default", SearchBudget(260, "epochs"))
    for limit in (60, 130, 260):
        run(parts, "thaw", "default", SearchBudget(limit, "epochs"))
    assert front_of(parts) == front_of(whole) == TRUE_FRONT


def test_the_report_states_the_error_of_predicted_latencies(tmp_path):
    class Overestimates(ReplayEvaluator):
        """Predicts 2 % too much."""

        def predict_costs(self, architecture):
            figures = super().predict_costs(architecture)
            return {name: value * (1.02 if name.startswith("latency") else 1) for name, value in figures.items()}

    study = new_study(tmp_path / "run")
    run(study, "thaw", "default", SearchBudget(220, "epochs"), Overestimates(evaluator().table))
    sentence = summaries.prediction_error(read_record(study, "run"))
    assert "its error was 2.0 % (median), 2.0 % at most" in sentence


def test_the_largest_expected_improvement_is_found_without_computing_all(tmp_path):
    study = new_study(tmp_path / "run")
    run(study, "thaw", "default", SearchBudget(100, "epochs"))
    history, objectives = History(study).update(), tuple(metric_named(name) for name in OBJECTIVES)
    rungs = STOPPING["default"].rungs(EPOCHS)
    freeze_thaw = FreezeThaw(
        SPACE, objectives, EPOCHS, rungs, evaluator().predict_costs, random.Random(0), Surrogates(SPACE)
    )
    pool = freeze_thaw.pool.unsettled(history)
    mean, sd = freeze_thaw.surrogate(history).predict(pool, EPOCHS)
    alone = [freeze_thaw.improvement(history, [a], mean[[i]], sd[[i]])[0] for i, a in enumerate(pool)]
    together = freeze_thaw.improvement(history, pool, mean, sd)
    assert freeze_thaw.choose(history) == pool[int(np.argmax(alone))]
    assert together.max() == max(alone) > 0
    assert np.count_nonzero(together) < np.count_nonzero(alone)


class LosesCheckpoints(ReplayEvaluator):
    """Keeps nothing of a paused training, so one that is resumed starts over."""

    def evaluate(self, architecture, budget, report):
        return super().evaluate(architecture, replace(budget, done=0), report)


@pytest.mark.parametrize("stopping", ["default", "aggressive"])
def test_a_training_whose_checkpoint_is_lost_starts_over_and_the_search_still_ends(tmp_path, stopping):
    study = new_study(tmp_path / "run")
    run(study, "thaw", stopping, SearchBudget(300, "epochs"), LosesCheckpoints(evaluator().table))
    history = History(study).update()
    assert 300 <= history.spent < 300 + EPOCHS
    again = Counter(t.user_attrs["key"] for t in store.trials(study) if "resumes" in t.user_attrs)
    assert again and max(again.values()) <= len(STOPPING["default"].rungs(EPOCHS))
    for known in history.candidates:
        assert sorted(known.curve) == list(range(1, known.epochs + 1))
