"""Agreement of two rankings: Kendall's tau-b."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from scipy import stats


@dataclass(frozen=True)
class Agreement:
    """Kendall's `tau` (b) of `count` pairs with its two-sided `p`."""

    tau: float
    p: float
    count: int


def agreement(searched: Sequence[float], verified: Sequence[float]) -> Agreement | None:
    """Return Kendall's tau of the gains in the search and the verified gains.

    Args:
        searched: Gain of each finalist in the search, as a fraction.
        verified: Its verified gain.

    Returns:
        The agreement, or None if fewer than three pairs are finite or all are tied.
    """
    pairs = [(s, v) for s, v in zip(searched, verified, strict=True) if isfinite(s) and isfinite(v)]
    if len(pairs) < 3:
        return None
    found = stats.kendalltau(*zip(*pairs, strict=True))
    return Agreement(float(found.statistic), float(found.pvalue), len(pairs)) if isfinite(found.statistic) else None
