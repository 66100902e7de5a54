"""The constant factor of a gate, folded into the layers that read the map: exact, complete, and gone from the graph."""

import copy
import io
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.models.gains import fold_gains
from gamsearch.parser.build import build
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft
from gamsearch.testing.attention_cases import quiet

GAINED = [name for name, spec in CATALOGUE.items() if spec.start == "gain"]
IMAGE = torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(1))


def trained(name: str, placements: list[Placement]) -> Any:
    """A fused detector whose attention and batch norms are not at their start."""
    torch.manual_seed(0)
    detector = Detector.load(name)
    model = build(graft(detector, Architecture.of(name, placements)).yaml, nc=2)
    with torch.no_grad():
        for row in model.modules():
            for parameter in row.parameters() if hasattr(row, "gain") else ():
                parameter += 0.3 * torch.randn_like(parameter)
        for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
            nn.init.normal_(norm.running_mean, std=0.1)
    return model.eval().fuse(verbose=False)


def folding(model: Any) -> tuple[float, list[str], list[str]]:
    """Fold the factors; return the largest relative difference, and what was and was not folded."""
    with torch.no_grad():
        before = model(IMAGE)[0]
        folded, kept = fold_gains(model)
        after = model(IMAGE)[0]
    return float((before - after).abs().max() / before.abs().max()), folded, kept


@pytest.mark.parametrize("detector", ["yolov8n", "yolo11n", "yolov9t", "yolov10n", "yolov3-tiny"])
def test_factors_fold_at_every_stage_into_blocks_concatenations_upsampling_and_the_head(detector):
    sites = Detector.load(detector).stage_sites
    modules = [name for name in GAINED if name != "MLCA"]  # its factor is inside a sum
    placed = [Placement(site, modules[i % len(modules)], {}) for i, site in enumerate(sites)]
    model = trained(detector, placed)
    difference, folded, kept = folding(model)
    assert not kept and len(folded) == len(sites) and difference == 0.0
    assert all(getattr(row, "gain", 1.0) == 1.0 for row in model.model)


@pytest.mark.parametrize(("name", "options"), [*((name, {}) for name in GAINED), ("GAM", {"channel_gate": "sigmoid"})])
def test_the_factor_of_one_module_folds_exactly(name, options):
    model = trained("yolov8n", [Placement(15, name, options)])  # read by a convolution and by the head
    difference, folded, _ = folding(model)
    assert folded == [f"row 16 ({CATALOGUE[name].row_name})"]
    assert difference <= (1e-6 if name == "MLCA" else 0.0)


@pytest.mark.parametrize(("detector", "site"), [("yolov5n", 17), ("yolov8n", 15), ("yolo12n", 14)])
def test_a_factor_inside_a_block_folds_exactly_unless_it_is_inside_a_sum(detector, site):
    model = trained(detector, [Placement(site, "SE", {}, "inner"), Placement(4, "MLCA", {}, "inner")])
    difference, folded, kept = folding(model)
    assert folded == [f"row {site} (SE)"] and difference == 0.0
    assert kept == ["the factor 2 of row 4 (MLCA) stays: without it the block computes something else"]


def test_a_factor_stays_where_a_layer_adds_its_input_and_the_model_is_as_before():
    model = trained("yolo26n", [Placement(8, "SE", {})])
    state = copy.deepcopy(model.state_dict())
    difference, folded, kept = folding(model)
    assert not folded and kept == ["the factor 2 of row 9 (SE) stays: row 10 (SPPF) reads it by more than convolutions"]
    assert difference == 0.0 and all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", [name for name in GAINED if name != "Triplet"])  # its gates are divided by 3
def test_no_multiplication_is_left_in_the_exported_graph(name):
    from gamsearch.attention.registry import attention_class

    counts = []
    for gain in (2.0, 1.0):
        module = attention_class(name)(64).eval()
        module.gain, file = gain, io.BytesIO()
        with quiet():
            torch.onnx.export(module, (torch.rand(1, 64, 8, 8),), file, dynamo=False)
        counts.append([node.op_type for node in onnx.load_from_string(file.getvalue()).graph.node].count("Mul"))
    assert counts[1] < counts[0]
