"""Syne Tune's MOASHA on a replay table: its scheduler decides, this loop trains (`pip install gamsearch[bench]`).

MOASHA (Schmucker et al., arXiv 2106.12639; syne-tune 0.16) samples architectures at random and stops a training at a
rung unless non-dominated sorting puts it among the best 1/reduction of those that reached the rung; it never resumes
one. All choices left open are made in MOASHA's favour: the hand-designed architectures with which the other arms start
come first; sampling is free, and a repeat is sampled again; once the whole space has been sampled, stopped trainings
resume up to the next rung at which they have not been compared yet. So each epoch is counted once, and the search does
exhaust the space. (With repeats as new trials, as the scheduler alone has them, copies of the best architectures fill
the rungs and stop all others: on a synthetic table it stayed below 90 %.)
"""

from datetime import datetime
from typing import Any

import numpy as np
from orders import Traces, measured_gains
from truth import Truth

from gamsearch.architecture import Architecture
from gamsearch.errors import OptionError
from gamsearch.metrics import metric_named
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.stopping import REDUCTION
from gamsearch.training.replay import ReplayTable

MAX_SAMPLES = 10_000


def moasha(table: ReplayTable, space: SearchSpace, truth: Truth, seed: int) -> Traces:
    """One search until it is finished or every architecture is fully trained."""
    scheduler = _scheduler(table, space, seed)
    first = [a.key for a in space.anchors() if a.key in truth.gains]
    trained: dict[str, int] = {}
    gains, traces = measured_gains(table), Traces([], [])
    while not traces.finished:
        key = first.pop(0) if first else _sample(scheduler, trained, set(truth.gains), table.epochs)
        if key is None:
            break
        trained[key] = _train(scheduler, key, table, space, trained.get(key, 0))
        whole = [k for k, epochs in trained.items() if epochs == table.epochs]
        spent, known = sum(trained.values()), {k: gains[k] for k in whole}
        traces.found.append((spent, truth.share(whole)))
        traces.recommended.append((table.epochs + spent, truth.share(truth.front_by(known))))
    return traces


def _sample(scheduler: Any, trained: dict[str, int], everything: set[str], epochs: int) -> str | None:
    """The scheduler's next new proposal, or one to resume if none is new; None when all are fully trained."""
    eligible = everything - trained.keys() or {key for key, done in trained.items() if done < epochs}
    for _ in range(MAX_SAMPLES if eligible else 0):
        key = str(scheduler.suggest().config["architecture"])
        if key in eligible:
            return key
    return None


def _scheduler(table: ReplayTable, space: SearchSpace, seed: int) -> Any:
    """MOASHA over the table's architectures, with the reduction factor of gamsearch and the shortest grace period."""
    try:
        from syne_tune.config_space import choice
        from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA
    except ImportError as error:
        raise OptionError(f"the arm moasha needs syne-tune ({error}); pip install 'gamsearch[bench]'") from error
    np.random.seed(seed)  # the scheduler samples from numpy's global stream despite its own seed
    keys = [key for key, row in table.rows.items() if not Architecture.from_dict(row["architecture"]).is_baseline]
    return MOASHA(
        {"architecture": choice(keys)},
        metrics=list(space.objectives),
        time_attr="epoch",
        max_t=table.epochs,
        grace_period=1,
        reduction_factor=REDUCTION,
        random_seed=seed,
    )


def _train(scheduler: Any, key: str, table: ReplayTable, space: SearchSpace, done: int) -> int:
    """Report the epochs after `done` until the scheduler stops the trial or the table ends; returns the last epoch."""
    from syne_tune.backend.trial_status import Trial
    from syne_tune.optimizer.scheduler import SchedulerDecision

    row = table.rows[key]
    trial = Trial(trial_id=int(key, 16), config={"architecture": key}, creation_time=datetime.now())
    scheduler.on_trial_add(trial)
    for point in row["curves"][str(table.seeds[0])][done:]:
        figures = {**row["metrics"], **point}
        result = {name: _minimised(name, figures[name]) for name in space.objectives}
        decision = scheduler.on_trial_result(trial, {**result, "epoch": int(point["epoch"])})
        if decision != SchedulerDecision.CONTINUE:
            break
    return int(point["epoch"])


def _minimised(name: str, value: float) -> float:
    """The value with the sign that MOASHA minimises."""
    return -value if metric_named(name).maximise else value
