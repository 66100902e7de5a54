"""Records of other tasks: the primary metric of the task ranks, under its own name, and nothing else changes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.records import confirmed, rich_record
from support.tasks import OTHERS, detector_of, record_of
from support.verified_records import EXAMPLES

from gamsearch.errors import RunError
from gamsearch.metrics import metric_named
from gamsearch.study import store
from gamsearch.study.record import Record
from gamsearch.study.table import trial_table
from gamsearch.tasks import task_named

NUMBERS = {"params_m": 3.0, "gflops": 8.0, "latency_ms": 5.0}


def decisions(record: Record) -> dict[str, object]:
    """Everything that a record decides, without the names of metrics."""
    answer, verification = record.answer(), record.verification
    return {
        "candidates": list(record.candidates["number"]),
        "front": list(record.front["number"]),
        "counts": record.counts,
        "noise": record.noise,
        "volumes": None if (volumes := record.hypervolumes()) is None else volumes.tolist(),
        "answer": (answer.kind, answer.trial, answer.next_command),
        "searched": (found.kind, found.selected_gain, found.gain) if (found := record.searched) else None,
        "finalists": [(one.key, one.gain, one.search_gain) for one in verification.finalists],
        "growth": verification.beyond_growth,
        "agreement": verification.agreement,
        "floor": verification.noise_floor,
        "complete": (verification.complete, verification.seeds_done),
    }


@pytest.mark.parametrize("task", OTHERS)
@pytest.mark.parametrize("example", [rich_record, *EXAMPLES.values()], ids=lambda make: make.__name__)
def test_another_primary_metric_changes_no_decision(example, task):
    original = example()
    assert repr(decisions(record_of(original, task))) == repr(decisions(original))


@settings(max_examples=25, deadline=None)
@given(gains=st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=4), task=st.sampled_from(OTHERS))
def test_whatever_was_gained_at_other_seeds_another_primary_metric_changes_no_decision(gains, task):
    original = confirmed(gains)
    assert repr(decisions(record_of(original, task))) == repr(decisions(original))


@pytest.mark.parametrize(
    ("task", "gained"), [("segment", "mask mAP"), ("pose", "pose mAP"), ("obb", "mAP"), ("classify", "top-1 accuracy")]
)
def test_an_answer_names_what_is_gained_in_at_most_twelve_words(task, gained):
    for make in (lambda: confirmed([0.03, 0.031, 0.029]), EXAMPLES["complete"]):
        answer = record_of(make(), task).answer()
        assert answer.kind == "yes" and f" {gained} for " in answer.headline
        assert len(answer.headline.split()) <= 12
    found = record_of(confirmed([0.03, 0.031, 0.029]), task).search_answer()
    assert f" {task_named(task).primary_title} at " in found.detail


def study_of(folder: Path, task: str, curve: list[dict[str, float]]):
    """A study of the task with one complete baseline, opened as any run is."""
    folder.mkdir()
    known, detector = task_named(task), detector_of(task)
    form = {"name": detector.name, "yaml": detector.yaml}
    objectives = [metric_named(name) for name in (known.primary, "latency_ms")]
    study = store.create(folder, objectives, {"settings": {}, "detector": form})
    trial = study.ask()
    architecture = {"detector": "yolov8n", "placements": []}
    trained = dict.fromkeys(known.metrics, 0.5)
    attributes = {"key": "0" * 12, "label": "baseline", "architecture": architecture, "feasible": True}
    attributes["measurement"] = {"metrics": {**trained, **NUMBERS}, "curve": curve}
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    study.tell(trial, [0.5, 5.0])
    return store.load(folder)


@pytest.mark.parametrize(
    ("task", "own"),
    [
        ("segment", ["mask_map50_95", "mask_map50", "map50_95", "map50"]),
        ("pose", ["pose_map50_95", "pose_map50", "map50_95", "map50"]),
        ("obb", ["map50_95", "map50"]),
        ("classify", ["top1", "top5"]),
    ],
)
def test_a_table_has_the_metrics_of_its_task_and_none_of_the_others(tmp_path, task, own):
    study = study_of(tmp_path / "run", task, [{"epoch": 1, own[0]: 0.5}])
    columns = trial_table(study).columns.tolist()
    first = columns.index("architecture") + 1
    assert columns[first : first + len(own) + 3] == [*own, "params_m", "gflops", "latency_ms"]
    assert columns[-3:] == [f"{own[0]}_gain", f"{own[1]}_gain", "on_front"]
    others = {name for other in OTHERS for name in task_named(other).metrics} - set(own)
    assert not others & set(columns)


def test_a_record_whose_epochs_lack_the_primary_metric_is_damaged(tmp_path):
    with pytest.raises(RunError, match=r"trial 0.measurement.curve\[0\] is a dict"):
        study_of(tmp_path / "run", "segment", [{"epoch": 1, "map50_95": 0.5}])
