"""Which workers are alive: by their lock file on one machine, by their heartbeat from another one."""

import platform

import optuna
import pytest

from gamsearch.errors import RunError
from gamsearch.runs.run import refuse_second_leader
from gamsearch.study.worker_entries import FOLDER, PREFIX
from gamsearch.study.workers import WorkerRegistry


def test_looks_in_quick_succession_count_as_one(tmp_path, study):
    study.set_user_attr(PREFIX + "0" * 12, {"pid": 1, "host": "elsewhere", "beat": 5})
    with WorkerRegistry(study, tmp_path, "cpu", beat_s=60) as registry:
        assert all(registry.alive("0" * 12) for _ in range(100))


def test_on_one_machine_the_lock_file_tells_at_once(tmp_path, study):
    with WorkerRegistry(study, tmp_path, "cpu") as registry:
        with WorkerRegistry(study, tmp_path, "cpu", leads=False) as other:
            assert registry.alive(other.id) and other.alive(registry.id) and other.leaders() == [registry.id]
            assert registry.leaders() == []
        assert not registry.alive(other.id)


def test_the_last_worker_deletes_the_lock_files_of_killed_ones(tmp_path, study):
    killed, started = "0" * 12, tmp_path / FOLDER / "unknown.lock"
    study.set_user_attr(PREFIX + killed, {"pid": 1, "host": platform.node(), "beat": 5})
    with WorkerRegistry(study, tmp_path, "cpu") as registry:
        for path in (lock := tmp_path / FOLDER / f"{killed}.lock", started):
            path.touch()
        with WorkerRegistry(study, tmp_path, "cpu", leads=False):
            pass
        assert lock.exists() and not registry.alive(killed)
    assert [*(tmp_path / FOLDER).iterdir()] == [started]


class Messages(list):
    """A progress that keeps its messages."""

    say = list.append


def test_a_second_run_on_the_same_study_from_another_folder_is_refused(tmp_path):
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db")
    first, second = (WorkerRegistry(study, tmp_path / name, "cpu", beat_s=0.1) for name in ("one", "two"))
    with first, second, pytest.raises(RunError, match=r"led by another run \(process \d+ on .*, cpu\); wait for it"):
        refuse_second_leader(second, Messages())


def test_a_leader_that_died_elsewhere_is_watched_until_it_is_considered_dead(tmp_path):
    study = optuna.create_study()
    study.set_user_attr(PREFIX + "0" * 12, {"pid": 1, "host": "elsewhere", "beat": 5, "leads": True})
    with WorkerRegistry(study, tmp_path, "cpu", beat_s=0.1) as second:
        messages = Messages()
        refuse_second_leader(second, messages)
        assert len(messages) == 1 and second.leaders() == []
