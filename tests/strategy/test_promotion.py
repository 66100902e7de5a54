"""Which trainings continue beyond a rung."""

from types import SimpleNamespace

from optuna.trial import TrialState
from support.curves import OBJECTIVES, SPACE

from gamsearch.metrics import metric_named
from gamsearch.strategy.promotion import best_third, promotable
from gamsearch.study.history import ArchitectureHistory

METRICS = tuple(metric_named(name) for name in OBJECTIVES)


def reached(number: int, score: float, paused: bool = True, latency: float = 10.0) -> ArchitectureHistory:
    """A training that ended after the rung at epoch 2."""
    architecture = list(SPACE.enumerate())[number]
    curve = {2: {"map50_95": score}}
    return ArchitectureHistory(architecture, number, TrialState.PRUNED, {"latency_ms": latency}, curve, paused)


def numbers(found) -> list[int]:
    return [known.number for known in found]


def test_a_third_is_promotable_best_rank_first():
    history = SimpleNamespace(candidates=[reached(n, 0.3 + n / 100, latency=10 + n) for n in range(1, 7)])
    assert numbers(best_third(history, 2, METRICS)) == [6, 5]  # all on the front, ordered by mAP
    history.candidates[0] = reached(1, 0.1, latency=20.0)  # dominated
    assert numbers(promotable(history, 2, METRICS)) == [6, 5]


def test_those_that_are_not_paused_are_counted_but_not_promotable():
    history = SimpleNamespace(candidates=[reached(1, 0.5, paused=False), *(reached(n, 0.3) for n in range(2, 7))])
    assert numbers(best_third(history, 2, METRICS))[0] == 1
    assert 1 not in numbers(promotable(history, 2, METRICS))


def test_fewer_than_three_are_not_enough_and_a_training_that_just_arrived_counts():
    history = SimpleNamespace(candidates=[reached(1, 0.4), reached(2, 0.3)])
    assert best_third(history, 2, METRICS) == []
    assert numbers(best_third(history, 2, METRICS, also=reached(3, 0.5))) == [3]
