"""The power of paired t tests: what they are designed to detect, and how many seeds that takes."""

from math import sqrt

from scipy import stats

ALPHA = 0.05
"""Largest probability of any wrong claim in a family of finalists."""

EFFECT = 0.005
"""The smallest difference worth detecting: half a point of the primary metric."""

POWER = 0.8
"""Probability with which a true difference of `EFFECT` is to be claimed."""


def power(effect: float, sd: float, pairs: int, level: float = ALPHA, rows: int = 1) -> float:
    """Probability that a true difference is claimed with its sign, by the noncentral t distribution.

    `sd` is that of a paired difference, estimated from `rows` finalists; `level` is the two-sided level of the test.
    """
    freedom = rows * (pairs - 1)
    return float(stats.nct.sf(stats.t.isf(level / 2, freedom), freedom, abs(effect) / sd * sqrt(pairs)))


def seeds_needed(sd: float, effect: float = EFFECT, level: float = ALPHA, target: float = POWER, rows: int = 1) -> int:
    """Fewest paired seeds with which `effect` is claimed with probability `target`; `sd` is that of a difference."""
    quantiles = stats.norm.isf(level / 2) + stats.norm.ppf(target)
    pairs = max(2, int((quantiles * sd / effect) ** 2))  # the normal distribution needs no more than t
    while power(effect, sd, pairs, level, rows) < target:
        pairs += 1
    return pairs
