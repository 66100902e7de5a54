"""Checkpoints that are trusted: what they hold, and what is rejected. `tests/runs/test_security.py` has the others."""

import pytest
import torch
from support.gam_detectors import gams, run_python, save_checkpoint
from torch import nn

from gamsearch.errors import ModelError
from gamsearch.models.checkpoint import load_checkpoint, open_checkpoint
from gamsearch.models.identity import predictions


def test_a_checkpoint_loads_in_full_precision(tmp_path):
    model = load_checkpoint(save_checkpoint(tmp_path))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not model.training
    assert len(gams(model)) == 2


def test_a_checkpoint_whose_name_ultralytics_would_download_is_read_from_disk(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, "yolov5n.pt")
    monkeypatch.chdir(tmp_path)
    assert len(gams(load_checkpoint("yolov5n.pt"))) == 2


@pytest.mark.parametrize("content", [b"", b"this is no checkpoint", b"PK\x03\x04 half an archive"])
def test_a_corrupt_checkpoint_is_rejected_in_one_sentence(tmp_path, content):
    file = tmp_path / "corrupt.pt"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="corrupt.pt cannot be read as an Ultralytics checkpoint") as error:
        load_checkpoint(file)
    assert "\n" not in str(error.value)


def test_a_truncated_checkpoint_is_rejected(tmp_path):
    file = save_checkpoint(tmp_path)
    file.write_bytes(file.read_bytes()[:4000])
    with pytest.raises(ModelError, match="cannot be read"):
        load_checkpoint(file)


@pytest.mark.parametrize("name", ["missing.pt", "folder.pt", "weights.onnx"])
def test_a_missing_checkpoint_is_rejected(tmp_path, name):
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "weights.onnx").touch()
    with pytest.raises(ModelError, match=f"existing .pt file, but .*{name} is not"):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("content", [{"weights": torch.zeros(2)}, {"model": nn.Linear(2, 2)}, [1, 2]])
def test_a_file_without_a_detector_is_rejected(tmp_path, content):
    file = tmp_path / "other.pt"
    torch.save(content, file)
    with pytest.raises(ModelError, match="other.pt"):
        load_checkpoint(file)


def test_a_checkpoint_of_a_task_that_is_not_searched_is_rejected(tmp_path):
    from ultralytics.nn.tasks import SemanticSegmentationModel

    file = tmp_path / "semantic.pt"
    torch.save({"model": SemanticSegmentationModel("yolo26n-sem.yaml", verbose=False)}, file)
    for opening in (load_checkpoint, open_checkpoint):
        with pytest.raises(ModelError, match="instance segmentation, .* but holds a SemanticSegmentationModel: use"):
            opening(file)


@pytest.mark.parametrize("name", ["yolo26n-seg", "yolo11n-pose", "yolo26n-obb", "yolov8n-cls"])
def test_a_checkpoint_of_each_task_is_opened_with_its_outputs(name, tmp_path):
    from ultralytics import YOLO

    stock = YOLO(f"{name}.yaml")
    file, image = tmp_path / "stock.pt", torch.rand(1, 3, 64, 64)
    stock.save(file)
    opened = open_checkpoint(file)
    assert type(opened) is type(stock.model) is type(load_checkpoint(file))
    with torch.no_grad():
        expected, found = (predictions(model.float().eval()(image)) for model in (stock.model.half(), opened))
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


def test_a_checkpoint_that_needs_a_missing_package_is_rejected_and_installs_nothing(tmp_path):
    (tmp_path / "exotic.py").write_text("import torch\nclass Net(torch.nn.Module):\n    pass\n")
    run_python("import torch, exotic\ntorch.save({'model': exotic.Net()}, 'exotic.pt')", tmp_path)
    with pytest.raises(ModelError, match="needs the Python package 'exotic', which is not installed"):
        load_checkpoint(tmp_path / "exotic.pt")
