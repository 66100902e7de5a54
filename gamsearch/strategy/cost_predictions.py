"""Costs of architectures before they are built, and whether they respect the limits of the space."""

from collections.abc import Callable, Mapping, Sequence

from gamsearch.architecture import Architecture
from gamsearch.metrics import Metric
from gamsearch.space.search_space import Limit
from gamsearch.study.history import History

PredictCosts = Callable[[Architecture], Mapping[str, float] | None]
"""The built metrics of an architecture before it is built; None if they cannot be predicted."""

TOLERANCE = 1.03
"""An architecture is not proposed if its predicted cost exceeds a limit by this factor; nearer ones are measured."""


class CostPredictions:
    """The built metrics of architectures: measured where they are known, else predicted once."""

    def __init__(self, limits: Sequence[Limit], objectives: tuple[Metric, ...], predict: PredictCosts):
        self.limits, self.objectives, self.predict = limits, objectives, predict
        self._predicted: dict[str, Mapping[str, float] | None] = {}

    def of(self, history: History, architecture: Architecture) -> Mapping[str, float] | None:
        """The built metrics of an architecture, or None if they cannot be predicted."""
        known = history.architectures.get(architecture.key)
        if known is not None and known.costs(self.objectives) is not None:
            return known.built
        if architecture.key not in self._predicted:
            self._predicted[architecture.key] = self.predict(architecture)
        return self._predicted[architecture.key]

    def admissible(self, history: History, architecture: Architecture) -> bool:
        """Whether the costs of an architecture are known and none is clearly beyond a limit of the space."""
        built = self.of(history, architecture)
        if built is None or history.baseline is None:
            return built is not None
        limits = [limit for limit in self.limits if limit.metric in built]
        return all(built[m.metric] <= TOLERANCE * m.bound(history.baseline.built[m.metric]) for m in limits)
