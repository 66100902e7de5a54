"""Which trial an export takes, and what a run without weights can export. Whole exports are in test_run."""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from support.verified_records import all_worse, complete, single

from gamsearch.analysis import pareto
from gamsearch.analysis.verification import Verification
from gamsearch.errors import OptionError, RunError
from gamsearch.runs import export, export_folder
from gamsearch.runs.export_choice import advice, chosen, weights_of
from gamsearch.runs.export_header import header, training_line
from gamsearch.space.detector import Detector
from gamsearch.study import store
from gamsearch.study.record import Record
from gamsearch.study.table import read_record


@pytest.fixture
def record(original: Path) -> Record:
    return read_record(store.snapshot(original), "a")


def test_a_pick_is_the_knee_or_the_best_of_the_front_in_an_objective(record):
    front = record.front
    names = [metric.name for metric in record.objectives]
    knee = front.iloc[pareto.knee(front[names].to_numpy(float), record.objectives)]
    assert chosen(record, "knee").row["number"] == knee["number"]
    assert chosen(record, "map50_95").row["map50_95"] == front["map50_95"].max()
    assert chosen(record, "latency_ms").row["latency_ms"] == front["latency_ms"].min()


def test_a_trial_is_chosen_by_its_number_instead(record):
    assert chosen(record, trial=0).row["label"] == "baseline"


def test_without_a_pick_the_recommended_trial_is_chosen():
    verified = complete()
    choice = chosen(verified)
    assert choice.row["number"] == verified.answer().trial and choice.stem == "best" and not advice(verified, choice)


@pytest.mark.parametrize("make", [all_worse, single])
def test_where_nothing_is_shown_to_be_better_the_baseline_is_recommended_and_says_how_to_name_another(make):
    held = make()
    choice = chosen(held)
    assert choice.is_baseline and choice.stem == "baseline"
    assert held.answer().headline in advice(held, choice) and "--trial" in advice(held, choice)
    assert not chosen(held, "map50_95").is_baseline


@pytest.mark.parametrize(
    ("pick", "trial", "sentence"),
    [
        ("map50_96", None, r"not an objective of this run \(did you mean 'map50_95'\?\); it takes knee, map50_95"),
        ("knee", 999, "there is no trial 999; the run has trials 0 to"),
    ],
)
def test_an_unknown_pick_or_trial_is_refused(record, pick, trial, sentence):
    with pytest.raises(OptionError, match=sentence):
        chosen(record, pick, trial)


def test_a_run_without_a_baseline_checkpoint_cannot_be_exported(original, tmp_path):
    shutil.copytree(original, tmp_path / "a")
    with pytest.raises(RunError, match=r"baseline\.pt is missing, so no model of this run can be rebuilt"):
        export.export(tmp_path / "a")


def test_a_model_yaml_has_one_row_per_line_and_reads_back_unchanged():
    form = Detector.load("yolov8n").yaml
    text = export._dump(form)
    assert yaml.safe_load(text) == form
    assert text.count("\n  - [") == len(form["backbone"]) + len(form["head"])


def weights_files(folder: Path, key: str, seeds: Iterable[int]) -> None:
    (folder / "verify" / "weights").mkdir(parents=True)
    for seed in seeds:
        (folder / "verify" / "weights" / f"{key}-seed{seed}.pt").touch()


def test_verified_weights_are_those_of_the_seed_with_the_median_map(tmp_path):
    held = complete()
    finalist = held.verification.finalists[0]
    row = chosen(held, trial=finalist.number).row
    reached = {seed: done["map50_95"] for seed, done in held.verification.trainings[finalist.key].items()}
    weights_files(tmp_path, finalist.key, reached)
    median = sorted(reached, key=lambda seed: reached[seed])[2]
    found = weights_of(tmp_path, held, row)
    assert found.verified and found.path.name == f"{finalist.key}-seed{median}.pt"
    assert found.metrics["map50_95"] == reached[median]
    assert f"100 epochs, seed {median}: the median of 5 seeds" in found.origin


def comments(held: Record, number: int, folder: Path) -> str:
    choice = chosen(held, trial=number)
    files = folder / "trial-yolov8n.yaml", folder / "trial.pt"
    return "\n".join(header(held, choice, weights_of(folder, held, choice.row), files))


def test_the_header_of_an_unverified_trial_says_so_and_holds_no_other_trials_result(tmp_path):
    held = complete()
    verified = {finalist.number for finalist in held.verification.finalists}
    other = next(int(n) for n in held.candidates["number"] if n not in verified)
    text = comments(held, other, tmp_path)
    assert (
        f"NOT VERIFIED: trial {other}" in text and f"It recommends trial {held.answer().trial}, not this one." in text
    )
    assert f"yolo train model={tmp_path / 'trial.pt'} data=" in text and "epochs=100" in text
    assert "GAM: Global Attention Mechanism (arXiv 2112.05561), channel and spatial; starts as the identity" in text
    assert "Without gamsearch, import trial_modules.py beside this file instead." in text
    assert held.verdict() not in " ".join(text.split()) and "Verified:" not in text


def test_the_header_of_a_verified_trial_holds_its_own_result(tmp_path):
    held = complete()
    best, worse = held.verification.finalists[0], held.verification.finalists[2]
    for finalist, claim in ((best, "better"), (worse, "worse")):
        folder = tmp_path / claim
        weights_files(folder, finalist.key, [0])
        text = " ".join(comments(held, finalist.number, folder).split())
        assert f"Verified: map50_95 {finalist.gain.mean:+.4f}" in text and f"against the baseline, {claim}" in text
        assert "NOT VERIFIED" not in text and "seed 0: the only seed" in text


def test_the_training_command_has_no_argument_that_ultralytics_does_not_know(tmp_path):
    held = complete()
    held = replace(held, settings={**held.settings, "train": {"attention_lr": 1, "lr0": 0.002}})
    line = training_line(held, tmp_path / "trial.pt")
    assert "lr0=0.002" in line and "attention_lr" not in line


def test_the_header_says_that_the_baseline_is_not_trained_enough(tmp_path):
    stage = {"still_rising": "the baseline is still rising; use a .pt"}
    held = replace(complete(), baseline_stage=stage, verification=Verification({}))
    text = comments(held, complete().verification.finalists[0].number, tmp_path)
    assert "not trained enough to tell" in text and "use a .pt" in text
    assert chosen(held).is_baseline


@pytest.mark.parametrize(
    ("detector", "form", "name"),
    [
        ("yolov8n", {"scale": "n", "scales": {"n": []}}, "best-yolov8n.yaml"),
        ("mine", {"scale": "s", "scales": {"s": []}, "yaml_file": "/a/yolo11s.yaml"}, "best-yolo11s.yaml"),
        ("mine", {"scale": "s", "scales": {"s": []}}, "best.yaml"),
        ("yolov8m", {"scale": "s", "scales": {"s": []}}, "best.yaml"),
        ("a/../yolov8n", {"scale": "n", "scales": {"n": []}}, "best.yaml"),
    ],
)
def test_the_name_of_a_yaml_tells_ultralytics_its_scale(detector, form, name):
    assert export.yaml_name("best", detector, form) == name


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="choose another folder with --out"):
        export_folder.create(tmp_path / "file")
