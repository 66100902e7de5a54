"""From a run's settings and its screening to the plan of its search."""

import optuna

from gamsearch.evaluation import TrialBudget
from gamsearch.runs.imports import recorded
from gamsearch.runs.prepared import PreparedRun
from gamsearch.runs.screening import SCREENING
from gamsearch.runs.settings import Settings
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.screening import Screening
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import stopping_named


def plan_of(settings: Settings, prepared: PreparedRun, study: optuna.Study) -> Plan:
    """Plan a search; where a screening found that nothing pays, only the baseline and what was imported are trained.

    Args:
        settings: The run's settings.
        prepared: Its inputs.
        study: The record, which may hold a screening.

    Returns:
        The plan.
    """
    budget = TrialBudget(settings.epochs, settings.imgsz, settings.batch, settings.seed)
    seeds = min(settings.noise_seeds, prepared.seeds or settings.noise_seeds)
    screening = Screening.read(prepared.space, study.user_attrs.get(SCREENING, {}))
    amount, imported = settings.search_budget, recorded(study)
    if screening is not None and screening.nothing_pays and not settings.search_anyway:
        amount, seeds = SearchBudget(len(imported)), seeds if imported else 1
    stopping = stopping_named(settings.stopping)
    return Plan(prepared.space, budget, amount, settings.sampler, seeds, stopping, settings.seed, screening, imported)
