"""Samplers by name. The encoding of a search space is static and ordinal, so every Optuna sampler can use it.

`thaw` is implemented here (see `freeze_thaw`): it learns from every epoch and decides which training continues. On this
encoding `gp` needs about 30 trials for what `tpe` needs 120, but a proposal takes a second once there are many trials.
"""

import random
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from gamsearch.architecture import Architecture
from gamsearch.errors import OptionError, nearest
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.freeze_thaw import FreezeThaw, FreezeThawSampler, supports_freeze_thaw
from gamsearch.study.history import History

STARTUP_TRIALS = 10
GP_LIMIT = 150
SHUFFLED = 100_000
"""`brute` takes a space of at most so many architectures in random order."""
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


class ExhaustiveSampler(BaseSampler):
    """Every architecture of `space` once, those that others are at work on left out, in an order drawn by `seed`.

    Optuna's own asks that all trials name their parameters in one order, which its gRPC proxy does not keep.
    """

    def __init__(self, space: SearchSpace, history: History, seed: int, fallback: BaseSampler):
        self.space, self.history, self.fallback = space, history, fallback
        self.rng = random.Random(seed)

    @cached_property
    def order(self) -> Iterable[Architecture]:
        """All of a space of moderate size, shuffled; a larger one as it is enumerated."""
        if self.space.size > SHUFFLED:
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
        """The parameters of the first architecture that is not settled; none if there is none left."""
        known, busy = self.history.update().known, self.history.running
        for one in self.order:
            new = one.key not in known or not known[one.key].settled
            if new and one.key not in busy and not one.is_baseline:
                return dict(self.space.encode(one))
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """What the fallback draws, where nothing was proposed."""
        return self.fallback.sample_independent(study, trial, param_name, param_distribution)


@dataclass(frozen=True)
class SamplerContext:
    """What a sampler can be made from: how many sites and full trainings there are, its seed, and what is known."""

    sites: int
    trials: int
    seed: int
    freeze_thaw: FreezeThaw
    history: History


@dataclass(frozen=True)
class SamplerSpec:
    """A sampler by name.

    One that `needs_start` learns from whole trainings and begins with some random ones; one that `reads_curves` learns
    from every epoch.
    """

    make: Callable[[SamplerContext], BaseSampler]
    needs_start: bool = False
    reads_curves: bool = False


def _freeze_thaw(context: SamplerContext) -> BaseSampler:
    return FreezeThawSampler(context.freeze_thaw, context.history, _random(context))


def _random(context: SamplerContext) -> BaseSampler:
    return SparseRandomSampler(context.sites, seed=context.seed)


def _gp(context: SamplerContext) -> BaseSampler:
    return GPSampler(seed=context.seed, n_startup_trials=STARTUP_TRIALS, independent_sampler=_random(context))


def _tpe(context: SamplerContext) -> BaseSampler:
    return TPESampler(seed=context.seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)


def _gp_or_tpe(context: SamplerContext) -> BaseSampler:
    return (_gp if context.trials <= GP_LIMIT else _tpe)(context)


SAMPLERS: dict[str, SamplerSpec] = {
    "thaw": SamplerSpec(_freeze_thaw, reads_curves=True),
    "gp": SamplerSpec(_gp, needs_start=True),
    "tpe": SamplerSpec(_tpe, needs_start=True),
    "nsga2": SamplerSpec(lambda context: NSGAIISampler(population_size=12, seed=context.seed), needs_start=True),
    "random": SamplerSpec(_random),
    "brute": SamplerSpec(
        lambda context: ExhaustiveSampler(context.freeze_thaw.space, context.history, context.seed, _random(context))
    ),
}
AUTO = "auto"


def sampler_names() -> list[str]:
    """What `--sampler` takes."""
    return [AUTO, *SAMPLERS]


def sampler_named(name: str, space: SearchSpace) -> SamplerSpec:
    """Return the sampler called `name` for `space`, or say which there are.

    `auto` is `thaw` if the space's objectives allow it, else `gp` up to 150 trials and `tpe` beyond.
    """
    if name not in sampler_names():
        names = sampler_names()
        raise OptionError(f"there is no sampler '{name}'{nearest(name, names)}; there are {', '.join(names)}")
    if name == AUTO:
        return (
            SAMPLERS["thaw"]
            if supports_freeze_thaw(space.objectives)
            else SamplerSpec(_quiet(_gp_or_tpe), needs_start=True)
        )
    if name == "thaw" and not supports_freeze_thaw(space.objectives):
        raise OptionError(
            f"--sampler thaw needs map50_95 as the only trained objective and a cost beside it, not "
            f"{', '.join(space.objectives)}; use --sampler gp"
        )
    return replace(SAMPLERS[name], make=_quiet(SAMPLERS[name].make))


def _quiet(make: Callable[[SamplerContext], BaseSampler]) -> Callable[[SamplerContext], BaseSampler]:
    """Without Optuna's warning that a sampler is experimental."""

    def quietly(context: SamplerContext) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return make(context)

    return quietly
