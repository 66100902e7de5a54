"""Gate maps summed up over images: the mean, the change at objects, and their form in a file."""

import json
import math

import numpy as np
import pytest

from gamsearch.analysis.gate_maps import GateEffect, amount, summary, touched, unpacked

BOX = np.array([[0.25, 0.5, 0.25, 0.25]])  # of a map of 4 x 8: row 2, columns 2 and 3


def effect(at: float, elsewhere: float, shape: tuple[int, int] = (4, 8)) -> GateEffect:
    change = np.full(shape, elsewhere, dtype=np.float32)
    change[touched(shape, BOX)] = at
    return GateEffect(change, float(change.mean()), 1 + elsewhere, (0.2, 0.3, 0.9))


def test_the_cells_that_a_box_touches_count_as_its_own():
    assert np.argwhere(touched((4, 8), BOX)).tolist() == [[2, 2], [2, 3]]
    assert touched((2, 2), np.array([[0.9, 0.9, 0.5, 0.01]])).tolist() == [[False, False], [False, True]]


def test_the_change_at_objects_is_compared_with_an_interval_over_the_images():
    ratios = [1.5, 2.0, 2.5, 2.0]
    found = summary([effect(0.1 * r, 0.1) for r in ratios], [BOX] * 4, [0])["objects"]
    assert found[0] == pytest.approx(math.exp(np.mean(np.log(ratios))), abs=1e-3) and found[1] < found[0] < found[2]
    assert summary([effect(0.2, 0.1)], [BOX], [0])["objects"] is None  # one image has no interval
    everywhere = np.array([[0.0, 0.0, 1.0, 1.0]])
    assert summary([effect(0.2, 0.1)] * 3, [everywhere] * 3, [0])["objects"] is None


def test_a_summary_survives_json_and_its_maps_keep_their_places():
    form = json.loads(json.dumps(summary([effect(0.4, 0.0), effect(0.2, 0.0)], [BOX, BOX], [1, 0])))
    mean, (weaker, stronger) = unpacked(form["mean"]), map(unpacked, form["maps"])
    assert np.argwhere(mean == 255).tolist() == [[2, 2], [2, 3]] and (mean > 0).sum() == 2
    assert (stronger[2, 2], weaker[2, 2]) == (255, 128)  # the images share one scale
    assert form["distance"] == pytest.approx((0.4 + 0.2) / 2 * 2 / 32)


def test_maps_of_other_shapes_are_averaged_in_the_most_frequent_one():
    form = summary([effect(0.1, 0.1), effect(0.3, 0.3, (8, 4)), effect(0.1, 0.1)], [BOX] * 3, [])
    assert form["mean"]["size"] == [4, 8] and form["mean"]["mean"] == pytest.approx(0.5 / 3, abs=1e-6)


def test_a_module_that_changes_nothing_has_no_maps_and_one_that_is_not_finite_is_refused():
    still = GateEffect(np.zeros((4, 8), np.float32), 0.0, 1.0, (0.0, 0.0, 0.0))
    form = summary([still, still], [BOX, BOX], [0, 1])
    assert (form["distance"], form["mean"], form["maps"], form["objects"]) == (0, None, [], None)
    with pytest.raises(ValueError, match="not finite"):
        summary([GateEffect(still.change, math.nan, 1.0, (0.0, 0.0, 0.0))], [BOX], [])


@pytest.mark.parametrize(
    "damage", [{"cells": "?"}, {"cells": "AAAA"}, {"size": [0, 0]}, {"size": [10**9, 1]}, {"size": [4]}, {"size": None}]
)
def test_a_damaged_map_is_refused(damage):
    form = summary([effect(0.2, 0.1)] * 2, [BOX] * 2, [0])["mean"]
    assert unpacked(form).shape == (4, 8)
    with pytest.raises((ValueError, TypeError)):
        unpacked({**form, **damage})


def test_changes_are_written_with_the_digits_that_they_need():
    assert [amount(v) for v in (0, 1e-5, 0.0004, 0.032, 0.123, 2.0, 182.02)] == [
        *("0 %", "under 0.01 %", "0.04 %", "3.2 %", "12 %", "200 %", "182 times")
    ]
