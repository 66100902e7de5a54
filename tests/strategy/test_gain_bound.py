"""The upper bound on final gains."""

import numpy as np

from gamsearch.strategy.gain_bound import upper_bound


def test_the_bound_holds_for_slow_starters():
    """Costly architectures start slower; a bound from the gain alone would stop them."""
    rng, broken = np.random.default_rng(0), 0
    for _ in range(200):
        cost = rng.uniform(0, 1, 31)
        final = 0.05 * cost + rng.normal(0, 0.004, 31)
        early = final * (1 - 0.8 * cost) + rng.normal(0, 0.002, 31)
        rows = np.column_stack([early, cost, final])
        broken += upper_bound(rows[:-1], rows[-1, :2], alpha=0.02) < final[-1]
    assert broken / 200 < 0.07
