"""What `run` makes of its options: the run's name and where its data are."""

from pathlib import Path

import pytest

from gamsearch.runs.start import start


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


def test_a_replay_is_recorded_with_the_settings_of_its_table():
    settings = start({"evaluator": "replay", "table": "bccd"}).settings
    assert (settings.imgsz, settings.batch, settings.baseline_epochs) == (96, 16, 10)
    assert (settings.epochs, settings.noise_seeds, settings.space) == (20, 2, "gam-small")
