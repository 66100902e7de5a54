"""The most probable parameters of a Gaussian process. No torch, no optuna."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

Vector = NDArray[np.float64]

IMPOSSIBLE = 1e12
"""The loss of parameters whose covariance is not positive definite."""
STEP = 1e-4
"""Step of the differences that stand for derivatives. With SciPy's own, 1e-8, they are rounding errors where the noise
is a thousandth of the rest, and the search ends far from the maximum."""


def most_probable(
    covariance: Callable[[Vector], Vector],
    residuals: Callable[[Vector], Vector],
    prior: Vector,
    prior_sd: Vector | float,
    reach: float,
) -> Vector:
    """Maximise the posterior density of the parameters (Rasmussen and Williams, 5.4) under independent normal priors.

    Args:
        covariance: That of the observations (`n x n`) for given parameters, noise included.
        residuals: The observations minus their prior mean (`n`) for given parameters.
        prior: Means of the parameters, where the maximisation begins.
        prior_sd: Their standard deviations.
        reach: How far from its mean a parameter may be, in standard deviations.

    Returns:
        The parameters.
    """

    def loss(parameters: Vector) -> float:
        try:
            factor = linalg.cholesky(covariance(parameters), lower=True)
        except linalg.LinAlgError:
            return IMPOSSIBLE
        whitened = linalg.solve_triangular(factor, residuals(parameters), lower=True)
        improbable = np.sum(((parameters - prior) / prior_sd) ** 2) / 2
        return float(0.5 * whitened @ whitened + np.sum(np.log(np.diag(factor))) + improbable)

    limits = reach * np.broadcast_to(prior_sd, prior.shape)
    bounds = list(zip(prior - limits, prior + limits, strict=True))
    return np.asarray(optimize.minimize(loss, prior, method="L-BFGS-B", bounds=bounds, options={"eps": STEP}).x)
