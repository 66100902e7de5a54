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
from gamsearch.runs import demo, demonstration
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
