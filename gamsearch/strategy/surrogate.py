"""What trainings so far say about architectures: a Gaussian process over placements and epochs. No torch, no optuna.

The gain of architecture a over the baseline after e epochs (same seed, so the noise they share cancels) is modelled as

    gain(a, e) = e^growth (mean + sum of the effects of a's placements + likeness(a) + a residual of a's own) + noise,

all unknown and normally distributed, all but the noise alike at near epochs: their correlation between epochs e and f
is exp(-|ln e - ln f| / length). That is freeze-thaw Bayesian optimisation (Swersky, Snoek and Adams, arXiv 1406.3896)
with a kernel over placements in the place of one over hyperparameters:

- a linear kernel for the effects, which generalises from single placements to combinations;
- the cosine kernel for the likeness (Rasmussen and Williams, 4.2), of the same variance for one module as for three:
  effects overlap, and where only it has to explain a combination the single placements in it may be worth as much;
- a constant for the mean of all architectures with attention (ordinary kriging): what others gain is to be expected of
  a site that was never tried;
- a residual, so that every architecture keeps the right to differ.

Gains grow with the epochs but their noise does not, so a small early gain can promise a large one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from gamsearch.architecture import Architecture
from gamsearch.space.search_space import SearchSpace

Vector = NDArray[np.float64]

PRIOR = np.log([0.5, 0.5, 0.5, 0.3, 0.1, 2.0, 0.5])
"""Medians of the variances of mean, effects, likeness, residuals and noise (in units of the gains' mean square, after
the latest epoch observed), of the length and of the growth."""
PRIOR_SD = 1.0
LEAST_GAIN = 1e-3
"""Gains whose root mean square is below a thousandth of mAP are measured on that scale."""


class Features:
    """Placements as numbers: per site and module, whether it is there, its strength and its other options (0..1)."""

    def __init__(self, space: SearchSpace):
        self.space = space
        self._known: dict[str, Vector] = {}

    def of(self, architecture: Architecture) -> Vector:
        """The features of one architecture; all zero for the baseline."""
        if architecture.key not in self._known:
            self._known[architecture.key] = self._computed(self.space.encode(architecture))
        return self._known[architecture.key]

    def _computed(self, answers: Mapping[str, int]) -> Vector:
        values: list[float] = []
        modules = 0
        for name, (_, high) in self.space.parameters.items():
            site, _, dial = name.partition(".")
            here = answers[f"{site}.strength"] > 0
            if dial == "strength":
                modules += here
                values += [1.0 * here, here * (answers[name] - 1) / max(high - 1, 1)]
            elif dial == "module":
                values += [1.0 * (here and answers[name] == module) for module in range(high + 1)]
            else:
                values.append(here * answers[name] / high)
        return np.array([*values, 0.5 * modules * (modules - 1)], dtype=float)


@dataclass(frozen=True)
class Observation:
    """The measured `gain` (fraction of mAP) of an architecture over the baseline after `epoch` epochs.

    It may be the mean of `count` epochs around that one, whose noise is then so many times smaller in variance.
    """

    architecture: Architecture
    epoch: float
    gain: float
    count: int = 1


class Surrogate:
    """The Gaussian process for `observations` (at least one) with `parameters`, fitted to them if not given."""

    def __init__(self, features: Features, observations: Sequence[Observation], parameters: Vector | None = None):
        self.features = features
        self._points = self._located([(o.architecture, o.epoch) for o in observations])
        self._noise = np.diag([1.0 / o.count for o in observations])
        gains = np.array([o.gain for o in observations], dtype=float)
        self.scale = max(float(np.sqrt(np.mean(gains**2))), LEAST_GAIN)
        self._targets = gains / self.scale
        self._last = float(np.max(self._points[1]))
        self.parameters = self._fitted() if parameters is None else parameters
        self._factor = linalg.cho_factor(self._measured(self.parameters), lower=True)
        self._weights = linalg.cho_solve(self._factor, self._targets)

    def predict(self, architectures: Sequence[Architecture], epoch: float) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the gains after `epoch` epochs, measurement noise left out."""
        points = self._located([(architecture, epoch) for architecture in architectures])
        cross = self._covariance(points, self._points, self.parameters)
        mean = cross @ self._weights
        spent = np.einsum("ij,ji->i", cross, linalg.cho_solve(self._factor, cross.T))
        variance = self._prior_variance(points, self.parameters) - spent
        return mean * self.scale, np.sqrt(np.maximum(variance, 1e-12)) * self.scale

    def left_out(self) -> Vector:
        """Each observation minus its prediction by the others, in standard deviations (Rasmussen, 5.12)."""
        inverse, _ = linalg.lapack.dpotri(self._factor[0], lower=1)
        return np.asarray(self._weights / np.sqrt(np.diag(inverse)))

    def _located(self, pairs: Sequence[tuple[Architecture, float]]) -> tuple[Vector, Vector, NDArray[np.int64]]:
        """Features (`n x d`), log epochs (`n`) and identities (`n`) of architectures at epochs."""
        features = np.array([self.features.of(architecture) for architecture, _ in pairs])
        epochs = np.log([epoch for _, epoch in pairs])
        identities = np.array([int(architecture.key, 16) for architecture, _ in pairs], dtype=np.int64)
        return features, epochs, identities

    def _measured(self, parameters: Vector) -> Vector:
        """The covariance of the observations, noise included."""
        return self._covariance(self._points, self._points, parameters) + np.exp(parameters[4]) * self._noise

    def _covariance(self, a: tuple, b: tuple, parameters: Vector) -> Vector:
        mean, effects, likeness, residual, _, length, growth = np.exp(parameters)
        same = a[2][:, None] == b[2][None, :]
        near = np.exp(-np.abs(a[1][:, None] - b[1][None, :]) / length)
        grown = np.exp(growth * (a[1][:, None] + b[1][None, :] - 2 * self._last))
        placements = mean + effects * (a[0] @ b[0].T) + likeness * _cosine(a[0], b[0])
        return np.asarray((placements + residual * same) * near * grown)

    def _prior_variance(self, points: tuple, parameters: Vector) -> Vector:
        """The diagonal of the covariance of `points` with themselves."""
        mean, effects, likeness, residual, _, _, growth = np.exp(parameters)
        lengths = np.einsum("ij,ij->i", points[0], points[0])
        attended = np.any(points[0][:, :-1] != 0, axis=1)  # the likeness to itself: 1, but for the baseline 0
        grown = np.exp(2 * growth * (points[1] - self._last))
        return np.asarray((mean + effects * lengths + likeness * attended + residual) * grown)

    def _fitted(self) -> Vector:
        """The parameters of highest posterior density under log-normal priors around `PRIOR`."""

        def loss(parameters: Vector) -> float:
            try:
                factor = linalg.cholesky(self._measured(parameters), lower=True)
            except linalg.LinAlgError:
                return 1e12
            whitened = linalg.solve_triangular(factor, self._targets, lower=True)
            prior = np.sum((parameters - PRIOR) ** 2) / (2 * PRIOR_SD**2)
            return float(0.5 * whitened @ whitened + np.sum(np.log(np.diag(factor))) + prior)

        bounds = [(centre - 5, centre + 5) for centre in PRIOR]
        return np.asarray(optimize.minimize(loss, PRIOR, method="L-BFGS-B", bounds=bounds).x)


def _cosine(a: Vector, b: Vector) -> Vector:
    """Cosines between the rows of `a` (`n x d`) and `b` (`m x d`), pair counts left out: `n x m`; baseline 0."""
    a, b = a[:, :-1], b[:, :-1]
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    return np.asarray((a @ b.T) / np.maximum(lengths, 1e-12))


class Surrogates:
    """Surrogates of one search: the parameters are fitted again only when the observations have grown by a tenth.

    The latest one is kept, since a pause and the choice after it ask for the same.
    """

    def __init__(self, space: SearchSpace):
        self.features = Features(space)
        self._parameters: Vector | None = None
        self._fitted_to = 0
        self._latest: tuple[list[Observation], Surrogate] | None = None

    def of(self, observations: Sequence[Observation]) -> Surrogate:
        """The Gaussian process for `observations`, at least one."""
        if self._latest is not None and self._latest[0] == observations:
            return self._latest[1]
        grown = len(observations) >= 1.1 * self._fitted_to or len(observations) < self._fitted_to
        surrogate = Surrogate(self.features, observations, None if grown else self._parameters)
        if grown:
            self._parameters, self._fitted_to = surrogate.parameters, len(observations)
        self._latest = list(observations), surrogate
        return surrogate
