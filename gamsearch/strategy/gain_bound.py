"""An upper bound on a candidate's final gain from its gain at a rung. No torch, no optuna."""

from math import ceil

import numpy as np
from numpy.typing import NDArray


def upper_bound(finished: NDArray[np.float64], candidate: NDArray[np.float64], alpha: float) -> float:
    """An upper bound on a candidate's final gain from `finished` (`n x d`, the last column the final gain).

    It is the prediction of a ridge regression on standardised columns plus the 1 - `alpha` quantile of the
    leave-one-out residuals, if positive; with n below 1/`alpha` the largest residual. Costs are among the columns
    because larger candidates start slower: a bound without them stopped slow starters near the front.
    """
    inputs, final = finished[:, :-1], finished[:, -1]
    centre, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-12
    design = np.column_stack([np.ones(len(final)), (inputs - centre) / spread])
    ridge = np.diag([0.0] + [0.1] * inputs.shape[1])
    inverse = np.linalg.inv(design.T @ design + ridge)
    weights = inverse @ design.T @ final
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    residuals = np.sort((final - design @ weights) / np.clip(1 - leverage, 0.2, 1.0))
    quantile = residuals[min(len(final) - 1, ceil((len(final) + 1) * (1 - alpha)) - 1)]
    predicted = np.concatenate([[1.0], (candidate - centre) / spread]) @ weights
    return float(predicted + max(float(quantile), 0.0))
