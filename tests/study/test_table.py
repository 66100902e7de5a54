"""The table of a study: states in words, paired gains, the front, and texts that nothing interprets."""

import math

import optuna
import pytest
from optuna.trial import TrialState

from gamsearch.architecture import Architecture
from gamsearch.study.table import read_record, trial_table
from gamsearch.tasks import DETECT

PLUGGED_IN = [m.name for m in DETECT.all_metrics[5:]]
"""Metrics that other tests registered."""
COLUMNS = [
    *("number", "state", "key", "label", "architecture", "map50_95", "map50", "params_m", "gflops", "latency_ms"),
    *(*PLUGGED_IN, "latency_ratio", "latency_iqr_ms", "latency_ratio_foreseen", "reason", "retried", "recalled_from"),
    *("resumed_by", "paused", "bound", "epochs", "epochs_trained", "seconds", "seed", "curve", "feasible", "anchor"),
    *("imported", "tensors_inherited", "tensors_expected", "tensors_fresh", "misplaced"),
    *("map50_95_gain", "map50_gain", "on_front"),
]
STOCK = Architecture.of("yolov8n", [])
PLACED = {**STOCK.to_dict(), "placements": [{"site": 4, "module": "GAM", "options": {"rate": 4}}]}


def add(study: optuna.Study, label: str, map50_95: float, latency_ms: float, **attributes) -> None:
    """Add a complete trial."""
    metrics = {"map50_95": map50_95, "map50": map50_95 + 0.2, "params_m": 3.0, "gflops": 8.0, "latency_ms": latency_ms}
    architecture = STOCK.to_dict() if label == "baseline" else PLACED
    known = {"key": f"{len(study.trials):012x}", "label": label, "architecture": architecture}
    measured = {"measurement": {"metrics": metrics, "curve": [{"epoch": 1, "map50_95": map50_95}]}}
    study.add_trial(
        optuna.trial.create_trial(values=[map50_95, latency_ms], user_attrs={**known, **measured, **attributes})
    )


@pytest.fixture
def searched(study: optuna.Study) -> optuna.Study:
    add(study, "baseline", 0.40, 5.0)
    add(study, "=GAM(4)", 0.42, 6.0)
    add(study, "GAM(6)", 0.41, 7.0)
    add(study, "=GAM(4)", 0.42, 6.0, recalled_from=1)
    running = study.ask()
    running.set_user_attr("key", "0" * 12)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.enqueue_trial({})
    return study


def test_a_row_per_trial_has_all_columns(searched):
    rows = trial_table(searched)
    assert rows["state"].tolist() == [*["complete"] * 4, "running", "failed", "waiting"]
    assert rows.columns.tolist() == COLUMNS
    assert rows["reason"].tolist()[5] == "interrupted"


def test_gains_are_paired_with_the_baseline_and_the_front_omits_repeats(searched):
    rows = trial_table(searched)
    assert rows["map50_95_gain"][:4].tolist() == pytest.approx([0.0, 0.02, 0.01, 0.02])
    assert rows["on_front"].tolist() == [True, True, False, False, False, False, False]


def test_a_text_that_a_spreadsheet_would_run_is_quoted(searched):
    assert trial_table(searched)["label"][1] == "'=GAM(4)"


def test_notes_say_how_a_training_was_retried(study):
    notes = ["went on after epoch 2", "batch halved to 4 after: out of memory", "workers off after: a crash"]
    metrics = {"map50_95": 0.4, "map50": 0.6, "latency_ms": 5.0}
    add(study, "baseline", 0.4, 5.0, measurement={"metrics": metrics, "provenance": {"notes": notes}})
    assert trial_table(study)["retried"][0] == "batch halved to 4, not paired, workers off"


def test_a_paused_training_names_the_trial_that_resumed_it(study):
    add(study, "GAM(4)", 0.4, 5.0, stop={"paused": True})
    add(study, "GAM(4)", 0.4, 5.0, resumes=0)
    rows = trial_table(study)
    assert rows["resumed_by"][0] == 1 and math.isnan(rows["resumed_by"][1]) and rows["paused"].tolist() == [True, False]


def test_a_record_omits_proposals_that_nobody_has_started(searched):
    record = read_record(searched, "run")
    assert record.name == "run" and len(record.trials) == 6
    assert record.baseline is not None and record.baseline["number"] == 0
    assert record.counts.text == "4 candidates: 2 complete, 1 running, 1 interrupted" and record.counts.repeats == 1
