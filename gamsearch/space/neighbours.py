"""Architectures that differ from a given one at one site."""

import random

from gamsearch.architecture import Architecture
from gamsearch.errors import SpaceError
from gamsearch.space.search_space import SearchSpace


def neighbours(space: SearchSpace, architecture: Architecture) -> list[Architecture]:
    """List the architectures that are one change away.

    Args:
        space: The search space.
        architecture: An architecture of it.

    Returns:
        Every admissible architecture that differs at one site (changed, removed or added), never the baseline.
    """
    here = {p.site: p for p in architecture.placements}
    found = []
    for site, placements in space.choices.items():
        others = [p for s, p in here.items() if s != site]
        for new in (*placements, None):
            candidate = Architecture.of(space.detector.name, [*others, new] if new else others)
            if candidate != architecture and not candidate.is_baseline and space.refusal(candidate) is None:
                found.append(candidate)
    return found


def random_neighbour(space: SearchSpace, architecture: Architecture, rng: random.Random) -> Architecture:
    """Sample a neighbour: adding a module is as likely as changing or removing one.

    Args:
        space: The search space.
        architecture: An architecture of it.
        rng: The source of random numbers.

    Returns:
        One of `neighbours`.

    Raises:
        SpaceError: There is none.
    """
    count = len(architecture.placements)
    found = neighbours(space, architecture)
    added = [a for a in found if len(a.placements) > count]
    changed = [a for a in found if len(a.placements) <= count]
    kinds = [kind for kind in (changed, added) if kind]
    if not kinds:
        raise SpaceError(f"{architecture.label} has no admissible neighbour in the space '{space.name}'")
    return rng.choice(rng.choice(kinds))
