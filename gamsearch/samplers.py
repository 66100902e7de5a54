"""Name -> Optuna sampler. The encoding is static and ordinal (see `space`), which every one of them can use.

`gp` reaches in about 30 trials on that encoding what `tpe` needs 120 for, and costs a second per proposal once there
are many trials; `auto` is `gp` up to 150 trials and `tpe` beyond.
"""

import warnings
from collections.abc import Callable

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, BruteForceSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from gamsearch.errors import OptionError, nearest

STARTUP_TRIALS = 10
GP_LIMIT = 150
TYPICAL_MODULES = 1.5


class SparseRandomSampler(RandomSampler):
    """Random search that leaves most sites empty: about `TYPICAL_MODULES` placements per architecture."""

    def __init__(self, sites: int, seed: int | None = None):
        super().__init__(seed=seed)
        self._occupied = min(1.0, TYPICAL_MODULES / max(sites, 1))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> int:
        """Draw 0 for a site's strength with the probability that keeps architectures sparse."""
        if param_name.endswith(".strength") and self._rng.rng.random() > self._occupied:
            return 0
        return super().sample_independent(study, trial, param_name, param_distribution)


Factory = Callable[[int, int, int], BaseSampler]
"""`(sites, trials, seed) -> sampler`"""

SAMPLERS: dict[str, Factory] = {
    "auto": lambda sites, trials, seed: (_gp if trials <= GP_LIMIT else _tpe)(sites, trials, seed),
    "gp": lambda sites, trials, seed: _gp(sites, trials, seed),
    "tpe": lambda sites, trials, seed: _tpe(sites, trials, seed),
    "nsga2": lambda sites, trials, seed: NSGAIISampler(population_size=12, seed=seed),
    "random": lambda sites, trials, seed: SparseRandomSampler(sites, seed=seed),
    "brute": lambda sites, trials, seed: BruteForceSampler(seed=seed),
}


def _gp(sites: int, trials: int, seed: int) -> BaseSampler:
    return GPSampler(
        seed=seed, n_startup_trials=STARTUP_TRIALS, independent_sampler=SparseRandomSampler(sites, seed=seed)
    )


def _tpe(sites: int, trials: int, seed: int) -> BaseSampler:
    return TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)


def sampler_named(name: str) -> Factory:
    """Return what makes the sampler called `name`, or say which there are."""
    if name not in SAMPLERS:
        raise OptionError(f"there is no sampler '{name}'{nearest(name, SAMPLERS)}; there are {', '.join(SAMPLERS)}")

    def make(sites: int, trials: int, seed: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return SAMPLERS[name](sites, trials, seed)

    return make
