"""The predictions that a run keeps for its report: of which weights they are, and that they have the recorded mAP."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support.verified_records import verified

from gamsearch.analysis.gate_maps import unpacked
from gamsearch.architecture import Architecture
from gamsearch.cli.main import main
from gamsearch.runs import demo, demonstration, quantisation
from gamsearch.runs.kept_weights import finalist_pairs
from gamsearch.runs.manifest import write_yaml
from gamsearch.runs.predictions import keep_predictions
from gamsearch.runs.prepare_training import BASELINE_FILE
from gamsearch.space.search_space import SearchSpace
from gamsearch.study import store
from gamsearch.study.table import read_record


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose detectors find something: an mAP of 0 would agree with any other mistake."""
    home = tmp_path_factory.mktemp("learnt")
    data = demo.make(home / "data", train=96, val=12, imgsz=64)
    detector = SearchSpace.load("demo").detector
    write_yaml(home / f"{detector.name}.yaml", detector.yaml)
    words = ["run", "--data", str(data), "--space", "demo", "--model", str(home / f"{detector.name}.yaml")]
    words += ["--imgsz", "64", "--batch", "8", "--epochs", "2", "--baseline-epochs", "3", "--noise-seeds", "1"]
    words += ["--trials", "1", "--out", str(home), "--name", "run"]
    for name, value in demonstration.TRAINING.items():
        words += ["--train", f"{name}={value}"]
    assert main(words) == 0
    return home / "run"


def test_the_predictions_have_the_recorded_accuracy_of_each_model(learnt):
    record = read_record(store.snapshot(learnt), "run")
    found = json.loads((learnt / "report" / "predictions.json").read_text())
    best = record.candidates.iloc[0]
    assert (found["verified"], found["label"], found["seed"], found["images"]) == (False, best["label"], 0, 12)
    recorded = [record.baseline["map50_95"], best["map50_95"]]
    assert min(recorded) > 0.05 and recorded[0] != pytest.approx(recorded[1], abs=4e-3)
    assert [np.mean(one["map50_95"]) for one in found["curves"]] == pytest.approx(recorded, abs=2e-3)  # kept in fp16
    assert [np.mean(one["precision"]) for one in found["curves"]] == pytest.approx(
        [np.mean(one["map50"]) for one in found["curves"]], abs=0.02
    )


def test_what_the_attention_of_each_finalist_does_is_kept_with_its_figures(learnt):
    record = read_record(store.snapshot(learnt), "run")
    found = json.loads((learnt / "report" / "predictions.json").read_text())
    expected = [record.candidates.iloc[0]["key"]]
    expected += [k for k, on in record.candidates.iloc[1:][["key", "on_front"]].to_numpy().tolist() if on][:2]
    assert [one["key"] for one in found["finalists"]] == expected
    best = found["finalists"][0]
    for index, curve in enumerate(found["curves"]):
        names = [found["names"][str(number)] for number in curve["classes"]]
        assert [best["per_class"][name][index] for name in names] == pytest.approx(curve["map50_95"], abs=1e-4)
    placements = record.candidates.iloc[0]["architecture"]["placements"]
    assert len(best["placements"]) == len(placements) > 0 and best["per_size"]
    for form in best["placements"]:
        assert 0 < form["distance"] < 10 and form["range"][0] <= form["distance"] <= form["range"][1]
        assert len(form["maps"]) == 3 and unpacked(form["mean"]).any()


def test_an_earlier_comparison_without_finalists_is_made_again(learnt):
    record, file = read_record(store.snapshot(learnt), "run"), learnt / "report" / "predictions.json"
    content = json.loads(file.read_text())
    said: list[str] = []
    keep = partial(keep_predictions, learnt, record, learnt.parent / "data" / "data.yaml", "cpu", said.append)
    assert keep() and said == []
    file.write_text(json.dumps({name: value for name, value in content.items() if name != "finalists"}))
    assert keep() and json.loads(file.read_text())["finalists"] == content["finalists"]
    assert " changes its map by " in said[-1]


def weights(folder: Path, form: dict, seed: int) -> Path:
    path = folder / f"{Architecture.from_dict(form).key}-seed{seed}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_the_first_pair_is_the_best_finalist_at_the_seed_whose_difference_is_the_median(tmp_path):
    record = verified([0.03, 0.01])
    best = max(record.verification.finalists, key=lambda one: one.gain.mean)
    baseline = Architecture.of(record.detector_name).to_dict()
    done = record.verification.trainings
    gains = {seed: done[best.key][seed]["map50_95"] - done["baseline"][seed]["map50_95"] for seed in range(5)}
    ranked = sorted(gains, key=gains.__getitem__)
    assert ranked[2] != 0 and finalist_pairs(tmp_path, record) == []
    (tmp_path / BASELINE_FILE).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / BASELINE_FILE).touch()
    place = tmp_path / "verify" / "weights"
    kept = {seed: [weights(place, form, seed) for form in (baseline, best.architecture)] for seed in range(5)}
    (pair,) = finalist_pairs(tmp_path, record)
    assert (pair.label, pair.seed, pair.verified) == (best.label, ranked[2], True)
    assert pair.weights == tuple(kept[ranked[2]])
    (other,) = (one for one in record.verification.finalists if one.key != best.key)
    for seed in range(5):
        weights(place, other.architecture, seed)
    assert [(one.key, one.seed) for one in finalist_pairs(tmp_path, record)] == [
        *((best.key, ranked[2]), (other.key, ranked[2]))  # the same baseline serves both
    ]
    kept[ranked[2]][0].unlink()  # without its weights, the next to the median
    assert finalist_pairs(tmp_path, record)[0].seed in (ranked[1], ranked[3])


# what is deployed ----------------------------------------------------------------------------------------------------
def rows_of(learnt: Path, capsys, *words: str) -> list[dict]:
    assert main(["benchmark", str(learnt), *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["rows"]


def test_files_are_validated_and_timed_beside_the_baselines_once(learnt, capsys):
    record = read_record(store.snapshot(learnt), "run")
    rows = rows_of(learnt, capsys)
    assert [(row["trial"], row["precision"]) for row in rows] == [(0, "fp32"), (1, "fp32"), (0, "int8"), (1, "int8")]
    baseline, candidate, small, smaller = rows
    for row, number in ((baseline, 0), (candidate, 1)):
        recorded = float(record.trials["map50_95"][number])
        assert row["map50_95"] == pytest.approx(recorded, abs=1e-3) and row["largest_difference"] < 1e-3
        assert abs(row["from_checkpoint"]["difference"]) < 1e-3
    gain = candidate["from_baseline"]
    assert gain["difference"] == pytest.approx(candidate["map50_95"] - baseline["map50_95"], abs=1e-3)
    assert gain["low"] < gain["difference"] < gain["high"]
    assert small["size_mb"] < baseline["size_mb"] and small["from_checkpoint"]["difference"] != 0
    assert small["map50_95"] > 0.7 * baseline["map50_95"]  # with the decoding in int8 it is 0
    for row in rows:
        latency = row["latency"]
        assert 0.3 < latency["low"] <= latency["ratio"] <= latency["high"] < 3 and latency["ms"] > 0
        assert (learnt / row["file"]).exists()
    assert rows_of(learnt, capsys) == rows  # nothing is measured twice
    (learnt / smaller["file"]).write_bytes(b"other")
    again = rows_of(learnt, capsys, "--trials", "1")
    assert again[:3] == rows[:3] and again[3] != smaller and again[3]["size_mb"] > 0


def test_the_report_says_whether_a_finalist_still_gains(learnt, capsys):
    rows_of(learnt, capsys)
    assert main(["report", str(learnt)]) == 0
    text = (learnt / "report.html").read_text()
    assert "Deployed: accuracy and latency of exported files" in text
    assert "As onnx int8, trial 1 " in text and "noise between seeds is not in it" in text
    capsys.readouterr()
    (learnt / "benchmark" / "benchmark.json").write_text('{"rows": [{"trial": 1}]}')
    assert main(["report", str(learnt)]) == 0
    assert "is damaged: run benchmark again" in (learnt / "report.html").read_text()


def test_a_file_that_fails_is_a_row_with_its_reason_and_stops_no_other(learnt, capsys, monkeypatch):
    def broken(*_):
        raise ValueError("no such layer")

    monkeypatch.setitem(quantisation.WRITERS, ("onnx", "int8"), broken)
    (learnt / "benchmark" / "benchmark.json").unlink(missing_ok=True)
    rows = rows_of(learnt, capsys, "--precision", "int8")
    assert [(row["trial"], "no such layer" in row["failed"]) for row in rows] == [(0, True), (1, True)]
    monkeypatch.undo()
    again = rows_of(learnt, capsys, "--precision", "int8")
    assert all("failed" not in row and "latency" in row for row in again)  # what failed is tried again


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--trials", "999"), "there is no trial 999; the run has trials 0 to"),
        (("--precision", "int9"), "there is no precision 'int9' (did you mean 'int8'?)"),
        (("--data", "nothing.yaml"), "nothing.yaml does not exist"),
    ],
)
def test_what_cannot_be_benchmarked_is_refused_in_one_sentence(learnt, capsys, words, sentence):
    assert main(["benchmark", str(learnt), *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_a_replay_has_nothing_to_benchmark(replayed, capsys):
    assert main(["benchmark", str(replayed)]) == 2
    assert "replays a table" in capsys.readouterr().err
