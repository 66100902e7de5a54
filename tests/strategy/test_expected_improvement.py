"""Expected improvement of a front."""

import numpy as np
import pytest
from support.curves import OBJECTIVES

from gamsearch.metrics import metric_named
from gamsearch.strategy.expected_improvement import Front, improvement_per_epoch

FRONT = Front(tuple(metric_named(name) for name in OBJECTIVES), [[0.4, 10.0]], (0.3, 20.0), (0.4 - 0.3) * 10, 0.4)


def test_a_gain_adds_the_area_that_it_dominates_and_a_loss_at_equal_cost_adds_none():
    assert FRONT.improvement({"latency_ms": 10.0}, 0.01) == pytest.approx(0.01 * 10)
    assert FRONT.improvement({"latency_ms": 15.0}, 0.01) == pytest.approx(0.01 * 5)
    assert FRONT.improvement({"latency_ms": 10.0}, -0.01) == pytest.approx(0)


def test_half_as_many_remaining_epochs_are_worth_twice_as_much():
    built, mean, sd = [{"latency_ms": 12.0}], np.array([0.02]), np.array([0.01])
    whole, half = (improvement_per_epoch(FRONT, built, [epochs], mean, sd)[0] for epochs in (10, 5))
    assert half == pytest.approx(2 * whole) and whole > 0


def test_what_cannot_be_the_best_is_not_averaged():
    calls = []

    class Counting(Front):
        def improvement(self, built, gain):
            calls.append(gain)
            return super().improvement(built, gain)

    counting = Counting(**vars(FRONT))
    mean, sd = np.array([0.05, -0.2, -0.2]), np.full(3, 0.01)
    improvement_per_epoch(counting, [{"latency_ms": 12.0}] * 3, [10] * 3, mean, sd)
    assert len(calls) == 3 + 8
