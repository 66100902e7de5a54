"""Whole runs as a user starts them: a real two-trial search, killed and resumed, its report and its export."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from optuna.trial import TrialState
from support.hidden import run_hidden

import gamsearch as gamsearch_package
from gamsearch.study import store
from gamsearch.study.interruptions import interrupted
from gamsearch.study.table import trial_table

SMALL = ["--imgsz", "64", "--batch", "4", "--epochs", "1", "--baseline-epochs", "1", "--noise-seeds", "2"]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(gamsearch_package.__file__).parents[1])}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "gamsearch", *words]


def gamsearch(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command(*words), cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


def start(words: list[str], cwd: Path, errors: Path) -> subprocess.Popen:
    with errors.open("w") as file:
        return subprocess.Popen(command(*words), cwd=cwd, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=file)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def search(tiny_data: Path, home: Path) -> tuple[list[str], Path]:
    """A two-trial search that was killed with -9 while its first candidate was being trained."""
    words = ["run", "--data", str(tiny_data), "--space", "gam-demo", "--trials", "2", *SMALL, "--name", "killed"]
    process = start(words, home, home / "killed.txt")
    folder = home / "results" / "killed"
    _wait_for(lambda: ("running", "GAM@4 r4") in _states(folder), process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return words, folder


def _states(folder: Path) -> list[tuple[str, str]]:
    """State and label of the trials so far; the journal may be in the middle of a write."""
    import shutil
    import tempfile

    if not (folder / store.JOURNAL).exists():
        return []
    with tempfile.TemporaryDirectory() as copy:
        shutil.copy(folder / store.JOURNAL, copy)
        try:
            rows = trial_table(store.load(Path(copy)))
            return list(zip(rows["state"], rows["label"], strict=True))
        except Exception:
            return []


def _wait_for(condition, process: subprocess.Popen, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < until, "the run did not get so far in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def resumed(search, home: Path) -> tuple[subprocess.CompletedProcess, Path, dict]:
    words, folder = search
    before = store.load(folder)
    baseline = store.baseline_trial(before).user_attrs["measurement"]
    seeds = before.user_attrs.get("baseline_seeds")
    return gamsearch(*words, cwd=home), folder, {"baseline": baseline, "seeds": seeds}


def test_a_killed_search_is_resumed_and_finishes(resumed):
    done, folder, _ = resumed
    assert done.returncode == 0, done.stderr
    assert "(resumed)" in done.stdout and "2 candidates, " in done.stdout
    rows = trial_table(store.load(folder))
    assert rows[rows["state"] == "complete"]["label"].tolist().count("baseline") == 1
    assert sum(rows["state"] == "complete") == 3 and rows["key"][rows["state"] == "complete"].is_unique


def test_what_was_recorded_before_the_kill_is_unchanged_and_not_measured_again(resumed):
    _, folder, before = resumed
    study = store.load(folder)
    assert store.baseline_trial(study).user_attrs["measurement"] == before["baseline"]
    assert study.user_attrs["baseline_seeds"] == before["seeds"]


def test_the_killed_trial_is_marked_interrupted_and_enqueued_again(resumed):
    study = store.load(resumed[1])
    killed = [t for t in store.trials(study) if interrupted(t)]
    again = [t for t in store.trials(study) if t.user_attrs.get("retry_of") is not None]
    assert [t.number for t in killed] == [again[0].user_attrs["retry_of"]] and len(again) == 1
    assert again[0].system_attrs["fixed_params"] == killed[0].params


def candidates(folder: Path) -> list:
    """The complete trials but the baseline."""
    complete = store.trials(store.load(folder), TrialState.COMPLETE)
    return [trial for trial in complete if trial.user_attrs["label"] != "baseline"]


def test_every_candidate_inherited_all_baseline_weights(resumed):
    for trial in candidates(resumed[1]):
        audit = trial.user_attrs["measurement"]["provenance"]["audit"]
        assert (audit["tensors_inherited"], audit["tensors_expected"], audit["misplaced"]) == (355, 355, 0)


def test_the_run_leaves_a_table_a_page_and_a_picture(resumed):
    folder = resumed[1]
    states = trial_table(store.load(folder))["state"].tolist()
    assert pd.read_csv(folder / "trials.csv")["state"].tolist() == [s for s in states if s != "waiting"]
    assert (folder / "pareto.png").stat().st_size > 10_000
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Pareto" in page
    assert "355 of 355 tensors in each of 2 candidates; 0 were assigned to another layer" in page


def test_report_rebuilds_what_is_derived_from_the_record(resumed, home: Path):
    folder = resumed[1]
    (folder / "trials.csv").unlink()
    done = gamsearch("report", str(folder), cwd=home)
    assert done.returncode == 0, done.stderr
    assert (folder / "trials.csv").is_file()


def test_resuming_needs_no_option_but_the_name(resumed, home: Path, tiny_data: Path):
    done = gamsearch("run", "--name", "killed", cwd=home)
    assert done.returncode == 0, done.stderr
    assert "2 candidates, " in done.stdout


def test_resuming_with_other_settings_is_refused_and_loses_nothing(resumed, home: Path):
    folder = resumed[1]
    before = (folder / store.JOURNAL).read_bytes()
    done = gamsearch("run", "--name", "killed", "--epochs", "3", cwd=home)
    assert done.returncode == 2
    assert "was made with --epochs 1, not 3" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert (folder / store.JOURNAL).read_bytes() == before


def test_a_second_run_in_the_same_folder_is_refused(resumed, home: Path):
    from filelock import FileLock

    with FileLock(resumed[1] / ".lock"):
        done = gamsearch("run", "--name", "killed", cwd=home)
    assert done.returncode == 2 and "in use by another run" in done.stderr


def test_other_settings_are_refused_as_soon_as_the_baseline_stage_has_begun(tiny_data: Path, home: Path):
    words = ["run", "--data", str(tiny_data), "--space", "gam-demo", "--trials", "1", *SMALL, "--name", "early"]
    process = start(words, home, home / "early.txt")
    last = home / "results" / "early" / "baseline" / "args.yaml"
    _wait_for(last.exists, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = gamsearch("run", "--name", "early", "--baseline-epochs", "3", cwd=home)
    assert done.returncode == 2 and "was made with --baseline-epochs 1, not 3" in done.stderr


def test_a_run_whose_trainings_had_another_recipe_is_not_resumed(resumed, tmp_path: Path):
    folder = tmp_path / "results" / "older"
    shutil.copytree(resumed[1], folder)
    study = store.load(folder)
    prints = dict(study.user_attrs["fingerprints"])
    assert prints.pop("recipe").startswith("optimizer AdamW, lr0 0.001, ")
    for recipe, sentence in ({}, "recorded by an earlier gamsearch"), ({"recipe": "another"}, "the recipe changed"):
        study.set_user_attr("fingerprints", {**prints, **recipe})
        done = gamsearch("run", "--name", "older", cwd=tmp_path)
        assert done.returncode == 2 and sentence in done.stderr, done.stderr


def test_a_moved_run_is_resumed_in_its_new_folder(resumed, home: Path):
    import shutil

    shutil.copytree(resumed[1], home / "elsewhere" / "killed")
    done = gamsearch("run", "--name", "killed", "--out", "elsewhere", cwd=home)
    assert done.returncode == 0, done.stderr
    assert "in elsewhere/killed (resumed)" in done.stdout


def test_ctrl_c_stops_cleanly_and_says_how_to_resume(tiny_data: Path, home: Path):
    words = ["run", "--data", str(tiny_data), "--space", "gam-demo", "--trials", "3", *SMALL, "--name", "stopped"]
    process = start(words, home, home / "stopped.txt")
    _wait_for(lambda: ("running", "baseline") in _states(home / "results" / "stopped"), process)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    errors = (home / "stopped.txt").read_text()
    assert "everything recorded is kept" in errors and "Traceback" not in errors


WITHOUT_GAMSEARCH = """
import torch
image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
traced = torch.jit.load("trial-{number}.torchscript")(image)
import trial_{number}_modules
from ultralytics import YOLO
model = YOLO("trial-{number}.pt").model.float().eval()
assert type(model.model[{row}]).__name__ == "GAM"
difference = float((model(image)[0] - traced).abs().max() / traced.abs().max())
assert difference < 1e-4, difference
assert YOLO("trial-{number}-yolov8n.yaml").model.state_dict().keys() == model.state_dict().keys()
print("same without gamsearch")
"""


def test_an_export_equals_the_trials_model_and_works_without_gamsearch(resumed, home: Path):
    folder = resumed[1]
    trial = candidates(folder)[0]
    done = gamsearch("export", str(folder), "--trial", str(trial.number), cwd=home)
    assert done.returncode == 0, done.stderr
    for ending in ("-yolov8n.yaml", ".pt", ".onnx", ".torchscript"):
        assert f"trial-{trial.number}{ending}" in done.stdout
    row = int(trial.user_attrs["architecture"]["placements"][0]["site"]) + 1
    script = WITHOUT_GAMSEARCH.format(number=trial.number, row=row)
    assert "same without gamsearch" in run_hidden(folder / "export", script)


def test_the_exported_yaml_names_its_scale_and_its_origin(resumed, home: Path):
    folder = resumed[1]
    done = gamsearch("export", str(folder), "--pick", "latency_ms", "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(Path(home, file["path"]).exists() for file in found["files"]) and "latency_ms" in found["notes"][0]
    assert sum(file["difference"] is not None and file["difference"] < 1e-3 for file in found["files"]) >= 4
    text = (folder / "export" / "best-yolov8n.yaml").read_text(encoding="utf-8")
    assert "scale: n" in text and "# Run killed, trial" in text and "map50_95" in text and "fingerprint" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--pick", "speed"], "takes knee, map50_95, latency_ms"),
        (["--trial", "99"], "there is no trial 99"),
    ],
)
def test_an_export_of_an_unknown_trial_or_pick_is_refused(resumed, home: Path, words, sentence):
    done = gamsearch("export", str(resumed[1]), *words, cwd=home)
    assert done.returncode == 2 and sentence in done.stderr
