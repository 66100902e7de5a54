"""The mixed model of the readings of shared networks."""

import random
import tracemalloc
from itertools import islice

import numpy as np
import pytest
from support.readings import GAINS, SINGLES, SPACE, readings

from gamsearch.architecture import Architecture
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.shared_effects import Reading, SharedEffects


def truth(architecture: Architecture) -> float:
    return sum(GAINS[p.site] for p in architecture.placements)


def test_the_baseline_gains_nothing_and_pairs_are_added_up():
    model = SharedEffects(SPACE, readings(np.random.default_rng(0)))
    gains, sds = model.predict([SPACE.baseline])
    assert gains[0] == 0 and sds[0] == 0
    pairs = [a for a in SPACE.enumerate() if len(a.placements) == 2]
    expected = np.array([truth(a) for a in pairs])
    assert np.corrcoef(model.predict(pairs)[0], expected)[0, 1] > 0.95


def test_the_intervals_hold_what_they_promise():
    inside = []
    for seed in range(40):
        gains, sds = SharedEffects(SPACE, readings(np.random.default_rng(seed))).predict(SINGLES)
        inside += list(
            np.abs(gains - [truth(a) for a in SINGLES]) <= 2.45 * sds
        )  # Student's t of (2 - 1) x 4 sites + 2
    assert np.mean(inside) > 0.9


def test_networks_that_disagree_make_it_less_certain_and_more_networks_more():
    agree = SharedEffects(SPACE, readings(np.random.default_rng(1), deviation=0.0))
    apart = SharedEffects(SPACE, readings(np.random.default_rng(1), deviation=0.02))
    assert agree.deviation < apart.deviation
    assert agree.predict(SINGLES)[1].max() < apart.predict(SINGLES)[1].min()
    more = SharedEffects(SPACE, readings(np.random.default_rng(1), seeds=6, deviation=0.02))
    assert more.predict(SINGLES)[1].max() < apart.predict(SINGLES)[1].max()


def test_two_sites_that_only_help_together_are_found():
    """Neither helps alone: the sign of each depends on the other."""
    rng, found = np.random.default_rng(2), []
    for seed in range(2):
        for architecture in SPACE.enumerate():
            both = {4, 9} == {p.site for p in architecture.placements}
            found.append(Reading(seed, architecture, 0.3 + 0.03 * both + rng.normal(0, 0.001)))
    model = SharedEffects(SPACE, found)
    pairs = [a for a in SPACE.enumerate() if len(a.placements) == 2]
    best = max(pairs, key=lambda a: model.predict([a])[0][0])
    assert {p.site for p in best.placements} == {4, 9}
    assert model.predict(SINGLES)[0].max() < model.predict([best])[0][0] / 2


@pytest.mark.parametrize("scale", [1e-4, 1.0])
def test_readings_of_any_size_are_fitted(scale):
    rng = random.Random(0)
    found = [Reading(0, a, 0.5 + scale * rng.random() / 2) for a in SPACE.enumerate()]
    gains, sds = SharedEffects(SPACE, found).predict(SINGLES)
    assert np.all(np.isfinite(gains)) and np.all(sds >= 0)


def test_thousands_of_architectures_are_predicted_in_little_memory():
    space = SearchSpace.load("gam-backbone")
    every = list(islice(space.enumerate(), 1500))
    model = SharedEffects(space, [Reading(0, a, 0.3 + 0.001 * i) for i, a in enumerate(every[:20])])
    tracemalloc.start()
    try:
        gains, sds = model.predict(every)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 15e6
    assert np.array_equal(model.gains(every), gains)
    assert sds[100] == pytest.approx(model.predict([every[100]])[1][0])
