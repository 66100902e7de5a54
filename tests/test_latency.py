"""Latency: paired, interleaved, summarised by the ratio."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from gamsearch.errors import OptionError
from gamsearch.latency import BACKENDS, _summary, backend_named, latency_backend, measure

CPU = torch.device("cpu")


@pytest.fixture
def sleepy():
    """A backend whose models say how long they take, so that the measurement itself is what is tested."""

    @latency_backend("sleepy")
    def prepare(model, imgsz, device):
        """Sleep."""
        return lambda: time.sleep(model.seconds)

    yield "sleepy"
    del BACKENDS["sleepy"]


def model(seconds: float) -> nn.Module:
    module = nn.Identity()
    module.seconds = seconds
    return module


def test_the_ratio_is_that_of_the_models_and_the_reference_scales_it(sleepy):
    latency = measure(model(0.004), model(0.002), 64, CPU, reference_ms=10.0, backend=sleepy, seconds=0.15)
    assert 1.6 < latency.ratio < 2.2
    assert latency.latency_ms == pytest.approx(10.0 * latency.ratio)
    assert latency.ratio_low <= latency.ratio <= latency.ratio_high
    assert (latency.backend, latency.precision, latency.imgsz) == ("sleepy", "fp32", 64)
    assert 20 <= latency.rounds <= 25


def test_a_machine_that_slows_down_half_way_does_not_move_the_ratio():
    steady = np.column_stack([np.full(40, 3.0), np.full(40, 2.0)])
    drifting = steady * np.linspace(1, 5, 40)[:, None]
    assert _summary(drifting, 2.0, "torch", CPU, 1, 64).latency_ms == pytest.approx(3.0)


def test_without_a_reference_the_block_of_the_baseline_itself_is_the_reference(sleepy):
    latency = measure(model(0.002), model(0.002), 64, CPU, backend=sleepy, seconds=0.05)
    assert latency.latency_ms == pytest.approx(latency.ratio * latency.baseline_ms)


def test_the_torch_backend_runs_a_fused_copy_and_leaves_model_and_threads_as_they_were():
    from gamsearch.baseline import start_model
    from gamsearch.detectors import Detector

    stock = start_model(Detector.load("yolov8n"), None, {0: "a"}, seed=0).train()
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in stock.modules())
    threads = torch.get_num_threads()
    latency = measure(stock, stock, 64, CPU, seconds=0.1)
    assert latency.measured_ms > 0
    assert sum(isinstance(m, nn.BatchNorm2d) for m in stock.modules()) == norms and stock.training
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_attention_costs_time_on_every_backend(backend):
    from gamsearch.architecture import Architecture, Placement
    from gamsearch.baseline import start_model
    from gamsearch.detectors import Detector
    from gamsearch.model import build_candidate

    detector = Detector.load("yolov8n")
    stock = start_model(detector, None, {0: "a"}, seed=0)
    placements = [Placement(s, "GAM", (("rate", 4),)) for s in (4, 6, 9)]
    attended = build_candidate(detector, Architecture.of("yolov8n", placements), stock, imgsz=64).model
    assert measure(attended, stock, 64, CPU, backend=backend, seconds=1.0).ratio > 1.05


def test_an_unknown_backend_names_those_there_are():
    with pytest.raises(OptionError, match="torch"):
        backend_named("tensorrt")
