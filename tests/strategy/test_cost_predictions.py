"""Costs of architectures before they are built."""

from types import SimpleNamespace

from optuna.trial import TrialState
from support.curves import OBJECTIVES, SPACE

from gamsearch.metrics import metric_named
from gamsearch.space.search_space import Limit
from gamsearch.strategy.cost_predictions import CostPredictions
from gamsearch.study.history import ArchitectureHistory

METRICS = tuple(metric_named(name) for name in OBJECTIVES)
BASELINE = ArchitectureHistory(SPACE.baseline, 0, TrialState.COMPLETE, {"latency_ms": 10.0})
ONE = SPACE.anchors()[0]


def history(*known: ArchitectureHistory, baseline=BASELINE):
    return SimpleNamespace(architectures={k.architecture.key: k for k in known}, baseline=baseline)


def predictions(latency: float | None, calls: list | None = None) -> CostPredictions:
    def predict(architecture):
        (calls if calls is not None else []).append(architecture)
        return None if latency is None else {"latency_ms": latency}

    return CostPredictions([Limit("latency_ms", "+20%")], METRICS, predict)


def test_a_measured_cost_is_preferred_and_a_prediction_is_made_once():
    calls: list = []
    costs = predictions(12.0, calls)
    assert costs.of(history(), ONE) == costs.of(history(), ONE) == {"latency_ms": 12.0}
    assert len(calls) == 1
    measured = ArchitectureHistory(ONE, 1, TrialState.PRUNED, {"latency_ms": 11.0})
    assert costs.of(history(measured), ONE) == {"latency_ms": 11.0}


def test_what_is_clearly_beyond_a_limit_or_unpredictable_is_not_admissible():
    assert predictions(12.0).admissible(history(), ONE)
    assert predictions(12.3).admissible(history(), ONE)  # near enough to be measured
    assert not predictions(12.4).admissible(history(), ONE)
    assert not predictions(None).admissible(history(), ONE)
    assert predictions(99.0).admissible(history(baseline=None), ONE)
