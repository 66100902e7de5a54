"""Neighbours differ at one site, are admissible, and are changed as often as added."""

import random
from collections import Counter

from gamsearch.space.neighbours import random_neighbour
from gamsearch.space.search_space import SearchSpace


def test_a_neighbour_differs_at_one_site_and_is_admissible() -> None:
    space = SearchSpace.load("gam")
    rng = random.Random(2)
    architecture, sizes = space.baseline, Counter()
    for _ in range(200):
        neighbour = random_neighbour(space, architecture, rng)
        assert len({p.site for p in set(neighbour.placements) ^ set(architecture.placements)}) == 1
        assert space.refusal(neighbour) is None and not neighbour.is_baseline
        sizes[len(neighbour.placements) - len(architecture.placements)] += 1
        architecture = neighbour
    assert min(sizes[-1], sizes[0], sizes[1]) > 5


def test_neighbours_change_a_module_as_often_as_they_add_one() -> None:
    space = SearchSpace.load("gam")
    single = next(a for a in space.anchors() if len(a.placements) == 1)
    rng = random.Random(3)
    modules = Counter(len(random_neighbour(space, single, rng).placements) for _ in range(200))
    assert set(modules) == {1, 2} and min(modules.values()) > 60
