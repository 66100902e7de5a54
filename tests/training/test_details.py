"""Average precision per object size, and the matches of several images in one file."""

import numpy as np
import pytest

from gamsearch.training.details import SIZES, joined, per_size


def test_ap_per_size_considers_only_objects_of_that_size():
    small, large = [10.0, 10.0, 20.0, 20.0], [100.0, 100.0, 150.0, 150.0]
    image = {
        "target_box": np.array([small, large]),
        "target_cls": np.array([0, 0]),
        "box": np.array([small]),
        "conf": np.array([0.9], dtype=np.float32),
        "cls": np.array([0]),
        "tp": np.ones((1, 10), dtype=bool),
    }
    assert per_size([image]) == pytest.approx({"small": 1.0, "medium": None, "large": 0.0})
    nothing = {**image, "box": np.zeros((0, 4)), "conf": np.zeros(0), "cls": np.zeros(0, int), "tp": np.zeros((0, 10))}
    assert per_size([nothing]) == {"small": 0.0, "medium": None, "large": 0.0}
    assert per_size([{**nothing, "target_box": np.zeros((0, 4)), "target_cls": np.zeros(0, int)}]) == dict.fromkeys(
        SIZES
    )
    assert joined([image, nothing])["pred_image"].tolist() == [0]
    assert joined([nothing, image])["target_image"].tolist() == [0, 0, 1, 1]
