"""A search of a small space whose final figures are known; curves rise linearly to them."""

import json
import random
from pathlib import Path

import optuna
from optuna.trial import TrialState

from gamsearch.architecture import Architecture
from gamsearch.evaluation import TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.study import store

YOLOV8N = Detector.load("yolov8n")


SMALL = SearchSpace.load("gam-small", YOLOV8N)


BUDGET = TrialBudget(epochs=3, imgsz=160, batch=8, seed=0)


class PredictsCosts:
    """The part of an evaluator that most tests do not change."""

    def predict_costs(self, architecture):
        return {name: value for name, value in figures(architecture).items() if not name.startswith("map")}


class Quiet:
    """Remembers outcomes instead of displaying them."""

    def __init__(self):
        self.outcomes: dict[int, str] = {}

    def started(self, number, label, used, search_budget): ...

    def epoch(self, epoch, epochs, metrics): ...

    def ended(self, number, outcome, gain):
        self.outcomes[number] = outcome


def figures(architecture: Architecture, seed: int = 0) -> dict[str, float]:
    """A synthetic landscape: costs add up, GAM after row 4 helps, every module costs some accuracy."""
    rng = random.Random(f"{architecture.key}{seed}")
    cost = sum(4.0 / dict(p.options)["rate"] for p in architecture.placements)
    helps = 0.03 if any(p.site == 4 for p in architecture.placements) else 0.0
    score = 0.40 + helps - 0.004 * len(architecture.placements) + rng.gauss(0, 0.002)
    costs = {"params_m": 3.0 + cost, "gflops": 8.0 + cost, "latency_ms": 10.0 + cost}
    return {"map50_95": score, "map50": score + 0.2, **costs}


def table_of(space: SearchSpace, path: Path) -> Path:
    rows = []
    for architecture in space.enumerate():
        final = figures(architecture)
        trained = ("map50_95", "map50")
        curve = [{"epoch": e, **{name: final[name] * e / 3 for name in trained}} for e in (1, 2, 3)]
        built = {name: value for name, value in final.items() if name not in trained}
        rows.append({"architecture": architecture.to_dict(), "metrics": built, "curves": {"0": curve}})
    path.write_text(json.dumps({"detector": space.detector.name, "epochs": 3, "seeds": [0], "rows": rows}))
    return path


def new_study(folder: Path, space: SearchSpace = SMALL) -> optuna.Study:
    folder.mkdir(exist_ok=True)
    return store.create(folder, [metric_named(m) for m in space.objectives], {"settings": {}})


def run(study: optuna.Study, evaluator, trials: int = 6, space: SearchSpace = SMALL, **plan) -> tuple[str, Quiet]:
    progress = Quiet()
    chosen = Plan(space, BUDGET, SearchBudget(trials), **{"sampler": "random", "noise_seeds": 1, **plan})
    return search(study, chosen, evaluator, progress), progress


def keys(study: optuna.Study, state: TrialState = TrialState.COMPLETE) -> list[str]:
    return [t.user_attrs["key"] for t in store.trials(study, state) if "recalled_from" not in t.user_attrs]
