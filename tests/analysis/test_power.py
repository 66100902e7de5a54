"""The seeds that a paired t test needs, against its power and the textbook."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gamsearch.analysis.power import ALPHA, power, seeds_needed


@pytest.mark.parametrize("level", [ALPHA, ALPHA / 3])
@given(sd=st.floats(1e-5, 0.2))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_the_seeds_needed_are_the_fewest_that_reach_the_power(level, sd):
    needed = seeds_needed(sd, level=level)
    assert power(0.005, sd, needed, level) >= 0.8
    assert needed == 2 or power(0.005, sd, needed - 1, level) < 0.8


def test_a_noise_as_large_as_the_effect_needs_ten_seeds():
    """The textbook value for a paired t test, effect size 1, 5 % two-sided, 80 % power."""
    assert seeds_needed(0.005) == 10
    assert seeds_needed(0.005, level=ALPHA / 3) == 14
