"""Trials of dead workers are failed and enqueued again, once each."""

import time

import optuna
from made_up import eventually
from optuna.trial import TrialState

from gamsearch.study import recovery, store
from gamsearch.study.worker_entries import PREFIX
from gamsearch.study.workers import MISSED, WorkerRegistry


def running(study: optuna.Study, worker: str) -> optuna.Trial:
    """A trial that a worker is running."""
    trial = study.ask()
    trial.set_user_attr("worker", worker)
    trial.suggest_int("x", 0, 3)
    return trial


def test_a_worker_of_another_machine_is_dead_when_its_heartbeat_stops(tmp_path, study):
    far = {"pid": 1, "host": "elsewhere", "device": "0", "beat": 5, "task": ""}
    study.set_user_attr(PREFIX + "0" * 12, far)
    trial = running(study, "0" * 12)
    with WorkerRegistry(study, tmp_path, "cpu", beat_s=0.05) as registry:
        for beat in range(MISSED + 3):  # alive while its heartbeat counts up
            study.set_user_attr(PREFIX + "0" * 12, {**far, "beat": 6 + beat})
            assert registry.alive("0" * 12)
            time.sleep(0.06)
        assert recovery.release_interrupted(study, registry) == 0
        eventually(lambda: not registry.alive("0" * 12), 5)
        assert [t.number for t in recovery.lost(study, registry)] == [trial.number]
        assert recovery.release_interrupted(study, registry) == 1
        assert recovery.release_interrupted(study, registry) == 0
    old, new = store.trials(study)
    assert old.state == TrialState.FAIL and old.user_attrs["reason"].startswith("lost")
    assert new.state == TrialState.WAITING and new.user_attrs["retry_of"] == old.number


def test_a_candidate_that_seems_to_kill_its_workers_is_recorded_as_failed(tmp_path, study):
    with WorkerRegistry(study, tmp_path, "cpu") as registry:
        for n in range(recovery.LOSSES):
            trial = running(study, f"{n:012x}")
            assert trial.user_attrs.get("retry_of") == (trial.number - 1 if n else None)
            recovery.release_interrupted(study, registry)
    reasons = [t.user_attrs["reason"] for t in store.trials(study)]
    assert [r.partition(":")[0] for r in reasons] == ["lost"] * (recovery.LOSSES - 1) + ["error"]


def test_the_second_of_two_retries_of_one_trial_is_recognised(study):
    first = study.ask()
    study.tell(first.number, state=TrialState.FAIL)
    for _ in range(2):
        study.enqueue_trial({}, user_attrs={"retry_of": first.number})
    one, two = study.ask(), study.ask()
    assert recovery.earlier_retry(study, one) is None
    assert recovery.earlier_retry(study, two) == one.number
