"""What the readings of shared networks say about placements: a mixed model with intervals. No torch, no optuna.

The primary metric of architecture a in the shared network of seed s is modelled as

    y(a, s) = level of s + effects of a's placements and pairs of sites + deviation of s in these + noise,

all normally distributed with unknown variances. The effects are nested as in the search's surrogate (site, module,
module at a site, strength), so that a placement that was rarely measured is estimated from its like. The deviations say
how far two networks disagree about the same placement: without them, the precision of one network would pass for that
of the answer. Variances maximise the posterior density under broad log-normal priors; with one seed, that of the
deviations is little more than its prior.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from gamsearch.architecture import Architecture
from gamsearch.errors import GamsearchError
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.posterior import most_probable
from gamsearch.strategy.surrogate import Features

Vector = NDArray[np.float64]

PRIOR = np.log([0.01, 0.005, 0.003, 0.003])
"""Medians of the standard deviations of effects, pairs, deviations between seeds and noise, as fractions."""
PRIOR_SD = np.array([1.5, 1.5, 0.7, 0.7])
LEVEL_SD = 1.0
"""Standard deviation of a network's own level: as good as unknown."""


@dataclass(frozen=True)
class Reading:
    """The primary metric of one architecture in one shared network.

    Attributes:
        seed: The network's seed.
        architecture: What was measured.
        value: The metric, a fraction.
    """

    seed: int
    architecture: Architecture
    value: float


def recorded_readings(space: SearchSpace, facts: Mapping[str, Any]) -> list[Reading]:
    """Read the readings that a study recorded, of a complete screening or not.

    Args:
        space: The space.
        facts: What `Screening.facts` wrote.

    Returns:
        The readings; none if the record is damaged.
    """
    try:
        architectures = [Architecture.from_dict(form) for form in facts["architectures"]]
        for architecture in architectures:
            space.encode(architecture)
        found = [
            Reading(int(seed), architecture, float(value))
            for seed, values in facts["values"].items()
            for architecture, value in zip(architectures, values, strict=True)
        ]
    except (GamsearchError, AttributeError, KeyError, TypeError, ValueError):
        return []
    return found if all(abs(reading.value) <= 1.0 for reading in found) else []


class SharedEffects:
    """The model of `readings` (at least one) of architectures of `space`."""

    def __init__(self, space: SearchSpace, readings: Sequence[Reading]):
        self.features = Features(space)
        self.pairs = {pair: column for column, pair in enumerate(combinations(space.sites, 2))}
        self._points = self._located([reading.architecture for reading in readings])
        seeds = np.array([reading.seed for reading in readings])
        self._same = (seeds[:, None] == seeds[None, :]).astype(float)
        values = np.array([reading.value for reading in readings], dtype=float)
        self._targets = values - values.mean()
        self.parameters = self._fitted()
        self._factor = linalg.cho_factor(self._measured(self.parameters), lower=True)
        self._weights = linalg.cho_solve(self._factor, self._targets)

    def predict(self, architectures: Sequence[Architecture]) -> tuple[Vector, Vector]:
        """Gains over the baseline that repeat with another seed.

        Args:
            architectures: Architectures of the space.

        Returns:
            Their expected gains and the standard deviations of these (`n` each); 0 for the baseline.
        """
        points = self._located(architectures)
        cross = self._shared(points, self._points, self.parameters)
        spent = np.einsum("ij,ji->i", cross, linalg.cho_solve(self._factor, cross.T))
        effects, pairs = np.exp(2 * self.parameters[:2])  # one by one: all against all would be gigabytes
        variance = effects * np.sum(points[0] ** 2, axis=1) + pairs * np.sum(points[1] ** 2, axis=1) - spent
        return cross @ self._weights, np.sqrt(np.maximum(variance, 0.0))

    def gains(self, architectures: Sequence[Architecture]) -> Vector:
        """The expected gains of `predict` alone, which take less time."""
        return np.asarray(self._shared(self._located(architectures), self._points, self.parameters) @ self._weights)

    @property
    def deviation(self) -> float:
        """Standard deviation between seeds of what a placement gains."""
        return float(np.exp(self.parameters[2]))

    def _located(self, architectures: Sequence[Architecture]) -> tuple[Vector, Vector]:
        """Features (`n x d`) and pairs of sites (`n x p`) of architectures."""
        effects = np.array([self.features.of(architecture)[:-1] for architecture in architectures])
        together = np.zeros((len(architectures), len(self.pairs)))
        for row, architecture in enumerate(architectures):
            for pair in combinations([placement.site for placement in architecture.placements], 2):
                if pair in self.pairs:  # an imported architecture may have other sites
                    together[row, self.pairs[pair]] = 1.0
        return effects, together

    def _shared(self, a: tuple[Vector, Vector], b: tuple[Vector, Vector], parameters: Vector) -> Vector:
        """The covariance of the gains that all seeds have in common."""
        effects, pairs = np.exp(2 * parameters[:2])
        return np.asarray(effects * (a[0] @ b[0].T) + pairs * (a[1] @ b[1].T))

    def _measured(self, parameters: Vector) -> Vector:
        """The covariance of the readings."""
        deviation, noise = np.exp(2 * parameters[2:])
        features = self._points[0]
        own = LEVEL_SD**2 + deviation * (features @ features.T)
        return self._shared(self._points, self._points, parameters) + self._same * own + noise * np.eye(len(features))

    def _fitted(self) -> Vector:
        """The parameters of highest posterior density under log-normal priors around `PRIOR`."""
        return most_probable(self._measured, lambda parameters: self._targets, PRIOR, PRIOR_SD, 4.0)
