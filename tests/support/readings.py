"""Made-up readings of shared networks of a small space."""

from itertools import islice

import numpy as np

from gamsearch.architecture import Architecture
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.shared_effects import Reading
from gamsearch.supernet.paths import Paths, spread

SPACE = SearchSpace.load("gam-small")
SINGLES = [Architecture.of(SPACE.detector.name, [p]) for offered in SPACE.choices.values() for p in offered]
GAINS = {4: 0.02, 6: 0.0, 9: -0.01, 15: 0.005}


def readings(rng: np.random.Generator, seeds: int = 2, gains=GAINS, noise=0.002, deviation=0.002) -> list[Reading]:
    """Networks of different levels that disagree a little about every site."""
    found = []
    for seed in range(seeds):
        level, own = 0.35 + rng.normal(0, 0.03), {site: rng.normal(0, deviation) for site in SPACE.sites}
        for architecture in islice(spread(SPACE, Paths(SPACE)), 33):
            value = level + sum(gains[p.site] + own[p.site] for p in architecture.placements)
            found.append(Reading(seed, architecture, value + rng.normal(0, noise)))
    return found
