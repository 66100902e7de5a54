"""Random architectures to train a shared network with. No torch.

The number of modules is uniform from none to as many as the rules allow, then the sites, then the module at each site,
then its options: so that few modules and many are trained alike, and a module with many options no more than others.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import spec_named
from gamsearch.errors import SpaceError
from gamsearch.space.options import listed
from gamsearch.space.search_space import SearchSpace

DRAWS = 2000
"""Random architectures from which it is estimated how often a site has attention, and misses before a space is seen as
exhausted."""
ALONE = 60
"""At most this many placements are measured alone; random architectures tell of the others."""
FILLS = 50
"""Random fillings of the sites that find out how many modules the rules allow."""


class Paths:
    """Random architectures of `space`, admissible under its rules, the baseline included."""

    def __init__(self, space: SearchSpace):
        self.space = space

    def sample(self, rng: random.Random) -> Architecture:
        """Sample a random architecture.

        Args:
            rng: The source of random numbers.

        Returns:
            The architecture.
        """
        return self._filled(rng, rng.randint(0, self.most))

    @cached_property
    def most(self) -> int:
        """How many modules the rules allow at once."""
        rng = random.Random(0)
        return max(len(self._filled(rng, len(self.space.sites)).placements) for _ in range(FILLS))

    @cached_property
    def share(self) -> float:
        """The share of steps that trains attention after a site, on average over the sites."""
        rng = random.Random(0)
        return sum(len(self.sample(rng).placements) for _ in range(DRAWS)) / DRAWS / len(self.space.sites)

    def _filled(self, rng: random.Random, modules: int) -> Architecture:
        """A random architecture with so many modules, or fewer where the rules allow no more."""
        chosen: tuple[Placement, ...] = ()
        for site in rng.sample(self.space.sites, len(self.space.sites)):
            if len(chosen) == modules:
                break
            if placement := self._placement(rng, site, chosen):
                chosen = (*chosen, placement)
        return Architecture.of(self.space.detector.name, chosen)

    def _placement(self, rng: random.Random, site: int, others: tuple[Placement, ...]) -> Placement | None:
        """A random placement at a site that the rules allow beside others."""
        by_module: dict[tuple[str, str], list[Placement]] = defaultdict(list)
        for placement in self.space.choices[site]:
            by_module[placement.module, placement.semantics].append(placement)
        for placements in rng.sample(list(by_module.values()), len(by_module)):
            for placement in rng.sample(placements, len(placements)):
                if self.space.refusal(Architecture.of(self.space.detector.name, (*others, placement))) is None:
                    return placement
        return None


def check_shareable(space: SearchSpace) -> None:
    """Check that one network can hold every architecture of a space: its rows must read the same maps in all of them.

    Args:
        space: The space.

    Raises:
        SpaceError: It mixes `inline` and `branch`.
    """
    if {"inline", "branch"} <= set(listed(space.semantics)):
        raise SpaceError(
            f"the space '{space.name}' has semantics inline and branch, so the same row reads the attended map in one "
            "architecture and not in another, which a shared network cannot: leave one of the two out, or do not screen"
        )


def families(placements: Sequence[Placement]) -> list[list[Placement]]:
    """Group the placements of one site by whose weights they share.

    Args:
        placements: Placements at one site, weak to strong within each module.

    Returns:
        The groups, each weak to strong; a placement that shares nothing is a group of its own.
    """
    groups: dict[object, list[Placement]] = defaultdict(list)
    for placement in placements:
        groups[_family(placement)].append(placement)
    return list(groups.values())


def _family(placement: Placement) -> object:
    """What placements at a site have in common that share weights: all but the strength of a nested module."""
    spec, options = spec_named(placement.module), dict(placement.options)
    if not spec.nested or options.get("groups", 1) != 1:  # hidden units of a grouped layer cannot be left out
        return placement
    return placement.module, tuple(pair for pair in placement.options if pair[0] != spec.strength)


def epochs_for(paths: Paths, steps: int, batches: int) -> int:
    """Compute how long to train a shared network.

    Args:
        paths: The random architectures that it is trained with.
        steps: Steps that train attention after each site, on average.
        batches: Batches of an epoch.

    Returns:
        Epochs, at least one.
    """
    return max(1, round(steps / paths.share / batches))


def spread(space: SearchSpace, paths: Paths, seed: int = 0) -> Iterator[Architecture]:
    """List architectures to measure in a trained shared network, each once.

    Args:
        space: The space.
        paths: Its random architectures.
        seed: Seed of the random ones.

    Yields:
        The baseline, `ALONE` random placements alone, then random architectures until the space is exhausted.
    """
    rng, seen, misses = random.Random(seed), set[Architecture](), 0
    alone = [Architecture.of(space.detector.name, [p]) for placements in space.choices.values() for p in placements]
    for architecture in [space.baseline, *rng.sample(alone, len(alone))[:ALONE]]:
        if space.refusal(architecture) is None:
            seen.add(architecture)
            yield architecture
    while len(seen) < space.size and misses < DRAWS:
        architecture = paths.sample(rng)
        misses = misses + 1 if architecture in seen else 0
        if not misses:
            seen.add(architecture)
            yield architecture
