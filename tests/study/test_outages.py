"""Storages that are taken away while real processes search: nothing is lost, nothing is blamed on a candidate."""

import errno
import io
import os
import random
import shutil
from pathlib import Path

import optuna
import pytest
import sqlalchemy.exc
from optuna.storages import JournalStorage
from optuna.trial import TrialState
from outages import STORAGES, disturbed_search
from postgres import BINARIES

from gamsearch.errors import RunError
from gamsearch.study import outage
from gamsearch.study.journal import Journal
from gamsearch.study.outage import Patience, StorageUnreachable, is_temporary
from gamsearch.study.retrying import RetryingStorage

NEEDS = {"postgres": "psycopg", "proxy": "grpc", "sqlite": "sqlite3", "journal": "json"}


@pytest.mark.parametrize("name", sorted(STORAGES))
def test_every_architecture_is_evaluated_once_while_its_storage_comes_and_goes(tmp_path, name):
    pytest.importorskip(NEEDS[name], reason="needs pip install 'gamsearch[storage]'")
    if name == "postgres" and not BINARIES:
        pytest.skip("needs a PostgreSQL server: apt install postgresql")
    assert disturbed_search(name, tmp_path, random.Random(name), workers=2, outages=1, size=27) == 1


# what is temporary ---------------------------------------------------------------------------------------------------
class OperationalError(Exception):
    """As the database drivers call it."""


def wrapped(error: Exception) -> Exception:
    """An error as Optuna and SQLAlchemy pass it on, with the statement that failed."""
    try:
        try:
            raise error
        except Exception as inner:
            known = {"does not exist": "unable to open database file"}
            raise sqlalchemy.exc.OperationalError("UPDATE x SET y", known, inner) from inner
    except Exception as outer:
        optunas = optuna.exceptions.StorageInternalError("An exception is raised during the commit.")
        optunas.__cause__ = outer
        return optunas


@pytest.mark.parametrize(
    "text",
    [
        "database is locked",
        "server closed the connection unexpectedly",
        "connection failed: FATAL:  the database system is starting up",
        "terminating connection due to administrator command",
        "disk I/O error",
    ],
)
def test_what_a_server_says_while_it_restarts_is_temporary(text):
    assert is_temporary(OperationalError(text)) and is_temporary(wrapped(OperationalError(text)))


@pytest.mark.parametrize(
    "text",
    [
        'FATAL:  database "x" does not exist',
        "FATAL:  password authentication failed",
        "no such table: trials",
        "attempt to write a readonly database",
    ],
)
def test_what_no_waiting_mends_is_not_temporary(text):
    assert not is_temporary(OperationalError(text)) and not is_temporary(wrapped(OperationalError(text)))


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ENOLCK, errno.ETIMEDOUT, errno.ENOSPC, errno.EACCES])
def test_a_file_server_that_restarts_is_temporary_a_full_disk_is_not(number):
    assert is_temporary(OSError(number, os.strerror(number))) is (number not in (errno.ENOSPC, errno.EACCES))


def test_an_error_that_is_its_own_cause_is_looked_at_once():
    error = ValueError("x")
    error.__cause__ = error
    assert not is_temporary(error)
    with pytest.raises(RunError, match="ValueError: x"):
        outage.Outage(Patience("here")).wait(error)


def test_an_outage_begins_with_its_first_error_and_not_with_a_call_during_which_the_machine_slept(monkeypatch):
    monkeypatch.setattr(outage.stop_request, "sleep", lambda seconds: None)
    times = iter((1000.0, 1500.0, 1601.0))
    monkeypatch.setattr(outage.time, "monotonic", lambda: next(times))
    call, error = outage.Outage(Patience("here")), ConnectionResetError("gone")
    call.wait(error)
    call.wait(error)
    with pytest.raises(outage.StorageUnreachable):
        call.wait(error)


# what the others become ----------------------------------------------------------------------------------------------
class Broken(optuna.storages.InMemoryStorage):
    """A storage that is damaged while a trial runs."""

    def __init__(self, error: Exception):
        super().__init__()
        self.error = error

    def set_trial_user_attr(self, *arguments, **named):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        KeyError("no such trial"),
        AssertionError(),
        sqlalchemy.exc.ProgrammingError("SELECT", {}, Exception("relation trials does not exist")),
        optuna.exceptions.StorageInternalError("An exception is raised during the commit."),
        OSError(errno.ENOSPC, "No space left on device"),
        ValueError("Invalid log format."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_other_error_of_a_storage_is_one_sentence_for_the_user(error):
    study = optuna.create_study(storage=RetryingStorage(Broken(error), "postgresql://me:***@host/db"))
    with pytest.raises(RunError, match=r"the storage postgresql://me:\*\*\*@host/db cannot be used"):
        study.ask().set_user_attr("a", 1)


def test_a_value_that_cannot_be_recorded_is_not_the_storages_fault(tmp_path):
    study = optuna.create_study(storage=RetryingStorage(JournalStorage(Journal(tmp_path / "journal")), "here"))
    with pytest.raises(TypeError):
        study.ask().set_user_attr("a", object())


def test_a_storage_that_was_given_up_is_not_waited_for_again(monkeypatch):
    monkeypatch.setattr(outage, "LONGEST_PAUSE_S", 0.01)
    storage = Broken(ConnectionRefusedError("no route"))
    study = optuna.create_study(storage=RetryingStorage(storage, "here", retry_s=0.05))
    trial = study.ask()
    with pytest.raises(StorageUnreachable):
        trial.set_user_attr("a", 1)
    monkeypatch.setattr(outage.time, "sleep", lambda seconds: pytest.fail("waited again"))
    with pytest.raises(StorageUnreachable):
        trial.set_user_attr("a", 1)


# the journal ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("written", [0, 5, 10_000])
def test_a_line_is_written_once_however_much_of_it_a_failed_write_left(tmp_path, monkeypatch, written):
    """The server goes away while a line is written and cannot cut it back either."""
    monkeypatch.setattr(outage.time, "sleep", lambda seconds: None)
    study = optuna.create_study(storage=JournalStorage(Journal(tmp_path / "journal")))
    trial, failing = study.ask(), []

    class Stale(io.FileIO):
        def write(self, content):
            if failing:
                super().write(content[:written])
                raise OSError(errno.ESTALE, "Stale file handle")
            return super().write(content)

        def truncate(self, size=None):
            if failing:
                failing.pop()
                raise OSError(errno.ESTALE, "Stale file handle")
            return super().truncate(size)

    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode, buffering=-1: opened(path, mode) if buffering else Stale(path, mode)
    )
    failing.append(True)
    study.tell(trial, 1.0)
    assert not failing and [t.state for t in study.trials] == [TrialState.COMPLETE]
    assert (tmp_path / "journal").read_bytes().count(b'"state":1') == 1


def test_a_deleted_folder_is_one_sentence(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    study = optuna.create_study(storage=RetryingStorage(JournalStorage(Journal(folder / "journal")), "here"))
    shutil.rmtree(folder)
    with pytest.raises(RunError, match="journal cannot be used"):
        study.ask()
