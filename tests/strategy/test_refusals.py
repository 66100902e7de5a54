"""Rules and limits that refuse architectures before training."""

from dataclasses import replace

import pytest
from optuna.trial import TrialState
from support.landscape import SMALL, YOLOV8N, PredictsCosts, keys, new_study, run

from gamsearch.space.search_space import Limit, SearchSpace
from gamsearch.study import store


def test_a_limit_refuses_before_training_and_says_by_how_much(tmp_path, evaluator):
    trained: list[str] = []

    class Counting(PredictsCosts):
        def evaluate(self, architecture, budget, report):
            def listen(epoch, metrics):
                report(epoch, metrics)
                trained.append(architecture.label) if epoch else None

            return evaluator.evaluate(architecture, budget, listen)

    limited = replace(SMALL, limits=(Limit("params_m", "+20%"),))  # 3.0 M -> 3.6 M: a single r4 (+1.0) is too much
    study = new_study(tmp_path / "run", limited)
    run(study, Counting(), trials=5, space=limited)
    refused = [t for t in store.trials(study, TrialState.PRUNED) if "rule" not in t.user_attrs["reason"]]
    assert refused and all("params_m" in t.user_attrs["reason"] for t in refused)
    assert all("r4" not in label for label in trained)
    assert all(t.constraints["limit:params_m"] > 0 for t in refused if "recalled_from" not in t.user_attrs)
    assert all(not t.user_attrs["feasible"] for t in refused)
    assert all(t.user_attrs["feasible"] for t in store.trials(study, TrialState.COMPLETE))
    assert {t.number for t in study.best_trials} <= {t.number for t in store.trials(study, TrialState.COMPLETE)}


@pytest.mark.parametrize("sampler", ["auto", "tpe", "nsga2", "random", "brute"])
def test_every_sampler_copes_with_rules_and_limits(tmp_path, evaluator, sampler):
    limited = replace(SMALL, limits=(Limit("params_m", "+40%"), Limit("latency_ms", "11.5")))
    study = new_study(tmp_path / "run", limited)
    run(study, evaluator, trials=14, space=limited, sampler=sampler)
    names = {"rules", "limit:params_m", "limit:latency_ms"}
    assert all(set(t.constraints) == names for t in store.trials(study, TrialState.COMPLETE, TrialState.PRUNED))
    assert len(keys(study)) > 10


def test_rules_refuse_without_evaluating(tmp_path, evaluator):
    single = SearchSpace.load("gam-demo", YOLOV8N)
    study = new_study(tmp_path / "run", single)
    run(study, evaluator, trials=20, space=single)
    broken = [t for t in store.trials(study, TrialState.PRUNED) if t.user_attrs["reason"].startswith("rule")]
    assert broken and all("built" not in t.user_attrs for t in broken)
