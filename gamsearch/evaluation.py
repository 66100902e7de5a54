"""The seam between searching and measuring: one method, values in, values out."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from gamsearch.architecture import Architecture


@dataclass(frozen=True)
class TrialBudget:
    """What one evaluation may cost: epochs of brief training, image size (px), batch (images) and the seed.

    A training may be paused after an epoch of `rungs` and go on later; `done` epochs were trained by an earlier, paused
    evaluation. With `curve` every epoch is validated, else the last one alone.
    """

    epochs: int
    imgsz: int = 640
    batch: int = 16
    seed: int = 0
    rungs: tuple[int, ...] = ()
    done: int = 0
    curve: bool = True


@dataclass(frozen=True)
class Measurement:
    """All figures of one evaluation.

    `metrics` maps metric names to values in their own units; `curve` has one mapping per epoch with `epoch` and the
    trained metrics of that epoch; `provenance` says how the figures came about (audit, seconds, versions).
    """

    metrics: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


Report = Callable[[int, Mapping[str, float]], None]
"""Called with `(0, built metrics)` before training and `(epoch, trained metrics)` after each epoch; it may raise.

An epoch that was not validated has no metrics.

The first epoch reported is `budget.done + 1`, or 1 if what was kept of the earlier evaluation is lost.
"""


class Paused(Exception):
    """Raised by a report after an epoch: stop here, and keep what is needed to go on."""


class Left(Paused):
    """The pause of a worker that was asked to end: another one goes on."""


class Evaluator(Protocol):
    """A performance-estimation strategy; the search cannot tell a real training from a replayed table."""

    def evaluate(self, architecture: Architecture, budget: TrialBudget, report: Report) -> Measurement:
        """Measure one architecture, or raise `CandidateFailed`; what `report` raises passes through."""
        ...

    def predict_costs(self, architecture: Architecture) -> Mapping[str, float] | None:
        """The built metrics of an architecture before it is built; None if they cannot be told."""
        ...
