"""A search of a small space whose learning curves are known: gains grow with the epochs, costs are fixed."""

import math
import random

import optuna

from gamsearch.architecture import Architecture
from gamsearch.evaluation import TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING
from gamsearch.study import store
from gamsearch.study.table import trial_table
from gamsearch.training.replay import ReplayEvaluator, ReplayTable

SPACE = SearchSpace.load("gam-small", Detector.load("yolov8n"))


EPOCHS = 20


OBJECTIVES = ("map50_95", "latency_ms")


EFFECTS = {4: 0.05, 6: 0.01, 9: -0.03, 15: 0.02}


COSTS = {4: 2.0, 6: 1.0, 9: 0.5, 15: 1.5}


def final_gain(architecture: Architecture) -> float:
    """Additive effects; the weaker rate has half of them."""
    return sum(EFFECTS[p.site] / (1 if dict(p.options)["rate"] == 4 else 2) for p in architecture.placements)


def latency(architecture: Architecture) -> float:
    return 10.0 + sum(COSTS[p.site] / (1 if dict(p.options)["rate"] == 4 else 2) for p in architecture.placements)


def curve(architecture: Architecture, noise: float = 0.001) -> list[dict[str, float]]:
    """Gains that grow with the epochs, the slower the more the architecture costs."""
    rng, pace = random.Random(architecture.key), 2.0 + (latency(architecture) - 10.0)
    points = []
    for epoch in range(1, EPOCHS + 1):
        gain = final_gain(architecture) * (1 - math.exp(-epoch / pace)) + rng.gauss(0, noise)
        points.append({"epoch": epoch, "map50_95": 0.3 + 0.01 * epoch + gain, "map50": 0.5})
    return points


def evaluator() -> ReplayEvaluator:
    rows = {
        a.key: {
            "architecture": a.to_dict(),
            "metrics": {"params_m": 3.0, "gflops": 8.0, "latency_ms": latency(a), "latency_ratio": latency(a) / 10},
            "curves": {"0": curve(a)},
        }
        for a in SPACE.enumerate()
    }
    return ReplayEvaluator(ReplayTable("yolov8n", EPOCHS, (0,), rows))


class Quiet:
    def started(self, number, label, used, search_budget): ...
    def epoch(self, epoch, epochs, metrics): ...
    def ended(self, number, outcome, gain): ...


def new_study(folder) -> optuna.Study:
    folder.mkdir()
    return store.create(folder, [metric_named(m) for m in OBJECTIVES], {"settings": {}})


def run(study, sampler: str, stopping: str, search_budget: SearchBudget, with_=None, seed: int = 0) -> str:
    plan = Plan(SPACE, TrialBudget(EPOCHS), search_budget, sampler, 1, STOPPING[stopping], seed)
    return search(study, plan, with_ or evaluator(), Quiet())


def front_of(study: optuna.Study) -> set[str]:
    frame = trial_table(study)
    return set(frame[frame["on_front"]]["key"])


TRUE_FRONT = {
    a.key
    for a in SPACE.enumerate()
    if not any(
        curve(b)[-1]["map50_95"] >= curve(a)[-1]["map50_95"] and latency(b) <= latency(a) and b != a
        for b in SPACE.enumerate()
    )
}
