"""`status` of runs that are finished, killed, running or missing; it changes nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock
from support.paths import ROOT

from gamsearch.cli.main import main
from gamsearch.errors import RunError
from gamsearch.reporting.status import status
from gamsearch.runs.folder_lock import LOCK, announced, held, is_locked
from gamsearch.study import store, unreachable
from gamsearch.study.table import read_record

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
REPLAY = ["run", "--evaluator", "replay", "--sampler", "random", "--noise-seeds", "2", "--epochs", "5"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished replay of four trainings."""
    out = tmp_path_factory.mktemp("status") / "results"
    assert main([*REPLAY, "--trials", "4", "--out", str(out), "--name", "four"]) == 0
    return out / "four"


def lines(folder: Path, **more) -> dict[str, str]:
    """The lines by their first word, after the answer and its grounds."""
    headline, _, state, *rest = status(folder, **more).lines
    named = {line.split()[0]: line[10:] for line in rest}
    return {"answer": headline, "state": state.split(": ", 1)[1], **named}


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir() if p.is_file() and p.name != LOCK}


def test_a_finished_run_is_reported_as_finished_with_its_best_candidate(finished):
    before = contents(finished)
    said = lines(finished)
    assert said["state"].startswith("finished (the budget of 4 full trainings is used up: 4 candidates")
    assert said["searched"].startswith("4 candidates: 4 complete") and said["used"] == "4 of 4 full trainings"
    record = read_record(store.load(finished), "four")
    assert record.candidates.iloc[0]["label"] in said["best"]
    assert f"baseline mAP50-95 {record.baseline['map50_95']:.4f}" in said["best"]
    assert "trials and" in said["rate"] and "left" not in said and "now" not in said
    assert f"optuna-dashboard {finished / store.JOURNAL}" in said["browse"]
    assert said["answer"] == record.answer().headline and said["next"].startswith(record.answer().next_step)
    assert contents(finished) == before


def test_a_truncated_last_line_is_left_as_it_is(finished, tmp_path):
    truncated = (finished / store.JOURNAL).read_bytes() + b'{"op_code": 5, "worker_id": "'
    (tmp_path / store.JOURNAL).write_bytes(truncated)
    assert "4 candidates: 4 complete" in lines(tmp_path)["searched"]
    assert (tmp_path / store.JOURNAL).read_bytes() == truncated
    assert [p.name for p in tmp_path.iterdir()] == [store.JOURNAL]


def test_a_run_without_its_end_is_interrupted(finished, tmp_path):
    whole = (finished / store.JOURNAL).read_text().splitlines(keepends=True)
    ends = [i for i, line in enumerate(whole) if '"state":1' in line]
    (tmp_path / store.JOURNAL).write_text("".join(whole[: ends[2] + 1]))
    said = lines(tmp_path)
    assert said["state"] == "interrupted; the same command resumes it"
    assert said["used"] == "2 of 4 full trainings"


def test_the_process_that_holds_the_folder_is_named(finished, tmp_path):
    (tmp_path / store.JOURNAL).write_bytes((finished / store.JOURNAL).read_bytes())
    with FileLock(tmp_path / LOCK), announced(tmp_path, "verification"):
        said = lines(tmp_path)
        assert is_locked(tmp_path)
    assert f"verification by process {os.getpid()}" in said["state"] and said["state"].startswith("running")
    assert not is_locked(tmp_path) and lines(tmp_path)["state"].startswith("finished")


def test_status_does_not_take_the_lock(tmp_path):
    lock = FileLock(tmp_path / LOCK)
    with lock:
        pass
    is_locked(tmp_path)
    with lock.acquire(timeout=0):
        assert is_locked(tmp_path)


def test_the_rate_covers_only_the_last_hour(finished, tmp_path):
    (tmp_path / store.JOURNAL).write_bytes((finished / store.JOURNAL).read_bytes())
    with FileLock(tmp_path / LOCK):
        later = datetime.now() + timedelta(hours=2)
        assert "rate" not in lines(tmp_path, now=later)
        soon = lines(tmp_path, now=datetime.now() + timedelta(minutes=30))
    trials, epochs = map(float, re.findall(r"([\d.]+) (?:trials|epochs)", soon["rate"]))
    assert epochs == pytest.approx(5 * trials, rel=0.01) and 5 < trials < 12


def test_a_run_that_has_just_started_has_no_record_yet(tmp_path):
    with FileLock(tmp_path / LOCK), announced(tmp_path, "search"):
        assert "just started" in status(tmp_path).lines[1]
    with pytest.raises(RunError, match="holds no run"):
        status(tmp_path)


def test_a_run_that_trains_its_baseline_is_reported_while_it_writes(tiny_data, tmp_path):
    small = ["--epochs", "1", "--baseline-epochs", "40", "--imgsz", "64", "--batch", "4", "--noise-seeds", "1"]
    words = ["run", "--data", str(tiny_data), "--space", "gam-demo", "--trials", "1", *small, "--name", "live"]
    command = [sys.executable, "-m", "gamsearch", *words]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    folder, until = tmp_path / "results" / "live", time.monotonic() + 200
    try:
        while not (folder / "baseline" / "kept.pt").exists():
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.2)
        said = lines(folder)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert f"by process {process.pid}" in said["state"] and said["time"].startswith("about ")
    assert (
        said["now"].startswith("training the baseline for 40 epochs, mAP50-95 0.")
        and said["searched"] == "no candidate yet"
    )
    assert lines(folder)["state"] == "interrupted; the same command resumes it"


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_a_folder_without_a_run_gives_a_one_line_error(tmp_path, monkeypatch, capsys, folder):
    monkeypatch.chdir(tmp_path)
    assert main(["status", folder]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gamsearch: ") and said.count("\n") == 1


def test_the_status_of_a_run_whose_storage_is_unreachable_says_for_how_long_it_keeps_trying(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/nowhere/study.db"
    monkeypatch.setenv("GAMSEARCH_STORAGE", url)
    (tmp_path / "storage.json").write_text(json.dumps({"storage": url, "study": "mine"}))
    with held(tmp_path):
        unreachable.keep_in(tmp_path)
        unreachable.report(url, 100.0)
        _, storage, left = status(tmp_path).lines
    assert "cannot be reached" in storage and left.startswith("left      the run keeps trying for ")
    with pytest.raises(RunError, match="cannot be reached"):  # it is not running any more
        status(tmp_path)
