"""The journal: Optuna's own form, no line lost to another writer, and the disk waited for only where a result is."""

import os
import subprocess
import sys
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from gamsearch.journal import Journal


def test_optuna_reads_what_it_writes_and_the_disk_is_waited_for_once_a_trial(tmp_path, monkeypatch):
    path, synced, fsync = tmp_path / "journal", [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(path.read_bytes()), fsync(number)))
    study = optuna.create_study(storage=JournalStorage(Journal(path)), study_name="s")

    def objective(trial):
        for name in "abcdefgh":
            trial.suggest_int(name, 0, 9)
            trial.set_user_attr(name, 1)
        return 1.0

    study.optimize(objective, n_trials=5)
    assert len(synced) <= 2 * 5 + 1  # a trial begins and ends
    assert synced[-1] == path.read_bytes()  # nothing after the last result was left to chance
    study.set_user_attr("finalists", [1, 2])
    assert synced[-1] == path.read_bytes()
    plain = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    assert [t.user_attrs for t in plain.trials] == [t.user_attrs for t in study.trials]
    assert len(plain.trials) == 5 and plain.user_attrs == {"finalists": [1, 2]}


def test_two_processes_that_write_at_once_lose_no_line(tmp_path: Path):
    script = """
import sys
from pathlib import Path
from gamsearch.journal import Journal
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
