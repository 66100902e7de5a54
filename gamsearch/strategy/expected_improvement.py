"""Expected hypervolume improvement of the front after the full budget. No torch.

The cost of an architecture is known before training, so only its gain is uncertain, and the expectation is a
one-dimensional integral.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gamsearch.analysis import pareto
from gamsearch.metrics import Metric
from gamsearch.study.history import History

NODES = stats.norm.ppf((np.arange(8) + 0.5) / 8)
"""Standard normal quantiles at which the improvement is averaged."""


@dataclass(frozen=True)
class Front:
    """The front of finished trainings.

    Attributes:
        objectives: What spans it.
        members: Its points.
        reference_point: Of the hypervolume.
        volume: The hypervolume of all finished trainings.
        baseline: The baseline's primary metric, to which gains are added.
    """

    objectives: tuple[Metric, ...]
    members: list[list[float]]
    reference_point: tuple[float, ...]
    volume: float
    baseline: float

    @classmethod
    def of(cls, history: History, objectives: tuple[Metric, ...], epochs: int) -> "Front":
        """The front after `epochs` epochs; the baseline must be known."""
        assert history.baseline is not None
        zero = history.baseline
        level = history.level(zero, epochs)
        complete = [known for known in history.candidates if known.complete]
        values = [_point(objectives, known.built, history.level(known, epochs)) for known in complete]
        values.append(_point(objectives, zero.built, level))
        corner = pareto.reference_point(values[-1], objectives)
        members = np.array(values)[pareto.front(values, objectives)].tolist()
        return cls(objectives, members, corner, pareto.hypervolume(values, corner, objectives), level)

    def improvement(self, built: Mapping[str, float], gain: float) -> float:
        """By how much the hypervolume would grow with an architecture of these costs and this gain."""
        point = _point(self.objectives, built, self.baseline + gain)
        return pareto.hypervolume([*self.members, point], self.reference_point, self.objectives) - self.volume


def improvement_per_epoch(
    front: Front,
    built: Sequence[Mapping[str, float]],
    remaining: Sequence[int],
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Expected improvement of each architecture (`n`) per epoch that it still needs.

    Its costs are `built`, its `remaining` epochs and its gain (`mean`, `sd`) are given. The expectation is averaged
    over `NODES`. Architectures are visited in the order of their value at the last node, which bounds it, until that
    bound falls below what another one reaches; the rest, which cannot be the best, stay at 0.
    """

    def gained(i: int, gain: float) -> float:
        return front.improvement(built[i], gain) / remaining[i]

    most = [gained(i, mean[i] + sd[i] * NODES[-1]) for i in range(len(built))]
    expected, best = np.zeros(len(built)), 1e-9 * front.volume
    for i in sorted(range(len(built)), key=lambda i: -most[i]):
        if most[i] < best:
            break
        expected[i] = np.mean([gained(i, mean[i] + sd[i] * node) for node in NODES])
        best = max(best, expected[i])
    return np.where(expected > 1e-9 * front.volume, expected, 0.0)


def _point(objectives: Sequence[Metric], built: Mapping[str, float], primary: float) -> list[float]:
    return [primary if m.stage == "trained" else built[m.name] for m in objectives]
