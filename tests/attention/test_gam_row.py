"""GAM rows: which copied rows are understood, and which are rejected."""

import inspect

import pytest

from gamsearch.attention.gam import GAM
from gamsearch.attention.gam_row import GAMError, read_row


@pytest.mark.parametrize(
    ("row", "meaning"),
    [([512], (4, 1)), ([512, 512, 4], (4, 1)), ([512, 16], (16, 1)), ([64, 32], (32, 1)), ([512, 16, 4], (16, 4))],
)
def test_copied_rows_are_understood(row, meaning):
    defaults = list(inspect.signature(GAM).parameters.values())[len(row) :]
    assert read_row(*row, *(p.default for p in defaults)) == meaning


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ([], "write \\[c2\\]"),
        ([512, 512], "different modules in different repositories"),
        ([64, 64], "different modules in different repositories"),
        ([32, 32, 4], "different modules in different repositories"),
        ([4], "different modules in different repositories"),
        ([512, 512, True, 4], "groups of a GAM must be a whole number, not True"),
        ([512, 512, 4, 4], "fourth argument .* is shuffle"),
        ([512, 256], "looks like a channel count"),
        ([1024, 512, 4], "looks like a channel count"),
        ([2], "rate of a GAM must be smaller"),
        ([16, 32], "rate of a GAM must be smaller"),
        ([64, 0], "from 1 to 64, not 0"),
        ([64, -4], "from 1 to 64, not -4"),
        ([64, 4.0], "must be a whole number, not 4.0"),
        (["c2"], "must be a whole number, not 'c2'"),
        ([64, 16, 8], "groups of a GAM must divide"),
        ([64, 4, 0], "groups of a GAM must divide"),
        ([64, 4, 1, False, "reflect"], "padding of a GAM must be replicate or zeros, not 'reflect'"),
        ([64, 4, 1, False, "zeros", "softmax"], "channel_gate of a GAM must be none or sigmoid"),
        ([64, 4, 1, False, "zeros", "none", "zero"], "init of a GAM must be identity or reference"),
    ],
)
def test_ambiguous_and_illegal_rows_are_rejected_in_one_sentence(row, sentence):
    with pytest.raises(GAMError, match=sentence) as error:
        GAM(*row)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, ValueError)
