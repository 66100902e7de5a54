"""What every preparation of a run gives: the space, a start that does the baseline stage, and what is recorded."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gamsearch.errors import ModelError, OptionError
from gamsearch.evaluation import Evaluator
from gamsearch.metrics import METRICS, metrics_of
from gamsearch.runs.settings import Settings
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.study.artifacts import Artifacts
from gamsearch.supernet.paths import check_shareable


@dataclass(frozen=True)
class StageRecord:
    """The record of the baseline stage.

    Attributes:
        known: What it holds at the start: of an earlier call of this run, or of the run that is repeated.
        write: Called with all of it after each validation.
    """

    known: Mapping[str, Any] = field(default_factory=dict)
    write: Callable[[dict[str, Any]], None] = lambda facts: None


@dataclass(frozen=True)
class ReadyEvaluator:
    """An evaluator that is ready.

    Attributes:
        evaluator: The evaluator.
        fingerprints: What must stay the same whenever the run is resumed.
        baseline_stage: What the record keeps of the baseline stage.
    """

    evaluator: Evaluator
    fingerprints: Mapping[str, Any] = field(default_factory=dict)
    baseline_stage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PreparedRun:
    """A run whose inputs are read, before anything is trained.

    Attributes:
        space: The search space.
        start: Called with the baseline's latency (ms; None if unknown), the artifact store and the record of the
            baseline stage; does that stage.
        recorded: Goes into the recorded settings.
        fingerprints: What must stay the same whenever the run is resumed.
        seeds: How many seeds can be measured, if that is limited.
        data_changes: Called with the folder of a run; names the files of the data that differ from those of the run.
    """

    space: SearchSpace
    start: Callable[[float | None, Artifacts, StageRecord], ReadyEvaluator]
    recorded: Mapping[str, Any] = field(default_factory=dict)
    fingerprints: Mapping[str, Any] = field(default_factory=dict)
    seeds: int | None = None
    data_changes: Callable[[Path], str] = lambda folder: ""


@dataclass(frozen=True)
class WorkerContext:
    """What a worker takes from the study that it joins.

    Attributes:
        space: The search space.
        worker: The worker's ID.
    """

    space: SearchSpace
    worker: str


def space_of(settings: Settings, detector: Detector | None) -> SearchSpace:
    """The search space of a run's settings; refuses plug-ins in the run's folder, and what cannot be screened."""
    space = SearchSpace.load(settings.space, detector, not_below=settings.folder)
    if settings.screen != "off" or settings.evaluator == "supernet":
        check_shareable(space)
    return space.with_objectives(settings.objectives) if settings.objectives else space


def predicted_metrics(space: SearchSpace) -> list[str]:
    """The built metrics besides latency that decide what is worth training: objectives and limits."""
    names = dict.fromkeys([*space.objectives, *(limit.metric for limit in space.limits)])
    return [name for name in names if METRICS[name].stage == "built" and name != "latency_ms"]


def check_measurable(device: Any) -> None:
    """Refuse metrics that cannot be measured on a `torch.device`, before anything is trained."""
    for one in metrics_of("built"):
        if lacking := one.lacking and one.lacking(device):
            raise OptionError(f"the metric '{one.name}' needs {lacking}; leave it and its plug-in out of the space")


def digest(path: Path) -> str:
    """Twelve hexadecimal digits of a file's content."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
