"""The architectures among which freeze-thaw chooses."""

import random
from types import SimpleNamespace

from optuna.trial import TrialState
from support.curves import SPACE

from gamsearch.strategy import candidate_pool
from gamsearch.strategy.candidate_pool import CandidatePool
from gamsearch.study.history import ArchitectureHistory


def history(*known: ArchitectureHistory):
    return SimpleNamespace(
        architectures={k.architecture.key: k for k in known}, candidates=list(known), gain=lambda known, epoch: 0.0
    )


def ended(architecture, paused: bool) -> ArchitectureHistory:
    return ArchitectureHistory(architecture, 1, TrialState.PRUNED, paused=paused)


def test_a_small_space_is_considered_whole_without_the_baseline_and_what_is_settled():
    everything = [a for a in SPACE.enumerate() if not a.is_baseline]
    settled, paused, *rest = everything
    pool = CandidatePool(SPACE, random.Random(0)).unsettled(history(ended(settled, False), ended(paused, True)))
    assert pool == [paused, *rest]


def test_of_a_large_space_random_architectures_and_neighbours_of_the_best_are_considered(monkeypatch):
    monkeypatch.setattr(candidate_pool, "ENUMERABLE", 0)
    monkeypatch.setattr(candidate_pool, "SAMPLED", 16)
    pool = CandidatePool(SPACE, random.Random(0))
    alone = {a.key for a in pool.unsettled(history())}
    best = next(a for a in SPACE.enumerate() if len(a.placements) == 2)
    beside = {a.key for a in pool.unsettled(history(ended(best, True)))}
    assert 0 < len(alone) <= 16 and alone < beside and best.key in beside
