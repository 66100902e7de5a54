"""Latency: in turns, by the rows that both networks share, in CPU time; summarised by the ratio."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from gamsearch.attention.gam import GAM
from gamsearch.errors import OptionError
from gamsearch.models.latency.backends import BACKENDS, LatencyBackend, Network, backend_named, resolved
from gamsearch.models.latency.clock import Clock
from gamsearch.models.latency.measure import measure, paired_passes
from gamsearch.models.latency.yardstick import yardstick_rows

CPU = torch.device("cpu")


@pytest.fixture
def busy():
    """A backend whose models say how long they compute, so that the measurement itself is what is tested."""

    def spin(seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    def prepare(model, imgsz, device):
        """Spin."""
        return Network(lambda: spin(model.seconds))

    with BACKENDS.temporarily("busy", LatencyBackend("busy", prepare)):
        yield "busy"


def model(seconds: float) -> nn.Module:
    module = nn.Identity()
    module.seconds = seconds
    return module


def test_the_ratio_is_that_of_the_models_and_the_reference_scales_it(busy):
    latency = measure(model(0.004), model(0.002), 64, CPU, reference_ms=10.0, backend=busy, seconds=0.15)
    assert 1.9 < latency.ratio < 2.1
    assert latency.latency_ms == pytest.approx(10.0 * latency.ratio)
    assert latency.ratio_low <= latency.ratio <= latency.ratio_high
    assert (latency.backend, latency.precision, latency.imgsz) == ("busy", "fp32", 64)
    assert latency.clock == "thread CPU" and latency.rounds >= 20


def test_without_rows_the_ratio_is_that_of_whole_passes(busy):
    latency = measure(model(0.001), model(0.001), 64, CPU, backend=busy, seconds=0.05)
    assert (latency.ratio, latency.ratio_low) == (latency.paired_ratio, latency.paired_low)
    assert latency.latency_ms == pytest.approx(latency.ratio * latency.baseline_ms)


def test_time_in_which_another_process_has_the_core_is_not_counted():
    clock = Clock(CPU)
    before = clock.stamp()
    time.sleep(0.05)
    assert clock.between([before, clock.stamp()])[0] < 10
    wall = Clock(CPU, threads=2)
    before = wall.stamp()
    time.sleep(0.05)
    assert wall.name == "wall" and wall.between([before, wall.stamp()])[0] >= 50


def test_a_machine_whose_speed_changes_from_pass_to_pass_does_not_move_the_ratio():
    speed = np.random.default_rng(0).uniform(1, 5, (2, 40, 1))
    ours = np.array([1.0, 1.0, 2.0, 1.0, 1.0, 0.5]) * speed[0]  # the third row is attention, the last the rest
    theirs = np.array([1.0, 1.0, 1.0, 1.0, 0.5]) * speed[1]
    yardsticks = np.array([1, 1, 0, 0, 1, 0], bool)[:-1], np.array([1, 1, 0, 1], bool)
    assert paired_passes(list(ours), list(theirs), yardsticks).ratio == pytest.approx(6.5 / 4.5)
    assert paired_passes(list(ours), list(theirs), None).ratio != pytest.approx(6.5 / 4.5, rel=0.01)


def test_the_two_rows_after_attention_are_no_part_of_the_yardstick_in_either_network_but_the_head_always_is():
    def rows(*attended: int) -> list[nn.Module]:
        stock: list[nn.Module] = []
        for site in range(7):
            stock += [nn.Identity(), *([GAM(8)] if site in attended else [])]
        return stock

    ours, theirs = yardstick_rows(rows(1), rows())
    assert theirs.tolist() == [True, True, False, False, True, True, True]
    assert ours.tolist() == [True, True, False, False, False, True, True, True]
    ours, theirs = yardstick_rows(rows(4), rows())
    assert theirs.tolist() == [True, True, True, True, True, False, True]
    assert yardstick_rows(rows(0, 2, 4), rows()) is None, "two rows are no yardstick"
    assert yardstick_rows(rows(1), rows()[:-1]) is None, "rows that do not correspond"


def test_the_torch_backend_runs_a_fused_copy_and_leaves_model_and_threads_as_they_were():
    from gamsearch.space.detector import Detector
    from gamsearch.training.baseline import start_model

    stock = start_model(Detector.load("yolov8n"), None, {0: "a"}, seed=0).train()
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in stock.modules())
    threads = torch.get_num_threads()
    latency = measure(stock, stock, 64, CPU, seconds=0.1)
    assert latency.measured_ms > 0 and latency.backend == "torch"
    assert latency.ratio == pytest.approx(1.0, abs=0.05)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in stock.modules()) == norms and stock.training
    assert not any(m._forward_hooks for m in stock.modules())
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_attention_costs_time_on_every_backend(backend):
    from gamsearch.architecture import Architecture, Placement
    from gamsearch.models.candidate import build_candidate
    from gamsearch.space.detector import Detector
    from gamsearch.training.baseline import start_model

    detector = Detector.load("yolov8n")
    stock = start_model(detector, None, {0: "a"}, seed=0)
    placements = [Placement(s, "GAM", (("rate", 4),)) for s in (4, 6, 9)]
    attended = build_candidate(detector, Architecture.of("yolov8n", placements), stock, imgsz=64).model
    assert measure(attended, stock, 64, CPU, backend=backend, seconds=1.0).ratio > 1.05


def test_an_unknown_backend_names_those_there_are():
    with pytest.raises(OptionError, match="auto, torch, cudagraph"):
        backend_named("tensorrt")


def test_what_is_measured_by_default_depends_on_the_device_and_is_refused_where_it_cannot_be():
    cuda = torch.device("cuda", 0)
    assert resolved("auto", CPU) == "torch" and resolved("auto", cuda) == "cudagraph"
    assert resolved("torch", cuda) == "torch" and resolved("onnxruntime", CPU) == "onnxruntime"
    for name, device in ("cudagraph", CPU), ("onnxruntime", cuda):
        with pytest.raises(OptionError, match="use --latency torch"):
            resolved(name, device)
