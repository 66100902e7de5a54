"""The gains measured so far, as observations of the surrogate."""

from collections.abc import Sequence
from math import exp, isfinite, log
from statistics import fmean

from gamsearch.strategy.surrogate import Observation
from gamsearch.study.history import History

MOST_OBSERVATIONS = 300
"""A surrogate is fitted to about this many observations, the latest ones: its cost grows with their cube."""


def observations(history: History, marks: Sequence[int]) -> list[Observation]:
    """The paired gains of all candidates, averaged over the epochs from each of `marks` (ascending) to the next.

    A single epoch's gain is noisy: on BCCD its noise (0.008) exceeded the differences between architectures (0.005).
    """
    found: list[Observation] = []
    for known in reversed(history.candidates):
        for first, last in zip((0, *marks), marks, strict=False):
            epochs = [epoch for epoch in known.curve if first < epoch <= last]
            gains = [gain for epoch in epochs if (gain := history.gain(known, epoch)) is not None]
            if epochs and len(gains) == len(epochs) and all(map(isfinite, gains)):
                centre = exp(fmean(map(log, epochs)))
                found.append(Observation(known.architecture, centre, fmean(gains), len(gains)))
        if len(found) >= MOST_OBSERVATIONS:
            break
    return found[::-1]
