"""The scans of digits and how they are painted."""

import numpy as np
import pytest

from gamsearch.runs import digits


def test_a_mask_is_cropped_to_its_visible_part():
    mask = np.zeros((6, 8))
    mask[2:4, 3:7] = 1.0
    mask[0, 0] = digits.INK / 2  # too faint to be visible
    assert digits.tight(mask).shape == (2, 4)


@pytest.mark.parametrize(
    ("box", "is_free"), [((0, 0, 4, 4), True), ((0, 0, 5, 5), False), ((6, 6, 8, 8), False), ((12, 5, 15, 9), True)]
)
def test_boxes_keep_one_pixel_between_them(box, is_free):
    assert digits.free(box, [(5, 5, 10, 10)]) is is_free
    assert digits.free(box, [])


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_mask_is_painted_with_contrast_where_it_is_opaque_and_nowhere_else(level):
    under, mask = np.full((4, 4, 3), level), np.zeros((4, 4))
    mask[1:3, 1:3] = 1.0
    painted = digits.inked(under, mask, np.random.default_rng(0))
    assert np.array_equal(painted[mask == 0], under[mask == 0])
    assert abs(painted[mask == 1].mean() - level) > digits.CONTRAST[0] - 0.12


def test_train_and_val_share_no_scan() -> None:
    one_round = {split: digits.scans(split, 0, np.random.default_rng(0)) for split in ("train", "val")}
    train, val = (
        {next(one_round[split])[0].tobytes() for _ in range(count)} for split, count in (("train", 1348), ("val", 449))
    )
    assert len(train) + len(val) > 1700
    assert not train & val
