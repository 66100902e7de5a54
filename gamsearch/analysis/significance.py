"""What paired seeds show: intervals, Holm's correction, the noise floor.

Differences are candidate minus baseline at the same seed, as fractions of the primary metric. The tests are two-sided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
from scipy import stats

from gamsearch.analysis.power import ALPHA, seeds_needed

EQUAL = 1e-9
"""Differences that spread by less than this are rounding, not noise."""

BETTER, WORSE, UNCLEAR, UNKNOWN = "better", "worse", "not distinguishable", "unknown"


@dataclass(frozen=True)
class Estimate:
    """A mean of `count` values with the interval `low` to `high`, both NaN if the noise cannot be estimated."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class PairedTest(Estimate):
    """What the paired `differences` of one finalist show, in a family of `comparisons` finalists.

    Attributes:
        differences: Candidate minus baseline, by seed.
        sd: Standard deviation of a difference.
        p: Two-sided p-value.
        p_holm: The adjusted p-value, to be compared with `ALPHA`.
        level: The level at which Holm tests this finalist. The interval has confidence `1 - level`, so it excludes zero
            exactly if `claim` is `better` or `worse`.
        comparisons: Number of finalists in the family.
        rows: Number of finalists whose differences `sd` is estimated from.
        claim: `BETTER`, `WORSE`, `UNCLEAR` or `UNKNOWN`.
        reason: Why the claim is `UNKNOWN`, or an empty string.
    """

    differences: tuple[float, ...]
    sd: float
    p: float
    p_holm: float
    level: float
    comparisons: int
    rows: int
    claim: str
    reason: str

    @property
    def seeds_needed(self) -> int | None:
        """Seeds that detect a true `EFFECT` with probability `POWER` at this level; None if sd is unknown."""
        return None if self.reason else seeds_needed(self.sd, level=self.level, rows=self.rows)


@dataclass(frozen=True)
class NoiseFloor:
    """Sample standard deviation over `seeds` trainings that differ in the seed alone; 95 % interval by chi-square."""

    sd: float
    low: float
    high: float
    seeds: int


def paired(candidate: Mapping[int, float], baseline: Mapping[int, float]) -> tuple[float, ...]:
    """Differences `candidate - baseline` at the seeds for which both are finite, ordered by seed."""
    shared = sorted(
        seed for seed in candidate.keys() & baseline.keys() if isfinite(candidate[seed]) and isfinite(baseline[seed])
    )
    return tuple(float(candidate[seed] - baseline[seed]) for seed in shared)


def why_untestable(differences: Sequence[float]) -> str:
    """Why the noise of the differences cannot be estimated, or an empty string."""
    if len(differences) < 2:
        return "fewer than two paired seeds"
    if np.ptp(differences) <= EQUAL:
        return "all paired differences are equal, so the noise cannot be estimated"
    return ""


def estimate(values: Sequence[float], level: float = ALPHA) -> Estimate:
    """Estimate a mean.

    Args:
        values: The sample.
        level: One minus the confidence level.

    Returns:
        The mean (NaN without values) with Student's t interval.
    """
    count = len(values)
    mean = float(np.mean(values)) if count else nan
    if why_untestable(values):
        return Estimate(mean, nan, nan, count)
    half = float(stats.t.isf(level / 2, count - 1) * np.std(values, ddof=1) / sqrt(count))
    return Estimate(mean, mean - half, mean + half, count)


def spread(samples: Sequence[Sequence[float]]) -> float:
    """Standard deviation of a difference from the residuals of a randomised block design (Montgomery, ch. 4).

    The seeds are the blocks; the rows are the baseline and the finalists, whose differences from it at the same seeds
    are the `samples` (`k x n`). It has k (n - 1) degrees of freedom. For one finalist it is the sd of its differences.
    """
    rows = np.vstack([np.zeros(len(samples[0])), np.asarray(samples, dtype=float)])
    residuals = rows - rows.mean(axis=0) - rows.mean(axis=1, keepdims=True) + rows.mean()
    return float(np.sqrt(2 * np.sum(residuals**2) / (len(samples) * (rows.shape[1] - 1))))


@dataclass(frozen=True)
class _Test:
    """The t test of one sample: the sd of a difference, and how many finalists it is estimated from."""

    sample: tuple[float, ...]
    sd: float
    rows: int

    @property
    def freedom(self) -> int:
        return self.rows * (len(self.sample) - 1)

    @property
    def error(self) -> float:
        return self.sd / sqrt(len(self.sample))

    @property
    def p(self) -> float:
        """Two-sided p-value; 1, which never leads to a claim, if the noise cannot be estimated."""
        if why_untestable(self.sample):
            return 1.0
        return float(2 * stats.t.sf(abs(float(np.mean(self.sample))) / self.error, self.freedom))


def _tests(samples: Sequence[Sequence[float]], blocked: bool) -> list[_Test]:
    testable = [sample for sample in samples if not why_untestable(sample)]
    together = blocked and len({len(sample) for sample in testable}) == 1
    common = spread(testable) if together else 0.0
    tests = []
    for sample in samples:
        own = nan if why_untestable(sample) else float(np.std(sample, ddof=1))
        tests.append(_Test(tuple(sample), max(own, common), len(testable) if together else 1))
    return tests


def holm(p_values: Sequence[float], alpha: float = ALPHA) -> list[tuple[float, float]]:
    """Return for each p-value the level at which Holm (1979) tests it and its adjusted p-value.

    The j-th smallest of k is tested at `alpha / (k - j + 1)`; the level stays once one is not rejected.
    The adjusted value is at most `alpha` exactly if the p-value is at most its level.
    """
    count = len(p_values)
    steps = [(nan, nan)] * count
    rejecting, left, adjusted = True, count, 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        left = count - rank if rejecting else left
        adjusted = max(adjusted, min(1.0, p_values[index] * (count - rank)))
        steps[index] = (alpha / left, adjusted)
        rejecting = rejecting and p_values[index] <= alpha / left
    return steps


def paired_tests(samples: Sequence[Sequence[float]], alpha: float = ALPHA, blocked: bool = False) -> list[PairedTest]:
    """Test the paired differences of each finalist of a family, Holm-corrected for all of them.

    The probability of any wrong claim is at most `alpha`. A finalist that cannot be tested yet counts in the family.
    With `blocked`, all samples have the same seeds in the same order, and their noise is pooled (see `spread`), which
    has more power with few seeds; a finalist that varies more than that is tested against its own noise.
    """
    tests = _tests(samples, blocked)
    steps = holm([test.p for test in tests], alpha)
    return [_paired_test(test, *step, len(samples)) for test, step in zip(tests, steps, strict=True)]


def _paired_test(test: _Test, level: float, adjusted: float, comparisons: int) -> PairedTest:
    reason, p = why_untestable(test.sample), test.p
    mean = float(np.mean(test.sample)) if test.sample else nan
    half = nan if reason else float(stats.t.isf(level / 2, test.freedom) * test.error)
    claim = UNKNOWN if reason else UNCLEAR
    if p <= level and not reason:
        claim = BETTER if mean > 0 else WORSE
    return PairedTest(
        *(mean, mean - half, mean + half, len(test.sample)),
        differences=test.sample,
        sd=nan if reason else test.sd,
        p=p,
        p_holm=adjusted,
        level=level,
        comparisons=comparisons,
        rows=test.rows,
        claim=claim,
        reason=reason,
    )


def noise_floor(values: Sequence[float]) -> NoiseFloor | None:
    """Spread of the baseline over seeds; None if fewer than two values are finite or all are equal."""
    finite = [float(value) for value in values if isfinite(value)]
    if why_untestable(finite):
        return None
    sd, freedom = float(np.std(finite, ddof=1)), len(finite) - 1
    high, low = (sd * sqrt(freedom / stats.chi2.ppf(q, freedom)) for q in (0.025, 0.975))
    return NoiseFloor(sd, float(low), float(high), len(finite))
