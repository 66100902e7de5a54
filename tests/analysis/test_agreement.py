"""Whether the search ranked the finalists as the verification does."""

from math import nan

import pytest

from gamsearch.analysis.agreement import agreement


def test_the_agreement_of_search_gains_and_verified_gains_is_kendalls_tau():
    found = agreement([0.01, 0.02, 0.03, 0.04, nan], [0.0, 0.02, 0.01, 0.03, 0.5])
    assert (found.tau, found.count) == (pytest.approx(4 / 6), 4) and 0 < found.p < 1


@pytest.mark.parametrize(("searched", "verified"), [([1, 2], [1, 2]), ([1, 2, nan], [1, 2, 3]), ([1, 1, 1], [1, 2, 3])])
def test_too_few_or_equal_gains_have_no_tau(searched, verified):
    assert agreement(searched, verified) is None
