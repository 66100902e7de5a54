"""Which training goes on next: begin an architecture or thaw a paused one, whichever promises most per epoch. No torch.

What is promised is the expected hypervolume improvement of the front after the full budget. The cost of an architecture
is known before training, so only its gain is uncertain, and the expectation is a one-dimensional integral.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from scipy import stats

from gamsearch.analysis import pareto
from gamsearch.architecture import Architecture
from gamsearch.metrics import METRICS, Metric
from gamsearch.space.neighbours import neighbours
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.stopping import StopDecision, observations
from gamsearch.strategy.surrogate import Surrogate, Surrogates
from gamsearch.study.history import ArchitectureHistory, History

PredictCosts = Callable[[Architecture], Mapping[str, float] | None]

ENUMERABLE = 1024
"""A space of at most so many architectures is considered whole."""
DRAWN = 256
"""Of a larger one so many random architectures are considered, and as many neighbours of the best so far."""
PARENTS = 8
CLEARLY = 1.03
"""What is foreseen this far beyond a limit is not proposed; nearer ones are built and measured."""
NODES = stats.norm.ppf((np.arange(8) + 0.5) / 8)
"""Standard normal quantiles at which the improvement is averaged."""


@dataclass
class FreezeThaw:
    """Chooses for one study: `epochs` is the full budget, `rungs` where a training may pause.

    `predict_costs` tells the built metrics of an architecture before it is built; what it cannot tell of is left out.
    """

    space: SearchSpace
    objectives: tuple[Metric, ...]
    epochs: int
    rungs: tuple[int, ...]
    predict_costs: PredictCosts
    rng: random.Random
    surrogates: Surrogates
    _built: dict[str, Mapping[str, float] | None] = field(default_factory=dict)

    @cached_property
    def _everything(self) -> list[Architecture] | None:
        """Every architecture with attention, or None if there are too many."""
        return [a for a in self.space.enumerate() if not a.is_baseline] if self.space.size <= ENUMERABLE else None

    def choose(self, history: History, own: str = "") -> Architecture | None:
        """The architecture to train on until its next rung; None if there is none left.

        What other trials are at work on is left out; `own` is the key of the asking trial's architecture.
        """
        busy = history.running - {own}
        pool = [a for a in self._pool(history) if a.key not in busy and self._affordable(history, a)]
        if not pool:
            return None
        surrogate = self._surrogate(history)
        if surrogate is None:
            return self.rng.choice([a for a in pool if len(a.placements) == 1] or pool)
        mean, sd = surrogate.predict(pool, self.epochs)
        promise = self._promise(history, pool, mean, sd)
        return pool[int(np.argmax(promise if promise.max() > 0 else mean + 2 * sd))]

    def pause(self, history: History, known: ArchitectureHistory) -> StopDecision | None:
        """Pause the training of `known` at a rung if another architecture now promises more."""
        history.architectures[known.architecture.key] = known
        other = self.choose(history, known.architecture.key)
        if other is None or other == known.architecture:
            return None
        surrogate = self._surrogate(history)
        bound = None
        if surrogate is not None and history.baseline is not None:
            mean, sd = surrogate.predict([known.architecture], self.epochs)
            bound = history.baseline.curve[self.epochs]["map50_95"] + float(mean[0] + 2 * sd[0])
        reason = f"paused after epoch {known.epochs} of {self.epochs} for {other.label}"
        return StopDecision(reason, known.epochs, bound, paused=True)

    def _surrogate(self, history: History) -> Surrogate | None:
        seen = observations(history, (*self.rungs, self.epochs))
        return self.surrogates.of(seen) if seen else None

    def _pool(self, history: History) -> list[Architecture]:
        """Admissible architectures that are not settled; the paused ones always among them."""
        open_ = {k.architecture.key: k.architecture for k in history.candidates if not k.settled}
        everything = self._everything if self._everything is not None else self._drawn(history)
        settled = {key for key, known in history.architectures.items() if known.settled}
        fresh = [a for a in everything if a.key not in settled and a.key not in open_ and not a.is_baseline]
        return [*open_.values(), *fresh]

    def _drawn(self, history: History) -> list[Architecture]:
        """Sparse random architectures, and some that are one step away from the best candidates so far."""
        best = sorted(history.candidates, key=lambda k: -(history.gain(k, k.epochs) or 0.0))[:PARENTS]
        near: dict[str, Architecture] = {}
        for known in best:
            around = neighbours(self.space, known.architecture)
            for one in self.rng.sample(around, min(len(around), DRAWN // PARENTS)):
                near[one.key] = one
        return [*self._random, *(one for key, one in near.items() if key not in self._random_keys)]

    @cached_property
    def _random(self) -> list[Architecture]:
        """`DRAWN` random architectures at most, drawn once per search."""
        drawn: dict[str, Architecture] = {}
        for _ in range(DRAWN):
            one = self.space.sample_random(self.rng)
            drawn[one.key] = one
        return list(drawn.values())

    @cached_property
    def _random_keys(self) -> frozenset[str]:
        return frozenset(one.key for one in self._random)

    def _affordable(self, history: History, architecture: Architecture) -> bool:
        """Whether its costs are known and none is clearly beyond a limit of the space."""
        built = self._costs(history, architecture)
        if built is None or history.baseline is None:
            return built is not None
        limits = [limit for limit in self.space.limits if limit.metric in built]
        return all(built[m.metric] <= CLEARLY * m.bound(history.baseline.built[m.metric]) for m in limits)

    def _costs(self, history: History, architecture: Architecture) -> Mapping[str, float] | None:
        known = history.architectures.get(architecture.key)
        if known is not None and known.costs(self.objectives) is not None:
            return known.built
        if architecture.key not in self._built:
            self._built[architecture.key] = self.predict_costs(architecture)
        return self._built[architecture.key]

    def _promise(
        self, history: History, pool: Sequence[Architecture], mean: NDArray[np.float64], sd: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Expected hypervolume improvement of each architecture per epoch that it still needs.

        It is averaged over `NODES` in the order of its value at the last one, which bounds it, and only as long as that
        bound is not below what another promises; for the rest, whose promise is not the largest, it stays 0.
        """
        assert history.baseline is not None  # observations are gains over it
        zero = history.baseline
        front = [self._point(k.built, k.curve[self.epochs]["map50_95"]) for k in history.candidates if k.complete]
        front.append(self._point(zero.built, zero.curve[self.epochs]["map50_95"]))
        point = pareto.reference_point(front[-1], self.objectives)
        now = pareto.hypervolume(front, point, self.objectives)
        members = np.array(front)[pareto.front(front, self.objectives)].tolist()
        level = zero.curve[self.epochs]["map50_95"]
        each = [(self._costs(history, a) or {}, self._left(history, a)) for a in pool]

        def gained(i: int, gain: float) -> float:
            built, left = each[i]
            volume = pareto.hypervolume([*members, self._point(built, level + gain)], point, self.objectives)
            return (volume - now) / left

        most = [gained(i, mean[i] + sd[i] * NODES[-1]) for i in range(len(pool))]
        promise, best = np.zeros(len(pool)), 1e-9 * now
        for i in sorted(range(len(pool)), key=lambda i: -most[i]):
            if most[i] < best:
                break
            promise[i] = np.mean([gained(i, mean[i] + sd[i] * node) for node in NODES])
            best = max(best, promise[i])
        return np.where(promise > 1e-9 * now, promise, 0.0)

    def _left(self, history: History, architecture: Architecture) -> int:
        """How many epochs of the budget an architecture still needs."""
        known = history.architectures.get(architecture.key)
        return self.epochs - (known.epochs if known else 0)

    def _point(self, built: Mapping[str, float], map50_95: float) -> list[float]:
        return [map50_95 if m.stage == "trained" else built[m.name] for m in self.objectives]


class FreezeThawSampler(BaseSampler):
    """Optuna's side of `FreezeThaw`: proposes all parameters of the chosen architecture at once."""

    def __init__(self, freeze_thaw: FreezeThaw, history: History, fallback: BaseSampler):
        self.freeze_thaw, self.history, self.fallback = freeze_thaw, history, fallback

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter of the space."""
        return {name: IntDistribution(low, high) for name, (low, high) in self.freeze_thaw.space.parameters.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the architecture that promises most; none while the baseline is unknown."""
        if self.history.update().baseline is None:
            return {}
        chosen = self.freeze_thaw.choose(self.history)
        return {} if chosen is None else dict(self.freeze_thaw.space.encode(chosen))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """What the fallback draws, where nothing was proposed."""
        return self.fallback.sample_independent(study, trial, param_name, param_distribution)


def supports_freeze_thaw(objectives: Sequence[str]) -> bool:
    """Whether `FreezeThaw` can serve these objectives: map50_95 the only trained one, and something that costs."""
    trained = [name for name in objectives if METRICS[name].stage == "trained"]
    return trained == ["map50_95"] and len(objectives) > 1
