"""The comparison of exported files with the trial's model."""

from copy import deepcopy
from pathlib import Path
from typing import ClassVar

import pytest
import torch
import yaml
from support.gam_detectors import small_data
from support.hidden import run_hidden

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import ModelError
from gamsearch.models.checkpoint import load_checkpoint
from gamsearch.parser.build import build
from gamsearch.runs.compared_image import IMAGES, clearest_image, gap, random_image
from gamsearch.runs.exported_files import (
    TOLERANCE,
    Exported,
    _nearest,
    compare,
    write_weights_files,
)
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft


class Doubling(torch.nn.Module):
    """Stands for a detector: its predictions are its input times a factor."""

    def __init__(self, factor: float = 2.0):
        super().__init__()
        self.factor = factor
        self.yaml = {"head": [[[0], 1, "Detect", ["nc"]]]}

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * self.factor


RTDETR = {
    "nc": 3,
    "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "Conv", [16, 3, 4]], [-1, 1, "Conv", [32, 3, 2]]],
    "head": [[-1, 1, "AIFI", [64, 2]], [[1, 3], 1, "RTDETRDecoder", ["nc", 32, 20, 2, 2, 2, 64]]],
}


class Boxes(torch.nn.Module):
    """Stands for an RT-DETR that predicts the same boxes in every image."""

    yaml: ClassVar = {"head": [[[0], 1, "RTDETRDecoder", ["nc"]]]}

    def __init__(self, boxes: torch.Tensor):
        super().__init__()
        self.boxes, head = boxes, torch.nn.Module()
        head.enc_score_head, head.dec_score_head, head.num_queries = Doubling(), [Doubling()], 300
        self.model = [head]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.model[-1].dec_score_head[-1](self.model[-1].enc_score_head(self.boxes))
        return self.boxes


def test_equal_predictions_differ_by_nothing():
    assert compare(Doubling(), Doubling(), (32, 64), Path("a.onnx")) == 0


def test_a_small_difference_is_returned_relative_to_the_largest_prediction():
    assert compare(Doubling(2.0), Doubling(2.001), (32,), Path("a.onnx")) == pytest.approx(0.0005, rel=0.01)


@pytest.mark.parametrize("factor", [2.0 * (1 + 2 * TOLERANCE), float("nan")])
def test_a_difference_above_the_tolerance_or_nan_is_refused(factor):
    with pytest.raises(ModelError, match=r"a\.onnx differs from the trial's model by .* do not use it"):
        compare(Doubling(), Doubling(factor), (32,), Path("a.onnx"))


def test_a_box_of_rtdetr_may_have_another_place_but_not_be_missing():
    boxes = torch.arange(20.0).view(1, 5, 4)
    model, moved, missing = (Boxes(boxes[:, order]) for order in ([0, 1, 2, 3, 4], [4, 2, 3, 0, 1], [4, 2, 3, 0, 0]))
    assert compare(model, moved, (32,), Path("a.onnx")) == 0
    for one, other in ((model, missing), (missing, model)):
        with pytest.raises(ModelError, match=r"a\.onnx differs from the trial's model"):
            compare(one, other, (32,), Path("a.onnx"))


def test_rtdetr_is_compared_on_an_image_on_which_its_selection_does_not_depend_on_rounding():
    """Runtimes add in another order: the scores of places differ by less than the clearest image has to spare."""
    torch.manual_seed(0)
    model = build(RTDETR, nc=3).eval()
    other, found = deepcopy(model), []
    with torch.no_grad():
        hook = model.model[-1].enc_score_head.register_forward_hook(lambda m, given, scores: found.append(scores))
        model(image := clearest_image(model, 64))
        hook.remove()
        rounding = 0.9 * gap(found[-1].amax(-1), 20) * (torch.rand(found[-1].shape) - 0.5)
        other.model[-1].enc_score_head.register_forward_hook(lambda m, given, scores: scores + rounding)
        pairs = [(model(one)[0], other(one)[0]) for one in [image, *(random_image(64, seed) for seed in range(IMAGES))]]
    clear, *others = (float((one - _nearest(one, its)).abs().max()) for one, its in pairs)
    assert clear < TOLERANCE < max(others), (clear, others)


def test_a_file_that_cannot_be_run_is_reported_without_a_difference():
    assert Exported(Path("gam.py"), None, "import it").line == "wrote gam.py  (import it)"
    assert Exported(Path("a.pt"), 1e-6, "reloaded").line == "wrote a.pt  (reloaded: largest relative difference 1e-06)"


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Path, list[Exported]]:
    """The files of a detector with four modules: the head reads one, a block adds one, and one is inside a block."""
    torch.manual_seed(0)
    detector = Detector.load("yolo26n")
    placed = [Placement(site, name, {}) for site, name in ((4, "ShuffleAttention"), (8, "SE"), (16, "CBAM"))]
    architecture = Architecture.of(detector.name, [*placed, Placement(6, "SE", {}, "inner")])
    form = graft(detector, architecture).yaml
    model = build(form, nc=2).eval()
    with torch.no_grad():
        for row in (row for row in model.modules() if hasattr(row, "gain")):
            for parameter in row.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
    folder = tmp_path_factory.mktemp("export")
    (folder / "best-yolo26n.yaml").write_text(yaml.safe_dump({**form, "nc": 2}))
    return folder, write_weights_files(folder / "best", model, architecture, 64)


def test_factors_of_gates_are_folded_in_onnx_and_torchscript_only_and_every_file_computes_the_same(exported):
    _, (checkpoint, network, traced, modules) = exported
    for file in (network, traced):
        assert file.difference < 1e-5
        names = "row 5 (ShuffleAttention), row 19 (CBAMPaper), row 7 (SE)"
        assert f"the constant factor of {names} is in the next layers" in file.how
        assert "the factor 2 of row 10 (SE) stays: row 11 (SPPF) reads it by more than convolutions" in file.how
    rows = [row for row in load_checkpoint(checkpoint.path).modules() if hasattr(row, "gain")]
    assert [row.gain for row in rows] == [2.0, 2.0, 2.0, 4.0] and "constant factor" not in checkpoint.how
    assert modules.path.name == "best_modules.py" and "CBAM, SE, ShuffleAttention" in modules.how


AS_A_USER = """
import best_modules
from ultralytics import YOLO
for model in (YOLO("best-yolo26n.yaml"), YOLO("best.pt")):
    assert {{"SE", "CBAMPaper", "ShuffleAttention"}} <= {{type(m).__name__ for m in model.model.model}}
    assert type(model.model.model[7].m.attention).__name__ == "SE"
model.train(data={data!r}, epochs=1, imgsz=32, batch=4, device="cpu", workers=0, plots=False, project="runs")
trained = YOLO(model.trainer.best)
trained.predict("set/images/0.png", imgsz=32, save=False, verbose=False)
print(trained.export(format="onnx", imgsz=32))
"""


def test_an_export_of_several_modules_is_trained_run_and_exported_again_without_gamsearch(exported):
    folder, _ = exported
    (folder / "Arial.ttf").touch()
    printed = run_hidden(folder, AS_A_USER.format(data=str(small_data(folder))), ULTRALYTICS_SAFE_LOAD="1")
    assert printed.splitlines()[-1].endswith("best.onnx")
