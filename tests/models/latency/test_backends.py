"""Latency backends: what they measure, and where they can be used."""

import pytest
import torch
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import CandidateFailed, OptionError
from gamsearch.models.candidate import build_candidate
from gamsearch.models.latency.backends import BACKENDS, LatencyBackend, backend_named, resolved
from gamsearch.models.latency.measure import measure
from gamsearch.models.latency.runtimes import in_onnxruntime
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import start_model

CPU = torch.device("cpu")


def test_the_torch_backend_runs_a_fused_copy_and_changes_neither_model_nor_threads():
    stock = start_model(Detector.load("yolov8n"), None, {0: "a"}, seed=0).train()
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in stock.modules())
    threads = torch.get_num_threads()
    latency = measure(stock, stock, 64, CPU, backend="torch", seconds=0.1)
    assert latency.measured_ms > 0 and latency.backend == "torch"
    assert latency.ratio == pytest.approx(1.0, abs=0.05)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in stock.modules()) == norms and stock.training
    assert not any(m._forward_hooks for m in stock.modules())
    assert torch.get_num_threads() == threads


def stock_and(*placements: Placement):
    """yolov8n, and the same with attention."""
    detector = Detector.load("yolov8n")
    stock = start_model(detector, None, {0: "a"}, seed=0)
    return stock, build_candidate(detector, Architecture.of("yolov8n", placements), stock, imgsz=64).model


@pytest.mark.parametrize("backend", [name for name, one in BACKENDS.items() if one.device in ("", "cpu")])
def test_attention_costs_time_on_every_backend(backend):
    if BACKENDS[backend].requires:
        pytest.importorskip(BACKENDS[backend].requires)
    stock, attended = stock_and(*(Placement(s, "GAM", (("rate", 4),)) for s in (4, 6, 9)))
    assert measure(attended, stock, 64, CPU, backend=backend, seconds=1.0).ratio > 1.05


def test_what_ncnn_has_no_layer_for_is_named():
    pytest.importorskip("ncnn")
    _, attended = stock_and(Placement(6, "SimAM", ()))
    with pytest.raises(CandidateFailed, match="NCNN has no layer for aten::lerp"):
        backend_named("ncnn")(attended, 64, CPU)


def test_a_network_that_ncnn_gives_up_on_half_way_has_no_latency():
    """It says so by a code alone, and the pass until there is shorter than that of the detector without attention."""
    pytest.importorskip("ncnn")
    _, attended = stock_and(Placement(8, "EMA", ()))
    with pytest.raises(CandidateFailed, match="NCNN cannot compute this network: a layer fails"):
        backend_named("ncnn")(attended, 64, CPU)


def test_what_cannot_be_exported_or_run_is_a_failed_candidate_with_the_reason():
    class Unexportable(nn.Module):
        def forward(self, x):
            return x * torch.linalg.eigvals(x[0, 0, :2, :2]).real.sum()

    stock = start_model(Detector.load("yolov8n"), None, {0: "a"}, seed=0).eval()
    stock.model[0].act = Unexportable()
    with pytest.raises(CandidateFailed, match="cannot be exported to ONNX: .*eigvals"):
        measure(stock, stock, 64, CPU, backend="onnxruntime")
    with pytest.raises(CandidateFailed, match="ONNX Runtime cannot run this network"):
        in_onnxruntime(b"not a network", (1, 3, 64, 64))


def test_an_unknown_backend_is_rejected_with_the_known_ones():
    with pytest.raises(OptionError, match="auto, torch, cudagraph"):
        backend_named("tensorrt")


def test_the_default_backend_depends_on_the_device_and_unsuitable_ones_are_rejected():
    cuda = torch.device("cuda", 0)
    assert resolved("auto", CPU) == "onnxruntime" and resolved("auto", cuda) == "cudagraph"
    assert resolved("auto", torch.device("mps")) == "torch"
    assert resolved("torch", cuda) == "torch" and resolved("onnxruntime", CPU) == "onnxruntime"
    for name, device in ("cudagraph", CPU), ("onnxruntime", cuda):
        with pytest.raises(OptionError, match="use --latency torch"):
            resolved(name, device)


def test_a_backend_without_its_package_is_refused_when_it_is_chosen_not_after_the_baseline():
    """`resolved` is called before anything is trained."""
    backend = LatencyBackend("elsewhere", lambda *_: None, requires="no_such_package")
    with BACKENDS.temporarily("elsewhere", backend), pytest.raises(OptionError, match="needs the package no_such_pack"):
        resolved("elsewhere", CPU)
