"""Agreement of two rankings of the same architectures, with 95 % percentile bootstrap intervals over architectures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gamsearch.architecture import Architecture

RESAMPLES = 1000

Matrix = NDArray[np.float64]
Weights = NDArray[np.int64]
Interval = tuple[float, float, float]
"""A figure with the bounds of its interval."""


def resampled(count: int, rng: np.random.Generator) -> Weights:
    """How often each of `count` architectures occurs in each bootstrap sample, `samples x count`."""
    return rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)


def tau(pairs: list[tuple[Matrix, Matrix]], rng: np.random.Generator) -> dict[str, Any]:
    """Mean tau-b over pairs of rankings of the same architectures, with an interval; NaN if one is constant."""
    weights = resampled(len(pairs[0][0]), rng)
    samples = np.mean([weighted_tau(x, y, weights) for x, y in pairs], axis=0)
    low, high = _bounds(samples)
    value = float(np.mean([stats.kendalltau(x, y).statistic for x, y in pairs]))
    return {"tau": value, "low": low, "high": high}


def weighted_tau(x: Matrix, y: Matrix, weights: Weights) -> Matrix:
    """Tau-b of bootstrap samples; `weights` (`samples x n`) is the number of times each architecture occurs."""
    above_x, above_y = _signs(x), _signs(y)
    with np.errstate(invalid="ignore"):  # a sample may contain a single architecture
        found: Matrix = _total(above_x * above_y, weights) / np.sqrt(
            _total(above_x**2, weights) * _total(above_y**2, weights)
        )
    return found


def sites_gate(
    score: Matrix, gains: Matrix, architectures: Sequence[Architecture], rng: np.random.Generator
) -> Interval:
    """Share of concordant pairs among architectures with equally many modules at different sites, with an interval.

    A tie counts one half: 1 is every pair in the right order, 0.5 is what a coin or a constant reaches. NaN if there is
    no such pair.
    """
    sites = [tuple(p.site for p in architecture.placements) for architecture in architectures]
    pairs = np.array([[len(a) == len(b) and a != b for b in sites] for a in sites], dtype=float)
    right = pairs * (1 + _signs(score) * _signs(gains)) / 2
    weights = np.vstack([np.ones(len(sites), dtype=int), resampled(len(sites), rng)])
    with np.errstate(invalid="ignore"):
        value, *samples = _total(right, weights) / _total(pairs, weights)
    return float(value), *_bounds(np.array(samples))


def _bounds(samples: Matrix) -> tuple[float, float]:
    """The middle 95 % of the samples that are defined; NaN if none is."""
    defined = samples[np.isfinite(samples)]
    low, high = np.quantile(defined, [0.025, 0.975]) if len(defined) else (np.nan, np.nan)
    return float(low), float(high)


def _signs(values: Matrix) -> Matrix:
    """1 where the architecture of the row is above that of the column, -1 where it is below."""
    return np.asarray(np.sign(values[:, None] - values[None, :]))


def _total(matrix: Matrix, weights: Weights) -> Matrix:
    """Sum over all pairs of each sample."""
    return np.asarray(np.einsum("bi,ij,bj->b", weights, matrix, weights, optimize=True))


def cell(value: float, low: float, high: float) -> str:
    """E.g. `0.74 [0.62, 0.82]`; a dash for NaN."""
    return "-" if np.isnan(value) else f"{value:.2f} [{low:.2f}, {high:.2f}]"
