"""Repeating a run from its manifest."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from support.manifests import REPLAY, content, edited, inside, refused, trials

from gamsearch.cli.main import main
from gamsearch.errors import RunError
from gamsearch.runs import demo, manifest, repeat
from gamsearch.runs.digits import MARKER
from gamsearch.runs.manifest import Manifest
from gamsearch.runs.settings import Settings
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.study import store
from gamsearch.training.dataset import DataSet

SMALL = ["--imgsz", "64", "--batch", "4", "--epochs", "1", "--baseline-epochs", "1", "--noise-seeds", "1"]


def test_a_repeated_replay_is_identical_to_the_last_trial(replayed: Path, capsys):
    assert main(["run", "--from", "results/a/manifest.yaml"]) == 0
    again = replayed.parent / "a-again"
    pd.testing.assert_frame_equal(trials(replayed), trials(again))
    first, second = content(replayed), content(again)
    assert second["repeats"] == {"name": "a", "written": first["written"]}
    same = {**first["settings"], "name": "a-again"}
    assert second["settings"] == same and second["fingerprints"] == first["fingerprints"]


def test_another_name_and_folder_are_accepted_and_the_same_command_resumes(replayed: Path, here: Path, capsys):
    words = ["run", "--from", "results/a", "--name", "b", "--out", "elsewhere"]
    assert main(words) == 0
    assert "differs from results/a/manifest.yaml: " in capsys.readouterr().out
    assert len(trials(here / "elsewhere" / "b")) == len(trials(replayed))
    assert main(words) == 0
    assert "(resumed)" in capsys.readouterr().out


def test_differences_are_reported_line_by_line(replayed: Path, capsys):
    path = edited(replayed, versions__torch="1.0", machine__cpu="Z80\x1b[2J", commit="abc", fingerprints__rungs="(1,)")
    assert main(["run", "--from", str(path)]) == 0
    said = capsys.readouterr().out
    for start in ("torch: 1.0 then, ", "cpu: Z80 then, ", "commit: abc then, ", "rungs (fingerprint): (1,) then, "):
        assert f"differs from {path}: {start}" in said
    assert "\x1b" not in said


def test_a_run_with_the_same_versions_and_machine_differs_in_nothing(replayed: Path):
    origin = Manifest.read(replayed)
    lines = repeat.differences(origin, origin.content)
    assert [line for line in lines if not line.startswith("commit: the checkout has uncommitted changes")] == []


def test_a_lost_or_changed_space_file_is_restored_from_the_manifest(here: Path, capsys):
    text = "detector: yolov8n\nsites: [4, 9]\nattention: {GAM: {rate: [4, 16]}}\nrules: {max_modules: 1}\n"
    (here / "mine.yaml").write_text(text)
    assert main([*REPLAY, "--space", "mine.yaml", "--name", "a"]) == 0
    for change in (lambda: (here / "mine.yaml").write_text(text.replace("[4, 9]", "[4]")), (here / "mine.yaml").unlink):
        change()
        capsys.readouterr()
        shutil.rmtree(here / "results" / "a-again", ignore_errors=True)
        assert main(["run", "--from", "results/a/manifest.yaml"]) == 0
        assert "the search space mine.yaml is lost or has changed; taken from the manifest" in capsys.readouterr().out
        pd.testing.assert_frame_equal(trials(here / "results" / "a"), trials(here / "results" / "a-again"))


def test_a_lost_model_yaml_is_restored_from_the_manifest(replayed: Path, here: Path):
    yaml_of = Detector.load("yolov8n").yaml
    path = edited(replayed, settings__evaluator="training", settings__model="gone/yolov8n.yaml", detector__yaml=yaml_of)
    settings, said = repeat.repeated(Manifest.read(path), {}, lambda folder: None)
    assert len(said) == 1 and "gone/yolov8n.yaml" in said[0]
    assert Detector.load(settings.model).yaml == yaml_of


def test_demonstration_data_is_generated_again(replayed: Path, tiny_data: Path, here: Path):
    parameters = demo.parameters_of(str(tiny_data))
    assert parameters is not None and parameters["train"] == 12
    path = edited(replayed, data={"drawn": parameters}, settings__data="gone/data.yaml")
    settings, _ = repeat.repeated(Manifest.read(path), {}, lambda folder: None)
    assert settings.data == str(here / "results/a-again/data/data.yaml")
    assert DataSet.read(settings.data).fingerprint == DataSet.read(tiny_data).fingerprint


# -- a real training -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tiny_data: Path, tmp_path_factory) -> tuple[Path, Path]:
    """A run on data of its own, and its repetition with the data moved away; both real trainings.

    Random proposals: those of other samplers depend on latencies, which are measured anew.
    """
    home = tmp_path_factory.mktemp("trained")
    shutil.copytree(tiny_data.parent, home / "mine", ignore=shutil.ignore_patterns(MARKER, "*.cache"))
    with inside(home):
        words = ["--data", "mine/data.yaml", "--space", "gam-demo", "--trials", "2", "--sampler", "random", *SMALL]
        assert main(["run", *words, "--device", "cpu", "--name", "first"]) == 0
        shutil.move(home / "mine", home / "moved")
        assert main(["run", "--from", "results/first/manifest.yaml", "--data", "moved/data.yaml"]) == 0
    return home / "results" / "first", home / "results" / "first-again"


def test_the_first_trials_are_repeated_bit_for_bit(trained: tuple[Path, Path]):
    """After one epoch of so little data the mAP is 0.0 whatever the seed, so the trained weights are compared too."""
    first, again = (trials(folder) for folder in trained)
    for column in ("key", "map50_95", "map50", "params_m", "gflops", "curve"):
        assert first[column].head(3).tolist() == again[column].head(3).tolist(), column
    assert first["label"][0] == "baseline" and (first["state"].head(3) == "complete").all()
    for key in first["key"].head(3):
        first, again = (torch.load(folder / "weights" / f"{key}-seed0.pt", weights_only=True) for folder in trained)
        assert first.keys() == again.keys() and all(torch.equal(first[name], again[name]) for name in first), key


def test_the_manifest_of_a_training_names_its_data_and_its_machine(trained: tuple[Path, Path]):
    first, again = (content(folder) for folder in trained)
    assert first["data"]["summary"].startswith("data.yaml: 12 train and 6 val images, 3 classes")
    assert "drawn" not in first["data"]
    assert {"data", "device", "space", "baseline weights"} <= set(first["fingerprints"])
    assert first["machine"]["threads"] >= 1 and "CPU" in first["machine"]["device"]
    assert again["settings"]["data"] == str(trained[0].parents[1] / "moved/data.yaml")


def test_other_data_is_refused_before_anything_is_trained(trained: tuple[Path, Path], here: Path, capsys):
    home = trained[0].parents[1]
    shutil.copytree(home / "moved", here / "other", ignore=shutil.ignore_patterns("*.cache"))
    label = sorted((here / "other").rglob("*.txt"))[0]
    label.write_text(label.read_text() + "0 0.5 0.5 0.1 0.1\n")
    words = ["run", "--from", str(trained[0]), "--data", "other/data.yaml"]
    assert "the data set is not that of" in refused(capsys, *words)
    assert not list((here / "results").rglob(store.JOURNAL))


def test_other_weights_are_refused(here: Path):
    (here / "mine.pt").write_bytes(b"one")
    space = SearchSpace.load("gam")
    settings = Settings(name="a", model="mine.pt")
    before = manifest.fingerprints(settings, space)
    (here / "mine.pt").write_bytes(b"two")
    origin = Manifest(here / "manifest.yaml", {"fingerprints": before, "settings": {}})
    with pytest.raises(RunError, match="the weights of --model are not those of"):
        repeat.refuse_other_inputs(origin, manifest.fingerprints(settings, space))


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["--epochs", "3"], ["--train", "lr0=0.1"], ["--seed", "0"], ["--objectives", "map50"], ["--model", "x"]]
)
def test_other_options_cannot_be_combined_with_from(replayed: Path, capsys, words: list[str]):
    sentence = refused(capsys, "run", "--from", "results/a", *words)
    assert f"so {words[0]} cannot be combined with it; only --name, --out, --data, --device can" in sentence


def test_the_folder_of_the_original_is_never_written_to(replayed: Path, here: Path, capsys):
    before = (replayed / store.JOURNAL).read_bytes()
    (here / "linked").symlink_to(here / "results")
    assert "original's folder" in refused(capsys, "run", "--from", "results/a", "--name", "a")
    assert "original's folder" in refused(capsys, "run", "--from", "results/a", "--name", "a", "--out", "linked")
    shutil.copy(replayed / "manifest.yaml", here / "copied.yaml")
    assert "holds a run that does not repeat" in refused(capsys, "run", "--from", "copied.yaml", "--name", "a")
    (replayed / "manifest.yaml").unlink()
    assert "holds a run that does not repeat" in refused(capsys, "run", "--from", "copied.yaml", "--name", "a")
    assert (replayed / store.JOURNAL).read_bytes() == before
