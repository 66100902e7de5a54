"""One trial: resumed, repeated, failed or interrupted, and what the record holds of it."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from optuna.trial import TrialState
from support import landscape
from support.curves import (
    EPOCHS,
    SPACE,
    evaluator,
    new_study,
    run,
)

from gamsearch.errors import CandidateFailed, RunError
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.study import recovery, store
from gamsearch.study.history import History
from gamsearch.study.interruptions import interrupted
from gamsearch.study.table import trial_table
from gamsearch.training.replay import ReplayEvaluator


@pytest.mark.parametrize(("sampler", "stopping"), [("thaw", "default"), ("tpe", "aggressive")])
def test_a_paused_training_resumes_where_it_was_and_every_epoch_is_trained_once(tmp_path, sampler, stopping):
    trained: Counter[tuple[str, int]] = Counter()

    class Counting(ReplayEvaluator):
        def evaluate(self, architecture, budget, report):
            def listen(epoch, metrics):
                trained[architecture.key, epoch] += epoch > 0
                report(epoch, metrics)

            return super().evaluate(architecture, budget, listen)

    study = new_study(tmp_path / "run")
    run(study, sampler, stopping, SearchBudget(300, "epochs"), Counting(evaluator().table))
    resumed = [t for t in store.trials(study) if "resumes" in t.user_attrs]
    assert resumed and set(trained.values()) <= {0, 1}
    counted = sum(t.user_attrs.get("epochs_trained", 0) for t in store.trials(study))
    assert counted == sum(trained.values())
    assert History(study).update().spent == counted - EPOCHS  # the baseline's are not the candidates'


def test_a_trial_that_was_killed_between_recording_a_stop_and_ending_is_tried_again(tmp_path):
    study = new_study(tmp_path / "run")
    run(study, "thaw", "default", SearchBudget(220, "epochs"))
    architecture = next(
        a for a in SPACE.enumerate() if a.key not in History(study).update().architectures and not a.is_baseline
    )
    study.enqueue_trial(SPACE.encode(architecture))
    killed = study.ask()
    SPACE.sample(killed.suggest_int)
    for name, value in {"key": architecture.key, "label": architecture.label, "reason": "paused after epoch 2"}.items():
        killed.set_user_attr(name, value)
    killed.set_user_attr("architecture", architecture.to_dict())
    killed.set_user_attr("stop", {"reason": "paused after epoch 2", "epoch": 2, "paused": True})
    assert recovery.release_interrupted(study) == 1
    run(study, "thaw", "default", SearchBudget(260, "epochs"))
    own = [t for t in store.trials(study) if t.user_attrs.get("key") == architecture.key]
    assert own[0].state == TrialState.FAIL and own[1].user_attrs["retry_of"] == own[0].number
    assert own[1].user_attrs["epochs_trained"] >= 2


def test_an_objective_that_is_nan_is_a_failure_with_its_reason_and_not_tried_again(tmp_path):
    class NotANumber(ReplayEvaluator):
        def evaluate(self, architecture, budget, report):
            measured = super().evaluate(architecture, budget, report)
            bad = len(architecture.placements) == 1
            return replace(measured, metrics={**measured.metrics, **({"map50_95": math.nan} if bad else {})})

    study = new_study(tmp_path / "run")
    run(study, "thaw", "default", SearchBudget(160, "epochs"), NotANumber(evaluator().table))
    failed = [t for t in store.trials(study) if t.state == TrialState.FAIL]
    assert failed and all(t.user_attrs["reason"].startswith("nan: an objective is not finite") for t in failed)
    assert len({t.user_attrs["key"] for t in failed}) == len(failed)


def test_what_the_user_can_fix_ends_the_search_and_costs_no_candidate(tmp_path):
    class CannotPredict(ReplayEvaluator):
        def predict_costs(self, architecture):
            raise RunError("latency.json was measured elsewhere")

    study = new_study(tmp_path / "run")
    with pytest.raises(RunError, match="measured elsewhere"):
        run(study, "thaw", "default", SearchBudget(100, "epochs"), CannotPredict(evaluator().table))
    run(study, "thaw", "default", SearchBudget(100, "epochs"))
    failed = [t for t in store.trials(study) if t.state == TrialState.FAIL]
    assert all(interrupted(t) for t in failed)
    assert all(known.state != TrialState.FAIL for known in History(study).update().candidates)


def test_a_repeat_is_answered_from_the_record_without_training(tmp_path, evaluator):
    study = landscape.new_study(tmp_path / "run")
    landscape.run(study, evaluator, trials=2)
    first = store.trials(study)[1]
    study.enqueue_trial(first.params)
    landscape.run(study, evaluator, trials=12)
    repeat = next(t for t in store.trials(study) if t.user_attrs.get("recalled_from") == 1)
    assert (repeat.state, repeat.values) == (TrialState.COMPLETE, first.values)
    assert not trial_table(study).set_index("number").loc[repeat.number, "on_front"]


def test_a_failed_candidate_is_recorded_with_its_reason_and_the_search_continues(tmp_path, evaluator):
    victim = landscape.SMALL.anchors()[0]

    class NanAtOne(landscape.PredictsCosts):
        def evaluate(self, architecture, budget, report):
            if architecture == victim:
                report(0, {"params_m": 3.0, "gflops": 8.0, "latency_ms": 11.0})
                raise CandidateFailed("nan", "the training loss is not finite in epoch 1")
            return evaluator.evaluate(architecture, budget, report)

    study = landscape.new_study(tmp_path / "run")
    _, progress = landscape.run(study, NanAtOne(), trials=5)
    failed = store.trials(study, TrialState.FAIL)
    assert [t.user_attrs["reason"] for t in failed] == ["nan: the training loss is not finite in epoch 1"]
    assert "not finite" in progress.outcomes[failed[0].number]
    study.enqueue_trial(landscape.SMALL.encode(victim))
    landscape.run(study, NanAtOne(), trials=7)
    again = [t for t in store.trials(study) if t.user_attrs.get("key") == victim.key]
    assert again[0].state == TrialState.FAIL
    assert {t.state for t in again[1:]} == {TrialState.PRUNED}  # known, so it is not tried again
