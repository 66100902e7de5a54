"""Samplers that learn nothing: sparse random architectures, and every architecture of a space once."""

import random
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from gamsearch.architecture import Architecture
from gamsearch.space.search_space import TYPICAL_MODULES, SearchSpace
from gamsearch.study.history import History

MOST_SHUFFLED = 100_000
"""Spaces up to this size are searched exhaustively in random order, larger ones in the order of enumeration."""


class SparseRandomSampler(RandomSampler):
    """Random search that leaves most sites empty: about `TYPICAL_MODULES` placements per architecture."""

    def __init__(self, sites: int, seed: int | None = None):
        super().__init__(seed=seed)
        self._occupied = min(1.0, TYPICAL_MODULES / max(sites, 1))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> int:
        """Sample 0 for a site's strength with the probability that keeps architectures sparse."""
        if param_name.endswith(".strength") and self._rng.rng.random() > self._occupied:
            return 0
        return super().sample_independent(study, trial, param_name, param_distribution)


class ExhaustiveSampler(BaseSampler):
    """Every architecture of a space once, except those that other workers are evaluating.

    Optuna's own `BruteForceSampler` requires all trials to name their parameters in one order, which its gRPC proxy
    does not preserve.
    """

    def __init__(self, space: SearchSpace, history: History, seed: int, fallback: BaseSampler):
        self.space, self.history, self.fallback = space, history, fallback
        self.rng = random.Random(seed)

    @cached_property
    def order(self) -> Iterable[Architecture]:
        """All architectures, shuffled if there are at most `MOST_SHUFFLED`."""
        if self.space.size > MOST_SHUFFLED:
            return self.space.enumerate()
        every = list(self.space.enumerate())
        self.rng.shuffle(every)
        return every

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter of the space."""
        return {name: IntDistribution(low, high) for name, (low, high) in self.space.parameters.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the first architecture that is not settled; none if every one is."""
        known, running = self.history.update().architectures, self.history.running
        for one in self.order:
            new = one.key not in known or not known[one.key].settled
            if new and one.key not in running and not one.is_baseline:
                return dict(self.space.encode(one))
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """What the fallback samples where nothing was proposed."""
        return self.fallback.sample_independent(study, trial, param_name, param_distribution)
