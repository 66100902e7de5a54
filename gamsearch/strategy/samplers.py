"""Samplers by name. The encoding of a search space is static and ordinal, so every Optuna sampler can use it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler

from gamsearch.errors import OptionError
from gamsearch.plugins.registry import Registry, first_line, origin_of
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.freeze_thaw import FreezeThaw, FreezeThawSampler, supports_freeze_thaw
from gamsearch.strategy.random_samplers import ExhaustiveSampler, SparseRandomSampler
from gamsearch.study.history import History

AUTO = "auto"
STARTUP_TRIALS = 10
GP_LIMIT = 150
"""Trials up to which `auto` prefers `gp`: a proposal takes it a second once there are many trials."""


@dataclass(frozen=True)
class SamplerContext:
    """What a sampler can be made from.

    Attributes:
        space: The search space; `space.parameters` names every parameter with its lowest and highest value.
        trials: About how many full trainings the search has.
        seed: For the sampler's random numbers.
        history: What is known of each architecture; call `update` before reading.
        freeze_thaw: The Gaussian process over placements and epochs that `thaw` uses.
    """

    space: SearchSpace
    trials: int
    seed: int
    history: History
    freeze_thaw: FreezeThaw


Make = Callable[[SamplerContext], BaseSampler]


@dataclass(frozen=True)
class SamplerSpec:
    """A sampler by name.

    Attributes:
        make: Builds the Optuna sampler of a search.
        needs_start: It learns from whole trainings, so a search begins with some random ones.
        reads_curves: It learns from every epoch, so every epoch is validated.
        refuse: Says why it cannot search a space, or returns None.
    """

    make: Make
    needs_start: bool = False
    reads_curves: bool = False
    refuse: Callable[[SearchSpace], str | None] = lambda space: None

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return first_line(self.make)


SAMPLERS: Registry[SamplerSpec] = Registry("sampler", OptionError, also=(AUTO,))


def sampler(
    name: str,
    needs_start: bool = False,
    reads_curves: bool = False,
    refuse: Callable[[SearchSpace], str | None] = lambda space: None,
) -> Callable[[Make], Make]:
    """Register a function as a sampler: `@gamsearch.register.sampler`.

    Args:
        name: What `--sampler` calls it.
        needs_start: It learns from whole trainings, so a search begins with some random ones.
        reads_curves: It learns from every epoch, so every epoch is validated.
        refuse: Says why it cannot search a space, or returns None.

    Returns:
        A decorator for a function that takes a `SamplerContext` and returns an Optuna sampler.

    Raises:
        OptionError: The name is taken.
    """

    def register(make: Make) -> Make:
        SAMPLERS.add(name, SamplerSpec(make, needs_start, reads_curves, refuse), origin_of(make))
        return make

    return register


def sampler_named(name: str, space: SearchSpace) -> SamplerSpec:
    """Look up a sampler; `auto` is `thaw` where the objectives allow it, else `gp`, or `tpe` in a long search.

    Args:
        name: Its name, or `auto`.
        space: The space that it is to search.

    Returns:
        The sampler, without Optuna's warning that some are experimental.

    Raises:
        OptionError: There is no such sampler, or it cannot search this space.
    """
    if name == AUTO:
        spec = SAMPLERS["thaw"] if supports_freeze_thaw(space) else SamplerSpec(_gp_or_tpe, needs_start=True)
    else:
        spec = SAMPLERS.named(name)
    reason = spec.refuse(space)
    if reason:
        raise OptionError(f"--sampler {name} {reason}")
    return replace(spec, make=_quiet(spec.make))


def _quiet(make: Make) -> Make:
    def quietly(context: SamplerContext) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return make(context)

    return quietly


def _refuse_freeze_thaw(space: SearchSpace) -> str | None:
    if supports_freeze_thaw(space):
        return None
    named, primary = ", ".join(space.objectives), space.detector.task.primary
    return f"needs {primary} as the only trained objective and a cost beside it, not {named}; use --sampler gp"


@sampler("thaw", reads_curves=True, refuse=_refuse_freeze_thaw)
def freeze_thaw(context: SamplerContext) -> BaseSampler:
    """Freeze-thaw: a Gaussian process over placements and epochs pauses trainings and resumes the most promising."""
    return FreezeThawSampler(context.freeze_thaw, context.history, sparse_random(context))


@sampler("gp", needs_start=True)
def gaussian_process(context: SamplerContext) -> BaseSampler:
    """Optuna's Gaussian process with expected hypervolume improvement; learns from whole trainings."""
    fallback = sparse_random(context)
    return GPSampler(seed=context.seed, n_startup_trials=STARTUP_TRIALS, independent_sampler=fallback)


@sampler("tpe", needs_start=True)
def parzen(context: SamplerContext) -> BaseSampler:
    """Optuna's multivariate tree-structured Parzen estimator; for searches of hundreds of trials."""
    return TPESampler(seed=context.seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)


@sampler("nsga2", needs_start=True)
def genetic(context: SamplerContext) -> BaseSampler:
    """Optuna's NSGA-II, a genetic algorithm with a population of 12."""
    return NSGAIISampler(population_size=12, seed=context.seed)


@sampler("random")
def sparse_random(context: SamplerContext) -> BaseSampler:
    """Random architectures with typically one or two modules; the baseline for every other sampler."""
    return SparseRandomSampler(len(context.space.sites), seed=context.seed)


@sampler("brute")
def exhaustive(context: SamplerContext) -> BaseSampler:
    """Every architecture of the space once, in random order."""
    return ExhaustiveSampler(context.space, context.history, context.seed, sparse_random(context))


def _gp_or_tpe(context: SamplerContext) -> BaseSampler:
    return (gaussian_process if context.trials <= GP_LIMIT else parzen)(context)
