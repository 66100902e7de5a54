"""Pareto front, hypervolume, reference point and knee, with one objective to maximise and one to minimise."""

import pytest

from gamsearch.analysis.pareto import front, hypervolume, knee, reference_point
from gamsearch.metrics import metric_named

OBJECTIVES = [metric_named("map50_95"), metric_named("latency_ms")]

#         map50_95, latency_ms
POINTS = [
    (0.30, 5.0),  # on the front
    (0.28, 6.0),  # dominated by the first
    (0.34, 8.0),  # on the front
    (0.34, 8.0),  # the same once more
    (0.30, 9.0),  # dominated by both
]


def test_the_front_keeps_what_nothing_dominates_and_all_exact_ties():
    assert front(POINTS, OBJECTIVES).tolist() == [True, False, True, True, False]


def test_without_points_there_is_no_front_and_no_volume():
    assert front([], OBJECTIVES).tolist() == [] and hypervolume([], (0.0, 10.0), OBJECTIVES) == 0


def test_the_hypervolume_is_the_area_of_the_staircase():
    """To (0, 10): 0.30 wide from 5 to 8 ms and 0.34 wide from 8 to 10 ms."""
    assert hypervolume(POINTS, (0.0, 10.0), OBJECTIVES) == pytest.approx(0.30 * 3 + 0.34 * 2)


def test_the_reference_point_is_worse_than_the_baseline_in_every_objective():
    assert reference_point([0.3, 5.0], OBJECTIVES) == (0.0, 10.0)


def test_the_knee_is_the_point_closest_to_the_ideal_one():
    """Scaled to 0..1, the middle point is 0.1 and 0.2 away from the best values; the others are 1 away."""
    assert knee([(0.30, 5.0), (0.39, 6.0), (0.40, 10.0)], OBJECTIVES) == 1
    assert knee([(0.30, 5.0)], OBJECTIVES) == 0
