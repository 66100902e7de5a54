"""The comparison of exported files with the trial's model."""

from pathlib import Path

import pytest
import torch

from gamsearch.errors import ModelError
from gamsearch.runs.exported_files import TOLERANCE, Exported, compare


class Doubling(torch.nn.Module):
    """Stands for a detector: its predictions are its input times a factor."""

    def __init__(self, factor: float = 2.0):
        super().__init__()
        self.factor = factor

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * self.factor


def test_equal_predictions_differ_by_nothing():
    assert compare(Doubling(), Doubling(), (32, 64), Path("a.onnx")) == 0


def test_a_small_difference_is_returned_relative_to_the_largest_prediction():
    assert compare(Doubling(2.0), Doubling(2.001), (32,), Path("a.onnx")) == pytest.approx(0.0005, rel=0.01)


@pytest.mark.parametrize("factor", [2.0 * (1 + 2 * TOLERANCE), float("nan")])
def test_a_difference_above_the_tolerance_or_nan_is_refused(factor):
    with pytest.raises(ModelError, match=r"a\.onnx differs from the trial's model by .* do not use it"):
        compare(Doubling(), Doubling(factor), (32,), Path("a.onnx"))


def test_a_file_that_cannot_be_run_is_reported_without_a_difference():
    assert Exported(Path("gam.py"), None, "import it").line == "wrote gam.py  (import it)"
    assert Exported(Path("a.pt"), 1e-6, "reloaded").line == "wrote a.pt  (reloaded: largest relative difference 1e-06)"
