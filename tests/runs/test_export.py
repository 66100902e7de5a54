"""Which trial an export takes, and what a run without weights can export. Whole exports are in test_run."""

import shutil
from pathlib import Path

import pytest
import yaml

from gamsearch.analysis import pareto
from gamsearch.errors import OptionError, RunError
from gamsearch.runs import export
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
    assert export.chosen(record, "knee", None)["number"] == knee["number"]
    assert export.chosen(record, "map50_95", None)["map50_95"] == front["map50_95"].max()
    assert export.chosen(record, "latency_ms", None)["latency_ms"] == front["latency_ms"].min()


def test_a_trial_is_chosen_by_its_number_instead(record):
    assert export.chosen(record, "knee", 0)["label"] == "baseline"


@pytest.mark.parametrize(
    ("pick", "trial", "sentence"),
    [
        ("map50_96", None, r"not an objective of this run \(did you mean 'map50_95'\?\); it takes knee, map50_95"),
        ("knee", 999, "there is no trial 999; the run has trials 0 to"),
    ],
)
def test_an_unknown_pick_or_trial_is_refused(record, pick, trial, sentence):
    with pytest.raises(OptionError, match=sentence):
        export.chosen(record, pick, trial)


def test_a_run_without_a_baseline_checkpoint_cannot_be_exported(original, tmp_path):
    shutil.copytree(original, tmp_path / "a")
    with pytest.raises(RunError, match=r"baseline\.pt is missing, so no model of this run can be rebuilt"):
        export.export(tmp_path / "a")


def test_a_model_yaml_has_one_row_per_line_and_reads_back_unchanged():
    form = Detector.load("yolov8n").yaml
    text = export._dump(form)
    assert yaml.safe_load(text) == form
    assert text.count("\n  - [") == len(form["backbone"]) + len(form["head"])
