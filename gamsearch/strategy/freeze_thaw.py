"""Which training continues next: begin an architecture or resume (thaw) a paused one. No torch.

The choice is the architecture with the largest expected hypervolume improvement per epoch that it still needs.
"""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from gamsearch.architecture import Architecture
from gamsearch.metrics import Metric
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.candidate_pool import CandidatePool
from gamsearch.strategy.cost_predictions import CostPredictions, PredictCosts
from gamsearch.strategy.expected_improvement import Front, improvement_per_epoch
from gamsearch.strategy.observations import observations
from gamsearch.strategy.stopping import StopDecision
from gamsearch.strategy.surrogate import Surrogate, Surrogates
from gamsearch.study.history import ArchitectureHistory, History


class FreezeThaw:
    """Chooses for one study: `epochs` is the full budget, `rungs` are the epochs after which a training may pause."""

    def __init__(
        self,
        space: SearchSpace,
        objectives: tuple[Metric, ...],
        epochs: int,
        rungs: tuple[int, ...],
        predict_costs: PredictCosts,
        rng: random.Random,
        surrogates: Surrogates,
    ):
        self.space, self.objectives, self.epochs, self.rungs = space, objectives, epochs, rungs
        self.predict_costs, self.rng, self.surrogates = predict_costs, rng, surrogates
        self.pool = CandidatePool(space, rng)
        self.costs = CostPredictions(space.limits, objectives, predict_costs)

    def choose(self, history: History, own: str = "") -> Architecture | None:
        """The architecture to train until its next rung; None if there is none left.

        Those that other trials are running are excluded; `own` is the key of the asking trial's architecture.
        """
        running = history.running - {own}
        unsettled = self.pool.unsettled(history)
        pool = [a for a in unsettled if a.key not in running and self.costs.admissible(history, a)]
        if not pool:
            return None
        surrogate = self.surrogate(history)
        if surrogate is None:
            return self.rng.choice([a for a in pool if len(a.placements) == 1] or pool)
        mean, sd = surrogate.predict(pool, self.epochs)
        expected = self.improvement(history, pool, mean, sd)
        return pool[int(np.argmax(expected if expected.max() > 0 else mean + 2 * sd))]

    def pause(self, history: History, known: ArchitectureHistory) -> StopDecision | None:
        """Pause the training of `known` at a rung if another architecture is now the better choice."""
        history.keep(known.architecture.key, known)
        other = self.choose(history, known.architecture.key)
        if other is None or other == known.architecture:
            return None
        surrogate = self.surrogate(history)
        bound = None
        if surrogate is not None and history.baseline is not None:
            mean, sd = surrogate.predict([known.architecture], self.epochs)
            bound = history.level(history.baseline, self.epochs) + float(mean[0] + 2 * sd[0])
        reason = f"paused after epoch {known.epochs} of {self.epochs} for {other.label}"
        return StopDecision(reason, known.epochs, bound, paused=True)

    def surrogate(self, history: History) -> Surrogate | None:
        """The surrogate of all gains measured so far; None before the first."""
        seen = observations(history, (*self.rungs, self.epochs))
        return self.surrogates.of(seen) if seen else None

    def improvement(
        self, history: History, pool: Sequence[Architecture], mean: NDArray[np.float64], sd: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Expected improvement per epoch of each architecture (`n`) whose gains have this mean and deviation (`n`)."""
        front = Front.of(history, self.objectives, self.epochs)
        built = [self.costs.of(history, architecture) or {} for architecture in pool]
        remaining = [self._remaining(history, architecture) for architecture in pool]
        return improvement_per_epoch(front, built, remaining, mean, sd)

    def _remaining(self, history: History, architecture: Architecture) -> int:
        """How many epochs of the budget an architecture still needs."""
        known = history.architectures.get(architecture.key)
        return self.epochs - (known.epochs if known else 0)


class FreezeThawSampler(BaseSampler):
    """The Optuna sampler of `FreezeThaw`: proposes all parameters of the chosen architecture at once."""

    def __init__(self, freeze_thaw: FreezeThaw, history: History, fallback: BaseSampler):
        self.freeze_thaw, self.history, self.fallback = freeze_thaw, history, fallback

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter of the space."""
        return {name: IntDistribution(low, high) for name, (low, high) in self.freeze_thaw.space.parameters.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the best choice; none while the baseline is unknown."""
        if self.history.update().baseline is None:
            return {}
        chosen = self.freeze_thaw.choose(self.history)
        return {} if chosen is None else dict(self.freeze_thaw.space.encode(chosen))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """What the fallback samples where nothing was proposed."""
        return self.fallback.sample_independent(study, trial, param_name, param_distribution)


def supports_freeze_thaw(space: SearchSpace) -> bool:
    """Whether the primary metric is the only trained objective and there is a cost beside it."""
    return space.detector.task.only_primary(space.objectives) and len(space.objectives) > 1
