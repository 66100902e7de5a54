"""The noise of a paired difference, and what a candidate gained at seeds that did not select it.

A training's primary metric is modelled as architecture + seed + noise; the seed's part, the same images in the same
order, drops out of a paired difference. The variance of the noise is pooled over all architectures that were trained at
several seeds, and that of the candidate in question is shrunk towards it, as in Smyth (2004), "Linear models and
empirical Bayes methods for assessing differential expression", Stat. Appl. Genet. Mol. Biol. 3(1). Smyth estimates the
prior's degrees of freedom from thousands of genes; a search repeats a handful of architectures, so they are bounded by
`PRIOR`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
from scipy import stats

from gamsearch.analysis.significance import ALPHA, EQUAL
from gamsearch.errors import plural

FREEDOM = 6
"""Degrees of freedom that the repeated trainings of a search are to give, where the seeds are few."""

PRIOR = 4
"""Most degrees of freedom that the variance of the other architectures counts for beside a candidate's own."""

BySeed = Mapping[int, float]
"""The primary metric of one architecture by seed, as fractions."""


@dataclass(frozen=True)
class Noise:
    """The standard deviation of a paired difference.

    Attributes:
        sd: The standard deviation, as a fraction.
        freedom: Its degrees of freedom.
        architectures: Number of architectures that it is estimated from, the baseline included.
        seeds: Number of seeds.
    """

    sd: float
    freedom: int
    architectures: int
    seeds: int

    def half_width(self) -> float:
        """Half-width of the 95 % interval of one paired difference, as a fraction."""
        return float(stats.t.isf(ALPHA / 2, self.freedom)) * self.sd

    @property
    def basis(self) -> str:
        """E.g. `95 %, 6 architectures at 2 seeds`."""
        return f"95 %, {plural(self.architectures, 'architecture')} at {self.seeds} seeds"


@dataclass(frozen=True)
class Gain:
    """What a candidate gained over the baseline at seeds that did not select it, with a 95 % interval.

    Attributes:
        differences: Candidate minus baseline at each of those seeds, as fractions.
        noise: The noise of a paired difference; None if it cannot be estimated.
    """

    differences: tuple[float, ...]
    noise: Noise | None

    @property
    def mean(self) -> float:
        return float(np.mean(self.differences))

    @property
    def half_width(self) -> float:
        """Half-width of the 95 % interval of the mean; NaN if the noise is unknown."""
        return nan if self.noise is None else self.noise.half_width() / sqrt(len(self.differences))

    @property
    def low(self) -> float:
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.mean + self.half_width


def architectures_to_repeat(seeds: int) -> int:
    """How many candidates a search trains at all seeds, so that their noise can be judged.

    Args:
        seeds: Number of seeds of the baseline.

    Returns:
        The number, the best candidate included: 6 with two seeds, 3 with three, 2 with four, 1 with more.
    """
    return max(1, FREEDOM // (seeds - 1)) if seeds > 1 else 0


def pooled_noise(trainings: Sequence[BySeed]) -> Noise | None:
    """Estimate the noise from the residuals of metric = architecture + seed, fitted by least squares.

    Args:
        trainings: The primary metric by seed of each architecture, the baseline included; they may lack seeds.

    Returns:
        The noise of a paired difference; None without two architectures at two seeds, or if nothing varies.
    """
    rows = [{seed: float(v) for seed, v in row.items() if isfinite(v)} for row in trainings]
    rows = [row for row in rows if len(row) > 1]
    if len(rows) < 2:
        return None
    seeds = sorted({seed for row in rows for seed in row})
    values = np.array([row[seed] for row in rows for seed in row])
    cells = [(index, len(rows) + seeds.index(seed)) for index, row in enumerate(rows) for seed in row]
    design = np.zeros((len(cells), len(rows) + len(seeds)))
    for line, columns in enumerate(cells):
        design[line, columns] = 1.0
    fitted, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    freedom = len(values) - int(rank)
    if not freedom:
        return None
    sd = sqrt(2 * float(np.sum((values - design @ fitted) ** 2)) / freedom)
    return None if sd <= EQUAL else Noise(sd, freedom, len(rows), len(seeds))


def unpaired_noise(values: Sequence[float]) -> Noise | None:
    """Estimate the noise from the baseline alone, whose seeds differ by more than a paired difference would.

    Args:
        values: Finite values of the baseline at each seed.

    Returns:
        The noise of the difference of two trainings; None without two different values.
    """
    if len(values) < 2 or np.ptp(values) <= EQUAL:
        return None
    return Noise(sqrt(2) * float(np.std(values, ddof=1)), len(values) - 1, 1, len(values))


def gain(candidate: BySeed, baseline: BySeed, others: Sequence[BySeed], selected_at: int) -> Gain | None:
    """Estimate what a candidate gains, without the seed at which it was selected.

    Its own variance is that of its differences at the seeds that did not select it. With one such seed, the difference
    at the seed of selection has to serve; being selected, it is too large, and so is the noise.

    Args:
        candidate: Primary metric by seed of the candidate.
        baseline: That of the baseline.
        others: That of the other candidates that were trained at several seeds.
        selected_at: The seed at which the candidate was selected.

    Returns:
        The gain; None if the candidate was not trained at another seed.
    """
    differences = {s: candidate[s] - baseline[s] for s in sorted(candidate.keys() & baseline.keys())}
    differences = {s: float(d) for s, d in differences.items() if isfinite(d)}
    tested = tuple(d for s, d in differences.items() if s != selected_at)
    if not tested:
        return None
    own = tested if len(tested) > 1 else tuple(differences.values())
    pool = pooled_noise([baseline, *others])
    prior = min(pool.freedom, PRIOR) if pool else 0
    freedom = prior + len(own) - 1
    if not freedom:
        return Gain(tested, None)
    squares = float(np.var(own) * len(own)) + (prior * pool.sd**2 if pool else 0.0)
    sd = sqrt(squares / freedom)
    architectures = 1 + (pool.architectures if pool else 1)
    return Gain(tested, None if sd <= EQUAL else Noise(sd, freedom, architectures, len(differences)))
