"""A verification on a real, tiny run: what is trained, from which weights, what is recorded, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from gamsearch.analysis.image_bootstrap import Detections, paired_bootstrap
from gamsearch.cli.main import main
from gamsearch.runs.predictions import keep_predictions
from gamsearch.runs.verify import arguments_of
from gamsearch.space.detector import Detector
from gamsearch.study import store
from gamsearch.study.table import read_record
from gamsearch.training.baseline import start_model
from gamsearch.training.dataset import DataSet

SMALL = ["--imgsz", "64", "--batch", "4", "--epochs", "1", "--baseline-epochs", "1", "--noise-seeds", "2"]
VERIFY = ["--top", "1", "--seeds", "2", "--epochs", "2"]


@pytest.fixture(scope="module")
def home(tiny_data: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("verified")
    run = ["run", "--data", str(tiny_data), "--space", "gam-demo", "--trials", "1", *SMALL]
    assert main([*run, "--out", str(folder), "--name", "one"]) == 0
    return folder


@pytest.fixture(scope="module")
def verified(home: Path) -> Path:
    assert main(["verify", str(home / "one"), *VERIFY, "--scale-up"]) == 0
    return home / "one"


def recorded(folder: Path) -> dict:
    return store.load(folder).user_attrs["verification"]


def kept_predictions(folder: Path) -> dict:
    return json.loads((folder / "report" / "predictions.json").read_text())


def test_predictions_of_the_verified_weights_are_kept_and_have_the_recorded_accuracy(verified):
    found, state = kept_predictions(verified), recorded(verified)
    (finalist,) = state["finalists"]
    assert (found["verified"], found["label"], found["images"]) == (True, finalist["label"], 6)
    for key, curves in zip(("baseline", finalist["key"]), found["curves"], strict=True):
        (training,) = [one for one in state["trainings"][key] if one["seed"] == found["seed"]]
        mean = sum(curves["map50_95"]) / len(curves["map50_95"])
        assert mean == pytest.approx(training["map50_95"], abs=2e-3)  # the weights are kept in fp16
    assert (verified / "report" / found["shown"][0]["file"]).is_file()
    assert "data:image/jpeg" in (verified / "report.html").read_text()


def test_a_lost_data_set_costs_only_the_predictions(home, tmp_path):
    folder = Path(shutil.copytree(home / "one", tmp_path / "one"))
    shutil.rmtree(folder / "report", ignore_errors=True)
    said: list[str] = []
    found = read_record(store.snapshot(folder), "one")
    assert not keep_predictions(folder, found, tmp_path / "gone.yaml", "cpu", said.append)
    assert "the report will lack predictions" in said[-1] and "gone.yaml" in said[-1]
    shutil.rmtree(folder / "weights")
    shutil.rmtree(folder / "verify", ignore_errors=True)
    assert not keep_predictions(folder, found, tmp_path / "gone.yaml", "cpu", said.append)
    assert len(said) == 2


def test_finalist_baseline_and_the_next_scale_are_trained_at_the_same_seeds(verified):
    state = recorded(verified)
    (finalist,) = state["finalists"]
    assert set(state["trainings"]) == {"baseline", finalist["key"], "scale-up"}
    for trainings in state["trainings"].values():
        assert [one["seed"] for one in trainings] == [0, 1]
        assert all(0 <= one["map50_95"] <= one["map50"] <= 1 for one in trainings)
    params = {key: trainings[0]["params_m"] for key, trainings in state["trainings"].items()}
    assert params["baseline"] < params[finalist["key"]] < params["scale-up"]
    assert state["scale_up"]["name"] == "yolov8s"
    assert all(one["latency_ratio"] > 1.2 for one in state["trainings"]["scale-up"])
    assert state["settings"]["latency"] == "onnxruntime"  # what `auto` is on a CPU
    assert state["settings"]["attention_lr"] == "3.0"


def test_a_verification_that_began_without_learning_rate_factors_continues_without_them():
    assert arguments_of({"train": {"lr0": 0.1}}) == {"lr0": 0.1, "attention_lr": 1.0}
    assert arguments_of({"train": {"lr0": 0.1}, "attention_lr": "3.0"}) == {"lr0": 0.1}


def test_the_record_says_when_the_verification_was_to_end_and_that_the_baseline_is_not_trained(verified):
    """One epoch from scratch is too few for a verdict; the search before gave the pace of the trainings."""
    study = store.load(verified)
    assert study.user_attrs["forecast"]["end"] > study.user_attrs["forecast"]["begun"]
    assert "after 1 epoch, too few to tell" in read_record(study, "one").still_rising


def test_the_trainings_start_from_the_original_weights_not_from_the_short_trainings(verified, tiny_data, monkeypatch):
    """A training of no learning rate leaves the weights where it began: at those that the seed alone draws."""
    shutil.copytree(verified, verified.parent / "still")
    study = store.load(verified.parent / "still")
    study.set_user_attr("verification", {})
    still = ["--train", "lr0=0.0", "--train", "warmup_epochs=0.0"]
    shutil.rmtree(verified.parent / "still" / "verify")
    assert main(["verify", str(verified.parent / "still"), "--top", "1", "--seeds", "2", "--epochs", "1", *still]) == 0
    key = store.baseline_trial(study).user_attrs["key"]
    kept = torch.load(verified.parent / "still" / "verify" / "weights" / f"{key}-seed1.pt", weights_only=True)
    start = start_model(Detector.load("yolov8n"), None, DataSet.read(tiny_data).names, seed=1).state_dict()
    learnt = [name for name in start if name.endswith("conv.weight")]
    assert learnt and all(torch.allclose(kept[name].float(), start[name], atol=1e-3) for name in learnt)


def test_on_hardware_other_than_the_search_the_latency_backend_is_chosen_anew(verified):
    folder = verified.parent / "from-a-gpu"
    shutil.copytree(verified, folder)
    study = store.load(folder)
    study.set_user_attr("settings", {**study.user_attrs["settings"], "hardware": "a GPU", "latency": "cudagraph"})
    study.set_user_attr("verification", {})
    shutil.rmtree(folder / "verify")
    assert main(["verify", str(folder), "--top", "1", "--seeds", "2", "--epochs", "1"]) == 0
    assert recorded(folder)["settings"]["latency"] == "onnxruntime"


def test_recorded_trainings_are_kept_and_only_new_seeds_are_added(verified):
    before = recorded(verified)
    assert main(["verify", str(verified), "--top", "1", "--seeds", "3", "--epochs", "2"]) == 0
    after = recorded(verified)
    for key, trainings in after["trainings"].items():
        assert trainings[:2] == before["trainings"][key]
        assert [one["seed"] for one in trainings] == [0, 1, 2]


def test_the_saved_detections_reproduce_the_recorded_map(verified):
    state = recorded(verified)
    for key in ("baseline", state["finalists"][0]["key"]):
        kept = Detections.load(verified / "verify" / f"{key}-seed0.npz")
        worthless = Detections(
            kept.tp & False, kept.conf, kept.pred_cls, kept.pred_image, kept.target_cls, kept.target_image, kept.images
        )
        difference = paired_bootstrap(kept, worthless, resamples=10)
        assert difference["map50_95"]["difference"] == pytest.approx(state["trainings"][key][0]["map50_95"], abs=1e-6)
        per_class = state["trainings"][key][0]["per_class"]
        mean = sum(one["map50_95"] for one in per_class.values()) / len(per_class)
        assert mean == pytest.approx(state["trainings"][key][0]["map50_95"], abs=1e-6)


def test_other_epochs_are_refused_because_they_do_not_compare(verified, capsys):
    assert main(["verify", str(verified), *VERIFY[:-1], "3"]) == 2
    assert "verified with epochs 2, not 3" in capsys.readouterr().err


def test_other_epochs_are_accepted_while_no_training_is_recorded(verified, tmp_path, capsys):
    folder = Path(shutil.copytree(verified, tmp_path / "one"))
    study = store.load(folder)
    study.set_user_attr("verification", {**recorded(folder), "trainings": {"baseline": []}})
    (folder / "verify" / "paused").mkdir(exist_ok=True)
    (folder / "verify" / "paused" / "of-the-other-epochs.pt").write_bytes(b"")
    assert main(["verify", str(folder), "--top", "1", "--seeds", "2", "--epochs", "1"]) == 0
    assert recorded(folder)["settings"]["epochs"] == 1 and "scale_up" not in recorded(folder)
    assert not list((folder / "verify" / "paused").glob("of-*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--seeds", "1"], "--seeds must be at least 2"),
        (["--top", "0"], "--top must be at least 1"),
        (["--epochs", "0"], "--epochs must be at least 1"),
        (["--train", "val=False"], "--train val=... is not accepted"),
    ],
)
def test_an_impossible_option_is_refused_in_one_sentence(home, capsys, words, says):
    assert main(["verify", str(home / "one"), *words]) == 2
    assert says in capsys.readouterr().err


def test_a_replayed_run_cannot_be_verified(tmp_path, capsys):
    assert main(["run", "--evaluator", "replay", "--trials", "2", "--out", str(tmp_path), "--name", "r"]) == 0
    assert main(["verify", str(tmp_path / "r")]) == 2
    assert "replays a table" in capsys.readouterr().err


@pytest.mark.parametrize("which", ["finalist", "baseline"])
def test_an_export_holds_the_verified_weights_and_yolo_val_gives_their_map(verified, which, tiny_data, tmp_path):
    from ultralytics import YOLO

    state = recorded(verified)
    key, number = (
        ("baseline", 0) if which == "baseline" else (state["finalists"][0]["key"], state["finalists"][0]["number"])
    )
    done = sorted(state["trainings"][key], key=lambda one: (one["map50_95"], one["seed"]))
    median = done[(len(done) - 1) // 2]
    assert main(["export", str(verified), "--trial", str(number), "--out", str(tmp_path / "out")]) == 0
    text = " ".join((tmp_path / "out" / f"trial-{number}-yolov8n.yaml").read_text(encoding="utf-8").split())
    assert f"seed {median['seed']}: the median of {len(done)} seeds" in text and "NOT VERIFIED" not in text
    found = YOLO(tmp_path / "out" / f"trial-{number}.pt").val(
        data=tiny_data, imgsz=64, batch=4, device="cpu", workers=0, plots=False, project=tmp_path, verbose=False
    )
    assert found.box.map == median["map50_95"] and found.box.map50 == median["map50"]
