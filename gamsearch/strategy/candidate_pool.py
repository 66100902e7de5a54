"""The architectures among which freeze-thaw chooses. No torch."""

import random
from functools import cached_property

from gamsearch.architecture import Architecture
from gamsearch.space.neighbours import neighbours
from gamsearch.space.search_space import SearchSpace
from gamsearch.study.history import History

ENUMERABLE = 1024
"""A space of at most this many architectures is considered whole."""
SAMPLED = 256
"""Of a larger space this many random architectures are considered, and as many neighbours of the best so far."""
PARENTS = 8


class CandidatePool:
    """The architectures of a space that are worth considering."""

    def __init__(self, space: SearchSpace, rng: random.Random):
        self.space, self.rng = space, rng

    def unsettled(self, history: History) -> list[Architecture]:
        """Admissible architectures that are not settled; all paused ones are among them."""
        paused = {k.architecture.key: k.architecture for k in history.candidates if not k.settled}
        everything = self._everything if self._everything is not None else self._sampled(history)
        settled = {key for key, known in history.architectures.items() if known.settled}
        fresh = [a for a in everything if a.key not in settled and a.key not in paused and not a.is_baseline]
        return [*paused.values(), *fresh]

    @cached_property
    def _everything(self) -> list[Architecture] | None:
        """Every architecture with attention, or None if there are too many."""
        return [a for a in self.space.enumerate() if not a.is_baseline] if self.space.size <= ENUMERABLE else None

    def _sampled(self, history: History) -> list[Architecture]:
        """Sparse random architectures, and some neighbours of the best candidates so far."""
        inside = [known for known in history.candidates if known.architecture in self.space]
        best = sorted(inside, key=lambda k: -(history.gain(k, k.epochs) or 0.0))[:PARENTS]
        near: dict[str, Architecture] = {}
        for known in best:
            around = neighbours(self.space, known.architecture)
            for one in self.rng.sample(around, min(len(around), SAMPLED // PARENTS)):
                near[one.key] = one
        return [*self._random.values(), *(one for key, one in near.items() if key not in self._random)]

    @cached_property
    def _random(self) -> dict[str, Architecture]:
        """At most `SAMPLED` random architectures by key, sampled once per search."""
        sampled = (self.space.sample_random(self.rng) for _ in range(SAMPLED))
        return {one.key: one for one in sampled}
