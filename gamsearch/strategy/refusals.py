"""Architectures that are refused before any training: by a rule of the space, or by a limit on a built metric."""

from collections.abc import Mapping
from typing import NoReturn

import optuna

from gamsearch.architecture import Architecture
from gamsearch.metrics import METRICS
from gamsearch.space.search_space import SearchSpace


def refuse_by_rules(trial: optuna.Trial, space: SearchSpace, architecture: Architecture) -> None:
    """Prune the trial of an architecture that a rule of the space refuses."""
    refusal = space.refusal(architecture)
    trial.set_constraint("rules", 1.0 if refusal else -1.0)
    if refusal:
        for limit in space.limits:  # unknown before building, but samplers want the same constraints in all trials
            trial.set_constraint(f"limit:{limit.metric}", 0.0)
        _refuse(trial, f"rule: {refusal}")


def refuse_by_limits(
    trial: optuna.Trial, space: SearchSpace, baseline: Mapping[str, float] | None, built: Mapping[str, float]
) -> None:
    """Prune the trial of a candidate whose `built` metrics exceed a limit; the baseline itself (None) never does."""
    exceeded = []
    for limit in space.limits:
        bound = limit.bound((baseline or built)[limit.metric])
        trial.set_constraint(f"limit:{limit.metric}", built[limit.metric] - bound)
        if built[limit.metric] > bound:
            unit = METRICS[limit.metric].unit
            exceeded.append(f"{limit.metric} {built[limit.metric]:.4g} {unit} is above {bound:.4g} ({limit.text})")
    if exceeded and baseline is not None:
        _refuse(trial, "limit: " + "; ".join(exceeded))


def _refuse(trial: optuna.Trial, reason: str) -> NoReturn:
    trial.set_user_attr("reason", reason)
    trial.set_user_attr("feasible", False)
    raise optuna.TrialPruned
