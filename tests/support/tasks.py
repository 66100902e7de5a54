"""Records, detectors and tables of other tasks than object detection: those of detection with their metrics renamed."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from gamsearch.analysis.verification import Verification
from gamsearch.metrics import metric_named
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.study.record import Record
from gamsearch.tasks import DETECT, Task, task_named

OTHERS = ("segment", "pose", "obb", "classify")
HEADS: dict[str, list[Any]] = {
    "segment": [[15, 18, 21], 1, "Segment", ["nc", 32, 256]],
    "pose": [[15, 18, 21], 1, "Pose", ["nc", "kpt_shape"]],
    "obb": [[15, 18, 21], 1, "OBB", ["nc", 1]],
    "classify": [-1, 1, "Classify", ["nc"]],
}
STOCK = Detector.load("yolov8n")


def detector_of(task: str) -> Detector:
    """The rows of yolov8n, in whose YAML the head is that of the task."""
    yaml = copy.deepcopy(STOCK.yaml)
    yaml["head"][-1] = HEADS[task]
    return replace(STOCK, yaml=yaml)


def space_of(space: SearchSpace, task: str) -> SearchSpace:
    """A space of yolov8n with the head of the task and its default objectives."""
    return replace(space, detector=detector_of(task), objectives=())


def renamed(figures: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Metrics of a detector under the names of the task's; masks and key points have boxes as well."""
    names = {DETECT.primary: task.primary, DETECT.secondary: task.secondary}
    own = {names.get(name, name): value for name, value in figures.items()}
    boxes = {name: 1.1 * figures[name] for name in DETECT.metrics if name in task.metrics and figures.get(name)}
    return {**boxes, **own}


def record_of(record: Record, task_name: str) -> Record:
    """A record of detection as one of the task, without what is recorded of detection alone."""
    task = task_named(task_name)
    rows = [renamed(row, task) for row in record.trials.drop(columns=list(DETECT.gains)).to_dict("records")]
    trials = pd.DataFrame(rows)
    if rows:
        trials["curve"] = [[renamed(point, task) for point in row["curve"]] for row in rows]
        trials[list(task.gains)] = record.trials[list(DETECT.gains)].to_numpy()
    objectives = tuple(metric_named(task.primary) if m.name == DETECT.primary else m for m in record.objectives)
    return Record(
        name=record.name,
        settings=record.settings,
        objectives=objectives,
        reference_point=record.reference_point,
        detector_yaml=detector_of(task_name).yaml,
        detector_name=record.detector_name,
        baseline_seeds=tuple(renamed(seed, task) for seed in record.baseline_seeds),
        baseline_stage=renamed(record.baseline_stage, task),
        trials=trials,
        confirmations={key: tuple(renamed(s, task) for s in seeds) for key, seeds in record.confirmations.items()},
        verification=_verification_of(record.verification, task),
    )


def _verification_of(found: Verification, task: Task) -> Verification:
    trainings = {
        key: {seed: _training_of(one, task) for seed, one in done.items()} for key, done in found.trainings.items()
    }
    names = {DETECT.primary: task.primary, DETECT.secondary: task.secondary}
    bootstrap = {key: {names.get(n, n): value for n, value in one.items()} for key, one in found.bootstrap.items()}
    return replace(found, trainings=trainings, bootstrap={} if task.name == "classify" else bootstrap)


def _training_of(one: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """A training of the task: its primary metric by class, and none by size, which boxes alone have."""
    by_class = {name: {task.primary: figures[DETECT.primary]} for name, figures in one["per_class"].items()}
    return {**renamed(one, task), "per_class": by_class, "per_size": {}}
