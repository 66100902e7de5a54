"""The trainings besides proposals: the baseline, and candidates at other seeds.

The workers of a study share them; each is recorded as it ends.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gamsearch.analysis import pareto
from gamsearch.analysis.noise import architectures_to_repeat
from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, GamsearchError, RunError
from gamsearch.evaluation import WorkerLeft
from gamsearch.signals import stop_request
from gamsearch.strategy.search_context import SearchContext
from gamsearch.study import store
from gamsearch.study.table import read_record

UNSEEDED = random.SystemRandom()
"""Trainings seed Python's global generator, with which all workers would choose alike."""

Metrics = dict[str, float]


class Job(NamedTuple):
    """A training at another seed: the study attribute that takes its result, and what is trained for which trial."""

    attribute: str
    architecture: Architecture
    number: int
    seed: int


def require_baseline(context: SearchContext, evaluate: Callable[[], None]) -> None:
    """Have trial 0 evaluated by `evaluate` unless it is recorded; its objectives determine the reference point."""
    study = context.study
    if store.baseline_trial(study) is None:
        evaluate()
    baseline = store.baseline_trial(study)
    if baseline is None:
        reason = store.trials(study)[-1].user_attrs.get("reason", "unknown")
        raise RunError(f"the baseline could not be evaluated ({reason}), so nothing can be compared with it")
    if "reference_point" not in study.user_attrs:
        point = pareto.reference_point(baseline.values, store.objectives_of(study))
        study.set_user_attr("reference_point", list(point))


def measure_noise(context: SearchContext) -> float:
    """Train the baseline at the plan's other seeds as far as the record lacks them.

    Returns:
        The standard deviation of its primary metric over the seeds (0 if unknown); that of paired gains is smaller.
    """
    study, seed = context.study, context.plan.trial_budget.seed
    baseline = store.baseline_trial(study)
    assert baseline is not None
    first = {**baseline.user_attrs["measurement"]["metrics"], "seed": seed}
    architecture = context.plan.space.baseline
    jobs = [Job(f"control:{s}", architecture, 0, s) for s in range(seed + 1, seed + context.plan.noise_seeds)]
    _adopt(context, jobs, study.user_attrs.get("baseline_seeds", []))

    def write(done: list[Job]) -> None:
        study.set_user_attr("baseline_seeds", [first, *(study.user_attrs[job.attribute] for job in done)])

    def give_up(_: Job, failure: CandidateFailed) -> None:
        raise RunError(f"the baseline failed at another seed ({failure}), so its noise is unknown") from failure

    _share(context, jobs, write, give_up)
    return _deviation(study.user_attrs["baseline_seeds"], context.history.task.primary)


def confirm_best(context: SearchContext) -> None:
    """Train the best candidate and a few others at the baseline's other seeds as far as the record lacks them.

    The best of many gains at one seed is too good by selection; its paired gains at other seeds are not. The user's
    own architectures were not selected, but they are to be ranked with intervals. The others only serve to estimate the
    noise. They are the first that were proposed, since a choice by their result would bias it.
    """
    study = context.study
    candidates = read_record(study, "").candidates
    imported = candidates[candidates["imported"] != ""]
    best = candidates.head(1)
    best = best[best[context.history.task.gain] > 0]
    if best.empty and imported.empty:
        return
    others = candidates.drop(best.index).sort_values("number")
    seeds = [int(control["seed"]) for control in study.user_attrs["baseline_seeds"][1:]]
    first = pd.concat([best, imported]).drop_duplicates("key")
    most = max(len(first), architectures_to_repeat(len(seeds) + 1))
    chosen = pd.concat([first, others]).drop_duplicates("key").head(most)
    jobs = []
    for _, row in chosen.iterrows():
        architecture, number = Architecture.from_dict(row["architecture"]), int(row["number"])
        own = [Job(f"confirmation:{row['key']}:{seed}", architecture, number, seed) for seed in seeds]
        _adopt(context, own, study.user_attrs.get("confirmations", {}).get(row["key"], []))
        jobs += own

    def write(done: list[Job]) -> None:
        found: dict[str, list[Metrics]] = {}
        for job in done:
            found.setdefault(job.architecture.key, []).append(study.user_attrs[job.attribute])
        study.set_user_attr("confirmations", {**study.user_attrs.get("confirmations", {}), **found})

    def give_up(job: Job, failure: CandidateFailed) -> None:
        context.progress.ended(job.number, f"not confirmed: {failure}", None)

    _share(context, jobs, write, give_up)


def _adopt(context: SearchContext, jobs: Sequence[Job], recorded: Sequence[Metrics]) -> None:
    """Take over results that were recorded before workers shared these trainings."""
    known = {metrics["seed"]: metrics for metrics in recorded}
    for job in jobs:
        if job.seed in known and job.attribute not in context.study.user_attrs:
            context.study.set_user_attr(job.attribute, known[job.seed])


def _share(
    context: SearchContext,
    jobs: Sequence[Job],
    write: Callable[[list[Job]], None],
    give_up: Callable[[Job, CandidateFailed], None],
) -> None:
    """Have each job done by one of the workers; `write` receives those that are done so far, in order.

    After a failure, which `give_up` receives, the architecture's other jobs are left out. Two workers that choose the
    same job at the same time both do it, with the same result.
    """
    study, registry = context.study, context.registry
    while True:
        stop_request.check()
        recorded: Mapping[str, Any] = study.user_attrs
        write([job for job in jobs if job.attribute in recorded])
        missing = [job for job in jobs if job.attribute not in recorded]
        if not missing:
            return
        if registry.leaving:
            raise KeyboardInterrupt
        taken = registry.tasks()
        free = [job for job in missing if job.attribute not in taken]
        if not free:
            registry.wait()
            continue
        job = UNSEEDED.choice(free) if registry.others() else free[0]
        try:
            with registry.working_on(job.attribute):
                result = _train(context, job)
                with stop_request.deferred():
                    study.set_user_attr(job.attribute, result)
        except CandidateFailed as failure:
            give_up(job, failure)
            jobs = [one for one in jobs if one.architecture.key != job.architecture.key or one.attribute in recorded]


def _train(context: SearchContext, job: Job) -> Metrics:
    """The metrics of an architecture at another seed; an unexpected exception becomes a `CandidateFailed`."""
    context.report_start(job.number, f"{job.architecture.label}, seed {job.seed}")
    budget = replace(context.plan.trial_budget, seed=job.seed, curve=False)

    def report(epoch: int, metrics: Mapping[str, float]) -> None:
        stop_request.check()
        if epoch:
            context.progress.epoch(epoch, budget.epochs, metrics)
            if context.registry.leaving and epoch < budget.epochs:
                raise WorkerLeft

    try:
        with stop_request.precedence():
            measurement = context.evaluator.evaluate(job.architecture, budget, report)
    except WorkerLeft as left:
        raise KeyboardInterrupt from left
    except (CandidateFailed, GamsearchError):
        raise
    except Exception as error:
        raise CandidateFailed("error", f"{type(error).__name__}: {error}") from error
    return {**measurement.metrics, "seed": job.seed}


def _deviation(baselines: Sequence[Mapping[str, float]], metric: str) -> float:
    values = [float(b[metric]) for b in baselines if isfinite(b.get(metric, inf))]
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
