"""Detectors agree with the models that Ultralytics builds from the same YAML; what is no detector is refused."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from gamsearch.errors import ModelError, SpaceError
from gamsearch.parser.build import build
from gamsearch.space.detector import Detector
from gamsearch.space.stock import stock_detectors

BUILT = [
    *("yolov3-tiny", "yolov5n", "yolov5n-p6", "yolov6n", "yolov8n", "yolov8n-p2", "yolov8n-ghost-p6", "yolov9t"),
    *("yolov10n", "yolo11n", "yolo11m", "yolo12n", "yolo26n", "yolo26n-p6", "rtdetr-l"),
    *("yolov8n-seg", "yolo26n-seg", "yolo11n-pose", "yolo26n-pose", "yolov8n-obb", "yolo26n-obb", "yolo11n-cls"),
]


def built_maps(detector: Detector, imgsz: int = 256) -> dict[int, tuple[int, int]]:
    """Channels and stride of every row's output map, from a forward pass of the model that Ultralytics builds."""
    model = build(copy.deepcopy(detector.yaml), nc=2).eval()
    found: dict[int, tuple[int, int]] = {}

    def note(row: Any, _: Any, output: Any) -> None:
        if torch.is_tensor(output):
            found[row.i] = (output.shape[1], imgsz // output.shape[2])

    for row in model.model[:-1]:
        row.register_forward_hook(note)
    with torch.no_grad():
        model(torch.zeros(1, 3, imgsz, imgsz))
    return found


@pytest.mark.parametrize("name", BUILT)
def test_channels_and_strides_are_those_of_the_built_model(name: str) -> None:
    detector = Detector.load(name)
    built = built_maps(detector)
    if name == "yolov3-tiny":
        del built[11]  # nn.ZeroPad2d: 9 x 9 instead of 8 x 8, which no integer stride describes
    assert {i: (detector.rows[i].channels, detector.rows[i].stride) for i in built} == built


class Roll(torch.nn.Module):
    """A block that nobody knows: it halves the map into four times the channels, and cannot run on the meta device."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pixel_unshuffle(x, 2) * (1.0 if x.sum().item() >= 0 else -1.0)


UNKNOWN = {
    "nc": 2,
    "backbone": [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "nn.LPPool2d", [2, 2]], [-1, 1, "Roll", []]],
    "head": [[1, 1, "Conv", [8, 1]], [[1, 3], 1, "Detect", ["nc"]]],
}


def test_blocks_that_no_table_lists_have_the_shapes_that_they_give_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ultralytics.nn.tasks.Roll", Roll, raising=False)
    before = torch.random.get_rng_state()
    rows = Detector.from_yaml("unknown", UNKNOWN).rows
    assert [(row.channels, row.stride) for row in rows[:3]] == [(16, 2), (16, 4), (64, 8)]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_row_that_cannot_be_run_is_named() -> None:
    rows = [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "nn.PixelUnshuffle", [2]], [-1, 1, "Conv", [8, 1]]]
    with pytest.raises(ModelError, match=r"^odd: row 2, .*Conv.*, cannot read 64 channels: "):
        Detector.from_yaml("odd", {"nc": 2, "backbone": rows, "head": [[[2], 1, "Detect", ["nc"]]]})


def test_sites_of_yolov8n_are_its_blocks() -> None:
    detector = Detector.load("yolov8n")
    assert detector.stage_sites == (2, 4, 6, 8, 9, 12, 15, 18, 21)
    assert detector.sites == tuple(range(22))
    assert detector.strides == (8, 16, 32)
    assert detector.readers(15) == (16, 22)
    assert detector.readers(4) == (5, 14)
    assert [row.part for row in detector.rows] == ["backbone"] * 10 + ["neck"] * 12 + ["head"]


def test_a_detector_without_blocks_has_its_convolutions_as_stages() -> None:
    assert Detector.load("yolov3-tiny").stage_sites == (0, 2, 4, 6, 8, 10, 13, 14, 15, 16, 19)


def test_the_scale_comes_from_the_name_as_in_ultralytics() -> None:
    assert Detector.load("yolov8m-ghost-p6").scale == "m"
    assert Detector.load("yolov8s.yaml").name == "yolov8s"
    assert Detector.load("yolov8").name == "yolov8n"
    assert Detector.load("yolov10b").scale == "b"


def test_list_outputs_and_the_image_are_not_sites() -> None:
    detector = Detector.load("yolov9e")
    assert detector.rows[0].module == "nn.Identity" and detector.rows[10].module == "CBLinear"
    assert not {0, 10, 11, 12, 13, 14, 42} & set(detector.sites)


def test_a_custom_yaml_states_its_scale(tmp_path: Path) -> None:
    stock = copy.deepcopy(Detector.load("yolov8n").yaml)
    path = tmp_path / "custom.yaml"
    path.write_text(yaml.safe_dump({**stock, "scale": "s"}))
    assert Detector.load(path).rows == Detector.load("yolov8s").rows
    path.write_text(yaml.safe_dump({k: v for k, v in stock.items() if k != "scale"}, sort_keys=False))
    assert Detector.load(str(path)).scale == "n"
    tiny = {**stock, "scales": {"t": [0.33, 0.125, 1024], **stock["scales"]}, "scale": "n"}
    (tmp_path / "yolov8-tiny.yaml").write_text(yaml.safe_dump(tiny))
    assert Detector.load(tmp_path / "yolov8t-tiny.yaml").rows[0].channels == 8
    (tmp_path / "yolov8-custom.yaml").write_text(path.read_text())
    assert Detector.load(tmp_path / "yolov8x-custom.yaml").scale == "x"


def test_the_yaml_in_a_checkpoint_keeps_its_own_scale_and_is_not_changed() -> None:
    mapping = {**Detector.load("yolov8s").yaml, "nc": 3}
    before = copy.deepcopy(mapping)
    detector = Detector.from_yaml("yolov8n-somewhere", mapping)
    detector.yaml["backbone"][0][3][0] = 8
    assert detector.scale == "s" and mapping == before


def test_every_listed_detector_loads_under_its_name() -> None:
    names = stock_detectors()
    assert {"yolov8n", "yolov8n-p2", "yolov8n-ghost-p6", "yolov5n", "yolo11n", "yolo12n", "yolo26n"} <= set(names)
    for name in names:
        detector = Detector.load(name)
        assert detector.name == name and len(detector.stage_sites) >= (4 if detector.task.name == "classify" else 7)
        assert len(detector.strides) == 1 if detector.task.name == "classify" else len(detector.strides) >= 2


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("yolov8q", "there is no detector 'yolov8q' (did you mean 'yolov8"),
        ("nowhere/yolov8n.yaml", "there is no detector 'nowhere/yolov8n.yaml'"),
        ("yolov3n", "there is no detector 'yolov3n' (did you mean 'yolov3'?)"),
        ("yolo11-cls-resnet18", "takes its backbone from TorchVision as one row, so there is no place for attention"),
        ("yolo26n-sem", "which is for semantic segmentation, and only object detection, instance segmentation, pose"),
        ("yolo26n-depth", "ends in Depth, which is for depth estimation, and only object detection, instance"),
        ("yolov8n-worldv2", "ends in WorldDetect, which reads the class names through a text model that must be"),
        ("yoloe-11m", "through a text model that must be downloaded; yolo11m can be searched"),
        ("", "there is no detector ''"),
    ],
)
def test_a_name_that_is_not_a_detector_is_refused_in_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(ModelError) as error:
        Detector.load(name)
    assert sentence in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- 1\n- 2\n", "must hold a mapping with 'backbone:' and 'head:', not list"),
        ("backbone: [[-1, 1, Conv, [8]]]\n", "must have a list 'head:'"),
        ("backbone: [\n", "cannot be read as YAML"),
        ("backbone: [[-1, 1, Conv]]\nhead: [[[0], 1, Detect, [nc]]]\n", "row 0 must be [from, repeats, module, argum"),
        ("backbone: [[-1, 1, Conv, [8]]]\nhead: [[[3], 1, Detect, [nc]]]\n", "row 1 must be [from, repeats, module"),
        (
            "backbone: [[-1, 1, Conv, [x]]]\nhead: [[[0], 1, Detect, [nc]]]\n",
            "row 0, [-1, 1, 'Conv', ['x']], cannot",
        ),
        ("scales: {n: 3}\nbackbone: [[-1, 1, Conv, [8]]]\nhead: [[[0], 1, Detect, [nc]]]\n", "each of its 'scales:'"),
        ("scale: z\nscales: {n: [1, 1, 8]}\nbackbone: [1]\nhead: [1]\n", "has no scale 'z'; its 'scales:' are n"),
    ],
)
def test_a_file_that_is_not_a_model_yaml_is_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ModelError) as error:
        Detector.load(path)
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_a_yaml_file_runs_no_code(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "evil.yaml").write_text(f"backbone: !!python/object/apply:pathlib.Path.touch [{marker}]\n")
    with pytest.raises(ModelError, match="cannot be read as YAML"):
        Detector.load(tmp_path / "evil.yaml")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("site", "sentence"),
    [
        (22, "site 22 is Detect, which nothing can follow; yolov8n offers 2, 4, 6, 8, 9, 12, 15, 18, 21"),
        (40, "site 40 does not exist, the rows of yolov8n go from 0 to 22; yolov8n offers 2, 4"),
        (-1, "site -1 does not exist"),
    ],
)
def test_a_row_that_is_not_a_site_is_refused_with_the_sites_that_are(site: int, sentence: str) -> None:
    with pytest.raises(SpaceError) as error:
        Detector.load("yolov8n").check_site(site)
    assert str(error.value).startswith(sentence)
