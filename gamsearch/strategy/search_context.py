"""What all steps of one search share."""

import random
from dataclasses import dataclass, field

import optuna

from gamsearch.evaluation import Evaluator
from gamsearch.metrics import Metric
from gamsearch.strategy.freeze_thaw import FreezeThaw, FreezeThawSampler
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.progress import Progress
from gamsearch.strategy.samplers import SamplerContext, sampler_named
from gamsearch.strategy.stopping_policy import StoppingPolicy
from gamsearch.strategy.streaks import Streaks
from gamsearch.strategy.surrogate import Surrogates
from gamsearch.study import store
from gamsearch.study.claims import TrialClaims
from gamsearch.study.history import History
from gamsearch.study.single_worker import SingleWorker


@dataclass(frozen=True)
class SearchContext:
    """What all steps of one search share.

    Attributes:
        study: The record, which other workers may share.
        plan: What the search is to do.
        evaluator: Measures architectures.
        progress: Displays what happens.
        registry: The workers of the study.
        claims: The trials that other workers are running.
        objectives: As in the study.
        history: What is known of each architecture; call `update` before reading.
        policy: Decides when trainings stop.
        freeze_thaw: Decides when trainings pause; None if the sampler never pauses any.
        streaks: Repeats and errors in a row.
    """

    study: optuna.Study
    plan: Plan
    evaluator: Evaluator
    progress: Progress
    registry: SingleWorker
    claims: TrialClaims
    objectives: tuple[Metric, ...]
    history: History
    policy: StoppingPolicy
    freeze_thaw: FreezeThaw | None
    streaks: Streaks = field(default_factory=Streaks)

    @property
    def used(self) -> float:
        """How much of the search budget is used up; a failed candidate counts as a full training. Does not update."""
        history, each = self.history, self.plan.trial_budget.epochs
        return self.plan.search_budget.used(history.charged(each), each, history.seconds)

    def report_start(self, number: int, label: str) -> None:
        """Report that a training of trial `number` starts."""
        self.progress.started(number, label, self.used, self.plan.search_budget)


def open_context(
    study: optuna.Study, plan: Plan, evaluator: Evaluator, progress: Progress, registry: SingleWorker
) -> SearchContext:
    """Collect what the steps of a search share, and set the study's sampler."""
    objectives, history = store.objectives_of(study), History(study)
    surrogates = Surrogates(plan.space, plan.screening.gains if plan.screening else None)
    epochs, rungs = plan.trial_budget.epochs, plan.trial_budget.rungs
    seed = _sampler_seed(study, plan, registry)
    freeze_thaw = FreezeThaw(
        plan.space, objectives, epochs, rungs, evaluator.predict_costs, random.Random(seed), surrogates
    )
    context = SamplerContext(plan.space, plan.trials, seed, history, freeze_thaw)
    study.sampler = sampler_named(plan.sampler, plan.space).make(context)
    return SearchContext(
        study,
        plan,
        evaluator,
        progress,
        registry,
        TrialClaims(history, registry),
        objectives,
        history,
        StoppingPolicy(plan.stopping, objectives, surrogates),
        freeze_thaw if isinstance(study.sampler, FreezeThawSampler) else None,
    )


def _sampler_seed(study: optuna.Study, plan: Plan, registry: SingleWorker) -> int:
    """A resumed search must not sample the same again, nor one worker the same as the next."""
    seed = plan.seed + len(store.trials(study))
    return seed if registry.leads else seed + int(registry.id, 16) % 10**6
