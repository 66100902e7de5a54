"""What `run` makes of its options: the run's name and where its data are."""

from pathlib import Path

import pytest
import yaml

from gamsearch.runs.settings import default_epochs
from gamsearch.runs.start import start
from gamsearch.space.detector import Detector


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("pets/data.yaml", "pets-yolov8n-gam"),
        ("Hard Hat.v2i/dataset.yaml", "Hard-Hat.v2i-yolov8n-gam"),
        ("pets/bccd.yaml", "bccd-yolov8n-gam"),
        ("pets/кот.yaml", "yolov8n-gam"),
    ],
)
def test_a_run_is_named_after_its_data_and_data_yaml_after_its_folder(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, name: str
):
    monkeypatch.chdir(tmp_path)
    Path(file).parent.mkdir()
    Path(file).write_text(tiny_data.read_text() + f"path: {tiny_data.parent}\n")
    assert start({"data": file}).settings.name == name
    monkeypatch.chdir(tmp_path / Path(file).parent)
    assert start({"data": Path(file).name}).settings.name == name
    assert start({"data": Path(file).name}).settings.data == str(tmp_path / file)


@pytest.mark.parametrize(
    ("space", "options", "model"),
    [
        ("detector: yolo11n", {}, "yolo11n.yaml"),
        ("detector: own.yaml", {}, "{here}/own.yaml"),
        ("sites: stages", {}, "yolov8n.yaml"),
        ("detector: yolo11n", {"model": "yolov8s.yaml"}, "yolov8s.yaml"),
    ],
)
def test_the_model_is_the_one_that_the_space_is_written_for(tiny_data, tmp_path, monkeypatch, space, options, model):
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text(yaml.safe_dump(Detector.load("yolov8n").yaml))
    Path("mine.yaml").write_text(f"{space}\nattention: {{SE: }}\n")
    settings = start({"data": str(tiny_data), "space": "mine.yaml", **options}).settings
    expected = model.format(here=tmp_path)
    assert settings.model == expected and settings.name == f"{tiny_data.parent.name}-{Path(expected).stem}-mine"


def test_a_replay_is_recorded_with_the_settings_of_its_table():
    settings = start({"evaluator": "replay", "table": "bccd"}).settings
    assert (settings.imgsz, settings.batch, settings.baseline_epochs) == (96, 16, 10)
    assert (settings.epochs, settings.noise_seeds, settings.space) == (20, 2, "gam-small")


@pytest.mark.parametrize(
    ("given", "batch", "epochs"),
    [
        ({}, 8, 30),  # 12 images make two steps an epoch
        ({"epochs": 4}, 8, 4),
        ({"evaluator": "supernet"}, 8, 1),
        ({"batch": 2, "train": {"fraction": 0.5}}, 2, 30),
    ],
)
def test_batch_and_epochs_follow_from_the_size_of_the_data(tiny_data, tmp_path, monkeypatch, given, batch, epochs):
    monkeypatch.chdir(tmp_path)
    settings = start({"data": str(tiny_data), **given}).settings
    assert (settings.batch, settings.epochs) == (batch, epochs)


@pytest.mark.parametrize(
    ("images", "batch", "epochs"),
    [(900, 8, 5), (450, 8, 9), (205, 8, 20), (118_000, 16, 3), (10, 16, 30), (4000, 8, 3)],
)
def test_a_new_layer_gets_about_five_hundred_steps_in_a_sensible_number_of_epochs(images, batch, epochs):
    assert default_epochs(images, batch) == epochs
