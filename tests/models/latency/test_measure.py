"""Paired measurements: the ratio of two networks, whatever the speed of the machine from pass to pass."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from gamsearch.models.latency.backends import BACKENDS, LatencyBackend, Network
from gamsearch.models.latency.measure import measure, paired_passes

CPU = torch.device("cpu")


@pytest.fixture
def busy():
    """A backend whose models state their own duration, so that only the measurement is tested."""

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


def test_a_machine_whose_speed_changes_between_passes_does_not_change_the_ratio():
    speed = np.random.default_rng(0).uniform(1, 5, (2, 40, 1))
    candidate = (
        np.array([1.0, 1.0, 2.0, 1.0, 1.0, 0.5]) * speed[0]
    )  # the third row is attention, the last value the rest
    baseline = np.array([1.0, 1.0, 1.0, 1.0, 0.5]) * speed[1]
    yardsticks = np.array([1, 1, 0, 0, 1, 0], bool)[:-1], np.array([1, 1, 0, 1], bool)
    assert paired_passes(list(candidate), list(baseline), yardsticks).ratio == pytest.approx(6.5 / 4.5)
    assert paired_passes(list(candidate), list(baseline), None).ratio != pytest.approx(6.5 / 4.5, rel=0.01)
