"""What a sampler must do, in searches of a made-up table in memory."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState

from gamsearch.architecture import Architecture
from gamsearch.evaluation import EpochReport, Measurement, TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.samplers import SAMPLERS
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING
from gamsearch.study import store
from gamsearch.tasks import DETECT

EPOCHS, TRIALS = 3, 14
SEVERAL = """
detector: yolov8n
sites: [4, 9]
attention: {GAM: {rate: [4, 16]}, Triplet: {kernel: [3, 7]}, CBAM: {kernel: [3, 7]}}
"""


@dataclass(frozen=True)
class Case:
    """A sampler and a small space that it can search."""

    name: str
    space: SearchSpace

    @cached_property
    def keys(self) -> list[str]:
        """Keys of the architectures that one search evaluated, in order."""
        return searched(self)


def cases(name: str) -> dict[str, Case]:
    """The sampler on the shipped space `gam-small`, and on one with several modules, of which one has no strength."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "several.yaml"
        path.write_text(SEVERAL, encoding="utf-8")
        several = SearchSpace.load(path)
    return {"": Case(name, SearchSpace.load("gam-small")), "several modules": Case(name, several)}


class MadeUp:
    """An evaluator whose figures depend on the architecture alone."""

    def evaluate(self, architecture: Architecture, budget: TrialBudget, report: EpochReport) -> Measurement:
        """Report every epoch of a made-up curve."""
        built = dict(self.predict_costs(architecture) or {})
        report(0, built)
        final = 0.4 + 0.02 * len(architecture.placements) + random.Random(architecture.key).uniform(-0.02, 0.02)
        curve = []
        for epoch in range(budget.done + 1, budget.epochs + 1):
            level = final * epoch / EPOCHS
            trained = {DETECT.primary: level, DETECT.secondary: 1.5 * level}
            curve.append({"epoch": epoch, **trained})
            report(epoch, trained)
        return Measurement({**built, **{k: v for k, v in curve[-1].items() if k != "epoch"}}, curve)

    def predict_costs(self, architecture: Architecture) -> Mapping[str, float] | None:
        """A cost that grows with the number of modules and their strength."""
        extra = sum(4.0 / float(dict(p.options).get("rate", 4)) for p in architecture.placements)
        return {
            "params_m": 3 + extra,
            "gflops": 8 + extra,
            "latency_ms": 10 + extra,
            "latency_ratio": 1 + extra / 10,
        }


class _Silent:
    def started(self, *_: object) -> None: ...
    def epoch(self, *_: object) -> None: ...
    def ended(self, *_: object) -> None: ...


def searched(case: Case) -> list[str]:
    """Search once; return the keys of the architectures that were evaluated, in order."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    objectives = [metric_named(name) for name in case.space.objectives]
    study = optuna.create_study(directions=[StudyDirection[m.direction.upper()] for m in objectives])
    for name, value in {"objectives": list(case.space.objectives), "settings": {}}.items():
        study.set_user_attr(name, value)
    plan = Plan(case.space, TrialBudget(EPOCHS, seed=3), SearchBudget(TRIALS), case.name, 1, STOPPING["off"], seed=3)
    search(study, plan, MadeUp(), _Silent())
    done = store.trials(study, TrialState.COMPLETE)
    return [t.user_attrs["key"] for t in done if "recalled_from" not in t.user_attrs]


def states_what_it_is(case: Case) -> None:
    assert SAMPLERS[case.name].summary, "the function has no docstring, which lists show"


def evaluates_as_many_architectures_as_the_budget_allows_each_once(case: Case) -> None:
    keys = case.keys
    assert len(keys) == len(set(keys)), "an architecture was evaluated twice"
    assert len(keys) == TRIALS + 1, f"{len(keys)} of {TRIALS + 1} trainings were used, the baseline included"


def proposes_only_architectures_of_the_space(case: Case) -> None:
    known = {a.key for a in case.space.enumerate()}
    assert set(case.keys) <= known, "an architecture outside the space was evaluated"


def proposes_the_same_at_the_same_seed(case: Case) -> None:
    assert searched(case) == case.keys, "a second search with the same seed went another way"


CHECKS = (
    states_what_it_is,
    evaluates_as_many_architectures_as_the_budget_allows_each_once,
    proposes_only_architectures_of_the_space,
    proposes_the_same_at_the_same_seed,
)
