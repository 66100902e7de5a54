"""A storage whose server is unreachable for a while: calls are retried, mistakes are not."""

import time

import optuna
import pytest
from optuna.trial import TrialState

from gamsearch.errors import RunError
from gamsearch.study import outage, unreachable
from gamsearch.study.retrying import RetryingStorage


class LostReplies(optuna.storages.InMemoryStorage):
    """A storage that executes every call, but loses every other reply."""

    calls = 0

    def set_trial_state_values(self, *arguments, **named):
        done = super().set_trial_state_values(*arguments, **named)
        self._fail()
        return done

    def create_new_trial(self, *arguments, **named):
        self._fail()
        return super().create_new_trial(*arguments, **named)

    def _fail(self):
        self.calls += 1
        if self.calls % 2:
            raise ConnectionResetError("server closed the connection")


def test_calls_whose_replies_are_lost_are_repeated(monkeypatch):
    monkeypatch.setattr(outage.time, "sleep", lambda seconds: None)
    study = optuna.create_study(storage=RetryingStorage(LostReplies(), "memory"))
    for value in range(4):
        study.tell(study.ask(), float(value))
    assert [t.values for t in study.trials if t.state == TrialState.COMPLETE] == [[0.0], [1.0], [2.0], [3.0]]


def test_a_storage_that_stays_unreachable_is_reported_in_one_sentence():
    class Gone(optuna.storages.InMemoryStorage):
        def get_all_trials(self, *arguments, **named):
            raise ConnectionRefusedError("no route")

    study = optuna.create_study(storage=RetryingStorage(Gone(), "postgresql://me:***@host/db", retry_s=0.1))
    with pytest.raises(RunError, match=r"postgresql://me:\*\*\*@host/db has not answered for 0 s"):
        study.get_trials()


def test_mistakes_are_not_retried():
    study = optuna.create_study(storage=RetryingStorage(optuna.storages.InMemoryStorage(), "memory"))
    started = time.monotonic()
    with pytest.raises(KeyError):
        optuna.load_study(study_name="none", storage=study._storage)
    assert time.monotonic() - started < 1


def test_a_storage_that_does_not_answer_is_reported_with_the_seconds_left_and_so_is_its_return(capsys, tmp_path):
    class Away(optuna.storages.InMemoryStorage):
        calls = 0

        def get_all_trials(self, *arguments, **named):
            self.calls += 1
            if self.calls < 3:
                raise ConnectionRefusedError("no route")
            left.append(unreachable.seconds_left(tmp_path))
            return super().get_all_trials(*arguments, **named)

    left: list[float | None] = []
    unreachable.keep_in(tmp_path)
    optuna.create_study(storage=RetryingStorage(Away(), "postgresql://me:***@host/db", retry_s=60)).get_trials()
    first, second = capsys.readouterr().err.splitlines()
    assert (
        first.startswith("gamsearch: postgresql://me:***@host/db does not answer; trying for 60 s more")
        and "answers" in second
    )
    assert left[0] is not None and 50 < left[0] <= 60 and unreachable.seconds_left(tmp_path) is None
