"""Expected improvement of a front."""

from dataclasses import replace

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
    built, gains = [{"latency_ms": 12.0}] * 2, np.array([0.02, 0.02])
    values = improvement_per_epoch(FRONT, built, [10, 5], gains, np.array([0.01, 0.01]))
    assert values[1] > 0 and values[0] in (0, pytest.approx(values[1] / 2))


def test_what_cannot_be_the_best_is_not_averaged():
    calls = []

    class Counting(Front):
        def improvement(self, built, gain):
            calls.append(gain)
            return super().improvement(built, gain)

    counting = Counting(**{name: getattr(FRONT, name) for name in vars(FRONT)})
    improvement_per_epoch(
        counting, [{"latency_ms": 12.0}] * 3, [10] * 3, np.array([0.05, -0.2, -0.2]), np.full(3, 0.01)
    )
    assert len(calls) == 3 + 8
    assert replace(counting) == counting
