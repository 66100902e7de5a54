"""The arms of a verification."""

import pytest

from gamsearch.errors import OptionError
from gamsearch.runs.arms import VerifyOptions, next_scale


@pytest.mark.parametrize("small", [{"top": 0}, {"seeds": 1}, {"epochs": 0}])
def test_numbers_that_are_too_small_are_refused(small):
    with pytest.raises(OptionError, match=f"--{next(iter(small))} must be at least"):
        VerifyOptions(**small).check()


@pytest.mark.parametrize(
    ("model", "larger"),
    [
        ("yolov8n.yaml", "yolov8s.yaml"),
        ("yolov8l.pt", "yolov8x.pt"),
        ("yolov8m-p2.yaml", "yolov8l-p2.yaml"),
        ("yolo11n", "yolo11s"),
        ("yolov5nu.pt", "yolov5su.pt"),
        ("yolov9t.yaml", "yolov9s.yaml"),
        ("yolov9m.yaml", "yolov9c.yaml"),
        ("yolov10m", "yolov10b"),
    ],
)
def test_the_next_scale_of_a_stock_detector_is_known(model, larger):
    assert next_scale(model) == larger


@pytest.mark.parametrize("model", ["yolov8x.yaml", "mine.pt", "best.pt"])
def test_an_unknown_next_scale_must_be_named(model):
    with pytest.raises(OptionError, match="--scale-up"):
        next_scale(model)
