"""Candidates with attention inside a block: they start as the baseline, and their cost is known before training."""

import copy

import pytest
import torch
import yaml
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.gam import GAM
from gamsearch.attention.inner import InnerAttention
from gamsearch.errors import ModelError
from gamsearch.models.candidate import build_candidate, fresh_parameters
from gamsearch.models.identity import max_difference
from gamsearch.parser.build import build
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft
from gamsearch.training.baseline import start_model
from gamsearch.training.costs import Costs
from gamsearch.training.setup import CostSettings

IMAGE = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
GAM4 = (("rate", 4),)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("yolov5n", {"C3"}),
        ("yolov8n-ghost", {"C3Ghost"}),
        ("yolov10s", {"C2f", "C2fCIB"}),
        ("yolo11n-seg", {"C3k2"}),
        ("yolo12n", {"C3k2", "A2C2f"}),
    ],
)
def test_with_attention_in_every_block_a_detector_inherits_all_and_starts_as_the_baseline(name, blocks):
    detector = Detector.load(name)
    sites = [row.index for row in detector.rows if row.inner]
    assert {detector.rows[site].module for site in sites} == blocks
    baseline = start_model(detector, None, {0: "a"}, seed=0)
    placed = [Placement(site, "GAM", GAM4, "inner") for site in sites]
    candidate = build_candidate(detector, Architecture.of(detector.name, placed), baseline, imgsz=64)
    assert candidate.audit.complete and candidate.audit.tensors_inherited == len(baseline.state_dict())
    assert max_difference(candidate.model, baseline, IMAGE) == 0.0
    assert [type(row) for row in candidate.model.model] == [type(row) for row in baseline.model]
    nn.init.constant_(candidate.attention[placed[0]].norm2.bias, 3.0)
    fused = copy.deepcopy(candidate.model).eval().fuse(verbose=False)
    attended, deployed, stock = (model.eval().model[sites[0]] for model in (candidate.model, fused, baseline))
    x = torch.rand(1, stock.cv1.conv.in_channels, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = attended(x)
        assert (deployed(x) - expected).abs().max() < 1e-5 < 1e-3 < (stock(x) - expected).abs().max()


@pytest.fixture(scope="module")
def baseline() -> nn.Module:
    return start_model(Detector.load("yolov8n"), None, {0: "a"}, seed=0)


def test_its_parameters_are_those_of_the_module_at_the_width_of_the_bottlenecks(baseline):
    detector, placement = Detector.load("yolov8n"), Placement(4, "GAM", GAM4, "inner")
    candidate = build_candidate(detector, Architecture.of("yolov8n", [placement]), baseline, imgsz=64)
    own = sum(p.numel() for p in GAM(32, 4).parameters())
    assert sum(p.numel() for p in candidate.model.parameters()) - sum(p.numel() for p in baseline.parameters()) == own
    assert candidate.model.model[4].np == sum(p.numel() for p in candidate.model.model[4].parameters())
    assert fresh_parameters(candidate).keys() == {id(p) for p in candidate.attention[placement].parameters()}
    settings = CostSettings(imgsz=64, predicted=("params_m", "gflops"), latency_ratio=lambda a: 1.1, reference_ms=10.0)
    predicted = Costs(detector, baseline, torch.device("cpu"), settings).predicted(candidate.architecture)
    assert predicted == pytest.approx(
        {"params_m": candidate.params_m(), "gflops": candidate.gflops(), "latency_ratio": 1.1, "latency_ms": 11.0}
    )


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ([-1, 1, "InnerAttention", ["SPPF", [1024, 5], "SE", [16]]], "row 2 is SPPF, which has no bottlenecks that SE"),
        ([-1, 2, "InnerAttention", ["Bottleneck", [64], "SE", [16]]], "row 2 is Sequential, which has no bottlenecks"),
        ([-1, 1, "InnerAttention", ["C2f", [64, True], "SEE", [16]]], "names a module that Ultralytics does not know"),
        ([-1, 1, "InnerAttention", ["C2f", [64, True], "nn.ReLU", []]], "names nn.ReLU, which such a row cannot hold"),
        (
            [-1, 1, "InnerAttention", ["InnerAttention", ["C2f", [64], "SE", [4]], "SE", [4]]],
            "names InnerAttention, which",
        ),
        ([-1, 1, "InnerAttention", ["C2f", [64, True], "SE", [9e9]]], "has an argument beyond 65536"),
        ([-1, 1, "InnerAttention", ["C2f", 64, True, "SE", 16]], "must name a block, its arguments, a module and its"),
        ([-1, 1, "InnerAttention", ["C2f", [64, True], "GAM", [64]]], "the rate of a GAM must be smaller than"),
    ],
)
def test_a_row_with_attention_inside_that_cannot_be_built_is_refused_in_one_sentence(row, sentence):
    stem = [[-1, 1, "Conv", [32, 3, 2]], [-1, 1, "Conv", [64, 3, 2]]]
    form = {"nc": 1, "backbone": [*stem, row], "head": [[[0, 1, 2], 1, "Detect", ["nc"]]]}
    with pytest.raises(ModelError) as error:
        build(form, nc=1)
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_a_class_of_somebody_else_with_the_name_of_the_row_is_not_replaced(baseline, monkeypatch):
    from ultralytics.nn import tasks

    architecture = Architecture.of("yolov8n", [Placement(4, "GAM", GAM4, "inner")])
    monkeypatch.setattr(tasks, "InnerAttention", nn.Identity)
    with pytest.raises(ModelError, match="another class named InnerAttention .* rename that class"):
        build_candidate(Detector.load("yolov8n"), architecture, baseline, imgsz=64)


def test_ultralytics_itself_builds_the_yaml_at_any_scale(tmp_path):
    from ultralytics import YOLO

    form = graft(Detector.load("yolo11n"), Architecture.of("yolo11n", [Placement(4, "EMA", {}, "inner")])).yaml
    for scale, width in (("n", 32), ("m", 128)):
        path = tmp_path / f"mine-yolo11{scale}.yaml"
        path.write_text(yaml.safe_dump(form))
        block = YOLO(path).model.model[4]
        assert (type(block).__name__, block.m.attention.channels, block.c) == ("C3k2", width, width)


def test_the_tensors_of_the_bottlenecks_keep_their_names():
    stock = nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)])
    held = InnerAttention(stock, nn.ReLU())
    assert held.state_dict().keys() == stock.state_dict().keys()
    x = torch.rand(1, 4, 5, 5)
    assert torch.equal(held(x), torch.relu(stock[1](stock[0](x))))
