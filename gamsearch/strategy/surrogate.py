"""What trainings so far tell about architectures: a Gaussian process over placements and epochs. No torch, no optuna.

The gain of architecture a over the baseline after e epochs (at the same seed, so shared noise cancels) is modelled as

    gain(a, e) = e^growth (mean + sum of the effects of a's placements + similarity(a) + residual of a) + noise,

all unknown and normally distributed. All but the noise are correlated over epochs: exp(-|ln e - ln f| / length) between
epochs e and f. This is freeze-thaw Bayesian optimisation (Swersky, Snoek and Adams, arXiv 1406.3896) with a kernel over
placements instead of one over hyperparameters:

- a linear kernel for the effects, which generalises from single placements to combinations, and from a module at some
  sites to the same module at others;
- the cosine kernel for the similarity (Rasmussen and Williams, 4.2), of the same variance for one module as for three:
  effects overlap, and where it alone has to explain a combination, the single placements in it may be worth as much;
- a constant for the mean of all architectures with attention (ordinary kriging): an untried site is expected to gain
  what the others gain;
- a residual, so that every architecture may differ from what its placements suggest.

After a screening, the gains in the shared network are the prior mean, times a slope around 1 that is fitted too.

Gains grow with the epochs but their noise does not, so a small early gain can promise a large one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from gamsearch.architecture import Architecture, Option, Placement
from gamsearch.attention.catalogue import spec_named
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.posterior import most_probable

Vector = NDArray[np.float64]

PriorGains = Callable[[Sequence[Architecture]], Sequence[float]]
"""The gains in the primary metric that are expected of architectures before any training."""

PRIOR = np.log([0.5, 0.5, 0.5, 0.3, 0.1, 2.0, 0.5])
"""Medians of the variances of mean, effects, similarity, residuals and noise (in units of the gains' mean square, after
the latest epoch observed), of the length and of the growth."""
PRIOR_SD = 1.0
SLOPE_SD = 0.5
"""Prior standard deviation of the slope of gains on those of a shared network, around 1."""
LEAST_GAIN = 1e-3
"""Lower bound on the scale (root mean square) of the gains: a thousandth of the primary metric."""


class Features:
    """Placements as numbers: nested, so that what a module gains at one site says something about it at another.

    Per site whether there is attention; per site and module a level for each option that varies there: 0 for the first
    (for a strength the weakest) to 1. Where the space has several modules, also how often each occurs anywhere, the
    sums of its levels, and per site whether it is there; levels are then centred (-1/2 to 1/2), so that a module
    without a strength is no weaker than others. Where a site has modules inside and after its block, also how many are
    inside anywhere, and per site whether it is. All have the same prior variance. What the space does not have (an
    imported architecture may) is no feature: its gain tells of the mean of all and of its own residual.
    """

    def __init__(self, space: SearchSpace):
        placements = [placement for offered in space.choices.values() for placement in offered]
        self._several = len({placement.module for placement in placements}) > 1
        self._inside = any(len({p.semantics == "inner" for p in offered}) > 1 for offered in space.choices.values())
        self._levels = _levels(placements, 0.5 if self._several else 0.0)
        names = dict.fromkeys(name for placement in placements for name, _ in self._parts(placement))
        self._columns = {name: column for column, name in enumerate(names)}
        self._known: dict[str, Vector] = {}

    def of(self, architecture: Architecture) -> Vector:
        """The features of one architecture, its number of pairs of modules last; all zero for the baseline."""
        if architecture.key not in self._known:
            self._known[architecture.key] = self._computed(architecture)
        return self._known[architecture.key]

    def _computed(self, architecture: Architecture) -> Vector:
        values = np.zeros(len(self._columns) + 1)
        for placement in architecture.placements:
            for name, value in self._parts(placement):
                if name in self._columns:
                    values[self._columns[name]] += value
        modules = len(architecture.placements)
        values[-1] = 0.5 * modules * (modules - 1)
        return values

    def _parts(self, placement: Placement) -> Iterator[tuple[tuple[object, ...], float]]:
        """The names of a placement's features, and what it adds to them."""
        site, module = placement.site, placement.module
        yield (site,), 1.0
        if self._several:
            yield (module,), 1.0
            yield (site, module), 1.0
        if self._inside:
            inside = 0.5 if placement.semantics == "inner" else -0.5
            yield ("inside", None), inside
            yield ("inside", site), inside
        for option, value in _options(placement).items():
            if value in self._levels.get((site, module, option), {}):
                level = self._levels[site, module, option][value]
                yield (site, module, option), level
                if self._several:
                    yield (module, option), level


def _options(placement: Placement) -> dict[str, Option]:
    """All options of a placement, defaults included."""
    return spec_named(placement.module).complete(dict(placement.options))


def _levels(placements: Sequence[Placement], centre: float) -> dict[tuple[int, str, str], dict[Option, float]]:
    """The levels of the values of each option that varies at a site, minus `centre`, in the order of `placements`."""
    found: dict[tuple[int, str, str], dict[Option, None]] = {}
    for placement in placements:
        for option, value in _options(placement).items():
            found.setdefault((placement.site, placement.module, option), {})[value] = None
    return {
        name: {value: position / (len(values) - 1) - centre for position, value in enumerate(values)}
        for name, values in found.items()
        if len(values) > 1
    }


@dataclass(frozen=True)
class Observation:
    """A measured gain over the baseline.

    Attributes:
        architecture: What was trained.
        epoch: After how many epochs.
        gain: In the primary metric (a fraction).
        count: Epochs around `epoch` of which `gain` is the mean; its noise variance is `count` times smaller.
    """

    architecture: Architecture
    epoch: float
    gain: float
    count: int = 1


class Surrogate:
    """The Gaussian process for `observations` (at least one) with `parameters`, which are fitted if not given.

    `prior` gives the prior mean; without it, that is zero.
    """

    def __init__(
        self,
        features: Features,
        observations: Sequence[Observation],
        parameters: Vector | None = None,
        prior: PriorGains | None = None,
    ):
        self.features, self.prior = features, prior
        gains = np.array([o.gain for o in observations], dtype=float)
        self.scale = max(float(np.sqrt(np.mean(gains**2))), LEAST_GAIN)
        self._points = self._located([(o.architecture, o.epoch) for o in observations])
        self._noise = np.diag([1.0 / o.count for o in observations])
        self._targets = gains / self.scale
        self._last = float(np.max(self._points[1]))
        self.parameters = self._fitted() if parameters is None else parameters
        self._factor = linalg.cho_factor(self._measured(self.parameters), lower=True)
        self._weights = linalg.cho_solve(self._factor, self._targets - self._mean(self._points, self.parameters))

    def predict(self, architectures: Sequence[Architecture], epoch: float) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the gains after `epoch` epochs, measurement noise excluded."""
        points = self._located([(architecture, epoch) for architecture in architectures])
        cross = self._covariance(points, self._points, self.parameters)
        mean = cross @ self._weights + self._mean(points, self.parameters)
        spent = np.einsum("ij,ji->i", cross, linalg.cho_solve(self._factor, cross.T))
        variance = self._prior_variance(points, self.parameters) - spent
        return mean * self.scale, np.sqrt(np.maximum(variance, 1e-12)) * self.scale

    def left_out(self) -> Vector:
        """Each observation minus its prediction from the others, in standard deviations (Rasmussen, Williams 5.12)."""
        inverse, _ = linalg.lapack.dpotri(self._factor[0], lower=1)
        return np.asarray(self._weights / np.sqrt(np.diag(inverse)))

    def _located(self, pairs: Sequence[tuple[Architecture, float]]) -> tuple[Vector, Vector, NDArray[np.int64], Vector]:
        """Features (`n x d`), log epochs (`n`), identities (`n`) and scaled prior gains (`n`) of architectures."""
        features = np.array([self.features.of(architecture) for architecture, _ in pairs])
        epochs = np.log([epoch for _, epoch in pairs])
        identities = np.array([int(architecture.key, 16) for architecture, _ in pairs], dtype=np.int64)
        expected = [0.0] * len(pairs) if self.prior is None else self.prior([architecture for architecture, _ in pairs])
        return features, epochs, identities, np.array(expected) / self.scale

    def _mean(self, points: tuple, parameters: Vector) -> Vector:
        """The prior mean, which grows with the epochs as gains do."""
        return np.asarray(points[3] * np.exp(np.exp(parameters[6]) * (points[1] - self._last)))

    def _measured(self, parameters: Vector) -> Vector:
        """The covariance of the observations, noise included."""
        return self._covariance(self._points, self._points, parameters) + np.exp(parameters[4]) * self._noise

    def _covariance(self, a: tuple, b: tuple, parameters: Vector) -> Vector:
        mean, effects, similarity, residual, _, length, growth = np.exp(parameters)
        same = a[2][:, None] == b[2][None, :]
        near = np.exp(-np.abs(a[1][:, None] - b[1][None, :]) / length)
        grown = np.exp(growth * (a[1][:, None] + b[1][None, :] - 2 * self._last))
        placements = mean + effects * (a[0] @ b[0].T) + similarity * _cosine(a[0], b[0])
        placements += SLOPE_SD**2 * np.outer(a[3], b[3])
        return np.asarray((placements + residual * same) * near * grown)

    def _prior_variance(self, points: tuple, parameters: Vector) -> Vector:
        """The diagonal of the covariance of `points` with themselves."""
        mean, effects, similarity, residual, _, _, growth = np.exp(parameters)
        lengths = np.einsum("ij,ij->i", points[0], points[0])
        attended = np.any(points[0][:, :-1] != 0, axis=1)  # similarity to itself: 1, except 0 for the baseline
        grown = np.exp(2 * growth * (points[1] - self._last))
        slope = (SLOPE_SD * points[3]) ** 2
        return np.asarray((mean + effects * lengths + similarity * attended + residual + slope) * grown)

    def _fitted(self) -> Vector:
        """The parameters of highest posterior density under log-normal priors around `PRIOR`."""

        def residuals(parameters: Vector) -> Vector:
            return self._targets - self._mean(self._points, parameters)

        return most_probable(self._measured, residuals, PRIOR, PRIOR_SD, 5.0)


def _cosine(a: Vector, b: Vector) -> Vector:
    """Cosines between rows of `a` (`n x d`) and `b` (`m x d`) without their pair counts: `n x m`; baseline 0."""
    a, b = a[:, :-1], b[:, :-1]
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    return np.asarray((a @ b.T) / np.maximum(lengths, 1e-12))


class Surrogates:
    """The surrogates of one search: parameters are refitted only when the observations have grown by a tenth.

    The latest surrogate is cached, since a pause and the choice after it need the same one.
    """

    def __init__(self, space: SearchSpace, prior: PriorGains | None = None):
        self.features, self.prior = Features(space), prior
        self._parameters: Vector | None = None
        self._fitted_to = 0
        self._latest: tuple[list[Observation], Surrogate] | None = None

    def of(self, observations: Sequence[Observation]) -> Surrogate:
        """The Gaussian process for `observations`, at least one."""
        if self._latest is not None and self._latest[0] == observations:
            return self._latest[1]
        grown = len(observations) >= 1.1 * self._fitted_to or len(observations) < self._fitted_to
        surrogate = Surrogate(self.features, observations, None if grown else self._parameters, self.prior)
        if grown:
            self._parameters, self._fitted_to = surrogate.parameters, len(observations)
        self._latest = list(observations), surrogate
        return surrogate
