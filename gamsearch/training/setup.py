"""What an evaluation is set up with, as values: where files lie, how it trains, how it measures and predicts costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gamsearch.architecture import Architecture
from gamsearch.study.artifacts import Artifacts
from gamsearch.training.recipe import SHORT_TRAINING
from gamsearch.training.trainer import LeanTrainer


@dataclass(frozen=True)
class Folders:
    """Where an evaluator keeps files.

    Attributes:
        scratch: Ultralytics' own folder of a training.
        weights: The weights of every finished training, as `KEY-seedN.pt` (a state dict); not kept if None.
        paused: Trainings that are under way or paused; not kept if None.
        artifacts: Passes weights and paused trainings to workers that do not share the folders.
    """

    scratch: Path
    weights: Path | None = None
    paused: Path | None = None
    artifacts: Artifacts | None = None


@dataclass(frozen=True)
class Recipe:
    """How a candidate is trained.

    Attributes:
        arguments: Ultralytics training arguments.
        user: The user's own, which come last; `attention_lr` replaces the catalogue's learning-rate factors.
        trainer: The trainer; it may add details to the provenance.
        halve_batch: Whether a candidate that runs out of memory is tried again with half the batch. The baseline, with
            which all others are compared, never is.
    """

    arguments: Mapping[str, Any] = field(default_factory=lambda: SHORT_TRAINING)
    user: Mapping[str, Any] = field(default_factory=dict)
    trainer: type[LeanTrainer] = LeanTrainer
    halve_batch: bool = True


@dataclass(frozen=True)
class CostSettings:
    """How costs are measured and predicted.

    Attributes:
        backend: The latency backend.
        reference_ms: The baseline's latency that all latencies of a study refer to; measured with the baseline if None.
        latency_ratio: Predicts an architecture's latency, as a ratio to the baseline's, before it is built.
        predicted: The other built metrics that are wanted before an architecture is built.
        imgsz: Image size (px) at which they are predicted.
    """

    backend: str = "auto"
    reference_ms: float | None = None
    latency_ratio: Callable[[Architecture], float] | None = None
    predicted: Sequence[str] = ()
    imgsz: int = 640
