"""The journal: Optuna's format, no line lost to another writer, synced only where a result is."""

import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from made_up import ROOT, checked, said, search_of, start, timed_table
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from gamsearch.study import store
from gamsearch.study.journal import Journal


def test_optuna_reads_what_it_writes_and_the_disk_is_synced_twice_a_trial(tmp_path, monkeypatch):
    path, synced, fsync = tmp_path / "journal", [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(path.read_bytes()), fsync(number)))
    study = optuna.create_study(storage=JournalStorage(Journal(path)), study_name="s")

    def objective(trial):
        for name in "abcdefgh":
            trial.suggest_int(name, 0, 9)
            trial.set_user_attr(name, 1)
        return 1.0

    study.optimize(objective, n_trials=5)
    assert len(synced) <= 2 * 5 + 1  # a trial starts and ends
    assert synced[-1] == path.read_bytes()  # the last result is on the disk
    study.set_user_attr("finalists", [1, 2])
    assert synced[-1] == path.read_bytes()
    plain = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    assert [t.user_attrs for t in plain.trials] == [t.user_attrs for t in study.trials]
    assert len(plain.trials) == 5 and plain.user_attrs == {"finalists": [1, 2]}


def test_two_processes_that_write_at_once_lose_no_line(tmp_path: Path):
    script = """
import sys
from pathlib import Path
from gamsearch.study.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(100):
    journal.append_logs([{"who": sys.argv[2], "number": number, "text": "x" * 3000}])
"""
    path = tmp_path / "journal"
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path), who]) for who in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    lines = list(Journal(path).read_logs(0))
    for who in "ab":
        assert [line["number"] for line in lines if line["who"] == who] == list(range(100))


def test_a_torn_line_is_cut_before_the_next_one_is_written(tmp_path):
    """Another worker was killed during a write while this one continues."""
    path = tmp_path / "journal"
    study = optuna.create_study(storage=JournalStorage(Journal(path)), study_name="s")
    study.set_user_attr("a", 1)
    with path.open("ab") as file:
        file.write(b'{"op_code": 2, "worker_id"')
    assert study.user_attrs == {"a": 1}  # a reader waits for the rest
    study.set_user_attr("b", 2)
    again = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    assert again.user_attrs == study.user_attrs == {"a": 1, "b": 2}


@pytest.mark.parametrize("target", ["journal", "results/a/journal", "/none/journal"])
def test_a_lock_that_a_killed_process_left_is_broken(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "a").mkdir(parents=True)
    path = Path("results/a/journal")
    study = optuna.create_study(storage=JournalStorage(Journal(path)), study_name="s")
    os.symlink(target, f"{path}.lock")
    study.set_user_attr("a", 1)
    assert study.user_attrs == {"a": 1} and not os.path.lexists(f"{path}.lock")


def test_the_lock_of_a_relative_journal_leads_somewhere(tmp_path, monkeypatch):
    """Optuna's own backend, as in the dashboard, waits forever for a dangling lock."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    journal = Journal(Path("results/journal"))
    with journal._locked():
        assert os.path.lexists("results/journal.lock") and os.path.exists("results/journal.lock")


LIMITED = """
import resource, signal, sys
from gamsearch.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def test_a_search_continues_after_the_disk_was_full(tmp_path):
    """A limit on file sizes lets a line be written in part, as on a full disk."""
    pytest.importorskip("resource", reason="needs POSIX resource limits")
    table, space = timed_table(tmp_path, "[4, 6]", 0.0)
    words = [str(word) for word in search_of(tmp_path, table, space)]
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    full = [sys.executable, "-c", LIMITED, "20000", *words]
    ran = subprocess.run(full, cwd=tmp_path, env=known, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2 and "make room on the disk" in ran.stderr and "Traceback" not in ran.stderr
    path = tmp_path / "results" / "a" / "study.journal"
    assert path.read_bytes().endswith(b"\n") and path.stat().st_size <= 20000
    assert start(tmp_path, *words).wait(120) == 0, said(tmp_path)
    checked(store.load(path.parent), 9)
