"""Predictions of two detectors compared: curves as Ultralytics computes them, boxes without a counterpart."""

import numpy as np
import pytest

from gamsearch.analysis.image_bootstrap import Detections
from gamsearch.analysis.prediction_comparison import chosen_images, curves, kept, unmatched


def image(boxes, cls, conf, right, objects=1):
    return {
        "box": np.array(boxes, float).reshape(-1, 4),
        "cls": np.array(cls, int),
        "conf": np.array(conf, float),
        "tp": np.repeat(np.array(right, bool).reshape(-1, 1), 10, axis=1),
        "target_cls": np.zeros(objects, int),
    }


def test_the_mean_precision_is_ultralytics_average_precision():
    from ultralytics.utils.metrics import ap_per_class

    rng = np.random.default_rng(1)
    named, conf, hits = rng.integers(0, 2, 200), rng.uniform(size=200).astype(np.float32), rng.uniform(size=200) < 0.4
    tp, targets = np.repeat(hits[:, None], 10, axis=1), rng.integers(0, 2, 120)
    zeros = np.zeros(200, int)
    found = curves(Detections(tp, conf, named, zeros, targets, np.zeros(120, int), 1))
    ap = ap_per_class(tp, conf, named, targets)[5][:, 0]
    assert found.map50 == pytest.approx(ap, abs=1e-6)
    assert (found.precision[:, 1:] + found.precision[:, :-1]).sum(axis=1) / 200 == pytest.approx(ap, abs=0.01)


def test_without_predictions_the_curve_is_zero():
    nothing = Detections(
        np.zeros((0, 10), bool), np.zeros(0), np.zeros(0, int), np.zeros(0, int), np.zeros(3, int), np.zeros(3, int), 1
    )
    found = curves(nothing)
    assert found.precision.tolist() == [[0.0] * 101] and found.threshold == 1.0


def test_a_box_has_a_counterpart_of_its_class_only_and_each_is_used_once():
    first = kept(image([(0, 0, 10, 10), (1, 0, 10, 10), (50, 50, 8, 8)], [0, 0, 1], [0.9] * 3, [1, 0, 1]), 0.5)
    second = kept(image([(0, 0, 10, 10), (50, 50, 8, 8)], [0, 0], [0.9, 0.9], [1, 1]), 0.5)
    assert unmatched(first, second).tolist() == [False, True, True]
    assert unmatched(second, first).tolist() == [False, True]
    assert unmatched(first, kept(image([], [], [], []), 0.5)).tolist() == [True] * 3


def test_images_with_the_largest_gain_and_loss_are_chosen_in_turn():
    right, wrong = image([(0, 0, 9, 9)], [0], [0.9], [1]), image([(0, 0, 9, 9)], [0], [0.9], [0])
    first, second = [right, wrong, right], [right, right, wrong]
    assert chosen_images(first, second, (0.5, 0.5), 2) == [1, 2]
    assert chosen_images(first, second, (0.5, 0.5), 9) == [1, 2, 0]
