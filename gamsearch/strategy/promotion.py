"""Which trainings continue beyond a rung: the best third of all that reached it, by non-dominated rank (MO-ASHA)."""

import moocore
import numpy as np
from optuna.trial import TrialState

from gamsearch.metrics import Metric
from gamsearch.strategy.stopping import REDUCTION
from gamsearch.study.history import ArchitectureHistory, History


def best_third(
    history: History, rung: int, objectives: tuple[Metric, ...], also: ArchitectureHistory | None = None
) -> list[ArchitectureHistory]:
    """The best 1/`REDUCTION` of all candidates that reached `rung`, best first; `also` is a training that just did."""
    reached = {k.architecture.key: k for k in history.candidates if rung in k.curve and k.state != TrialState.FAIL}
    if also is not None:
        reached[also.architecture.key] = also
    there = list(reached.values())
    count = len(there) // REDUCTION
    if count == 0:
        return []
    signs = [-1.0 if m.maximise else 1.0 for m in objectives]
    points = np.array([_point(k, rung, objectives) for k in there]) * signs
    ranks = moocore.pareto_rank(points)
    return [there[i] for i in sorted(range(len(there)), key=lambda i: (ranks[i], points[i, 0]))[:count]]


def promotable(history: History, rung: int, objectives: tuple[Metric, ...]) -> list[ArchitectureHistory]:
    """Those of the best third that are paused at `rung`, best first."""
    return [k for k in best_third(history, rung, objectives) if k.paused and k.epochs == rung]


def _point(known: ArchitectureHistory, rung: int, objectives: tuple[Metric, ...]) -> list[float]:
    return [known.curve[rung][m.name] if m.stage == "trained" else known.built[m.name] for m in objectives]
