"""The interface between searching and measuring: values in, values out."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from gamsearch.architecture import Architecture


@dataclass(frozen=True)
class TrialBudget:
    """The budget of one evaluation.

    Attributes:
        epochs: Epochs of training.
        imgsz: Image size (px).
        batch: Images per batch.
        seed: Seed of data order and augmentation.
        rungs: Epochs after which the training may be paused and resumed later.
        done: Epochs trained by an earlier, paused evaluation.
        curve: Whether every epoch is validated, or only the last one.
    """

    epochs: int
    imgsz: int = 640
    batch: int = 16
    seed: int = 0
    rungs: tuple[int, ...] = ()
    done: int = 0
    curve: bool = True


@dataclass(frozen=True)
class AutoBudget(TrialBudget):
    """The budget of a baseline that trains until its curve is flat; `epochs` is the most that it takes.

    Attributes:
        fewest: Epochs that it takes at least.
        decay_after: The epoch after which the learning rate decays, where it is known; else the curve decides.
    """

    fewest: int = 1
    decay_after: int | None = None


@dataclass(frozen=True)
class Measurement:
    """All figures of one evaluation.

    Attributes:
        metrics: Metric names to values, in the metrics' own units.
        curve: One mapping per validated epoch with `epoch` and the trained metrics of that epoch.
        provenance: How the figures were obtained: transfer audit, seconds, device, notes.
    """

    metrics: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON-ready form that records hold."""
        return asdict(self)


EpochReport = Callable[[int, Mapping[str, float]], None]
"""Called with `(0, built metrics)` before training and `(epoch, trained metrics)` after each epoch; it may raise.

An epoch that was not validated has no metrics. The first epoch reported is `budget.done + 1`, or 1 if the checkpoint of
the earlier evaluation is lost.
"""


class Paused(Exception):
    """Raised by an `EpochReport`: stop after this epoch, and keep what is needed to resume."""


class WorkerLeft(Paused):
    """Raised when a worker was asked to exit; another worker resumes the training."""


class Evaluator(Protocol):
    """A way to estimate performance; the search cannot tell a real training from a replayed table."""

    def evaluate(self, architecture: Architecture, budget: TrialBudget, report: EpochReport) -> Measurement:
        """Measure one architecture.

        Args:
            architecture: What to measure.
            budget: Its epochs, image size and seed.
            report: Called before training and after each epoch; what it raises must pass through.

        Returns:
            All figures.

        Raises:
            CandidateFailed: This architecture cannot be evaluated; the search continues with others.
        """
        ...

    def predict_costs(self, architecture: Architecture) -> Mapping[str, float] | None:
        """Predict the metrics that are known before training.

        Args:
            architecture: Any architecture of the space.

        Returns:
            Built metrics and `latency_ratio` (to the baseline); None if they cannot be predicted.
        """
        ...
