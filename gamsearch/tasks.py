"""What a model is trained for: the tasks that can be searched, with the heads that end their models and their metrics.

The task follows from the model, as in Ultralytics. Its first metric is the primary one: candidates are ranked, stopped,
verified and exported by it, and every gain is one in it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from gamsearch.errors import OptionError
from gamsearch.metrics import METRICS, Metric, metric_named, only_recorded


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        name: Ultralytics' name of it, e.g. `segment`.
        noun: What it is called in a sentence, e.g. `instance segmentation`.
        heads: Modules that end the YAML of such a model.
        metrics: Names of the metrics of its validation, the primary one first and the one at its loosest threshold
            second.
    """

    name: str
    noun: str
    heads: frozenset[str]
    metrics: tuple[str, ...]

    @property
    def primary(self) -> str:
        """Name of the metric by which candidates are ranked, e.g. `map50_95`."""
        return self.metrics[0]

    @property
    def secondary(self) -> str:
        """Name of the metric that is reported beside the primary one, e.g. `map50`."""
        return self.metrics[1]

    @property
    def gain(self) -> str:
        """Name of the paired difference to the baseline in the primary metric, e.g. `map50_95_gain`."""
        return f"{self.primary}_gain"

    @property
    def gains(self) -> tuple[str, str]:
        """Names of the paired differences in the primary and the secondary metric."""
        return self.gain, f"{self.secondary}_gain"

    def lacks(self, metric: Metric) -> str:
        """Find what a trained metric reads and a validation of this task does not yield.

        Args:
            metric: Any metric, also of a plug-in.

        Returns:
            A name such as `metrics/recall(B)`; empty if the metric can be computed.
        """
        return _lacks(self, metric)

    @property
    def all_metrics(self) -> list[Metric]:
        """Its own metrics, then those of all tasks: what is known before training, and what plug-ins add to it."""
        own = [metric_named(name) for name in self.metrics]
        others = [one for one in METRICS.values() if one.name not in _OF_TASKS]
        return [*own, *(one for one in others if not self.lacks(one))]

    @property
    def trained_metrics(self) -> list[Metric]:
        """The metrics that a validation of this task yields: its own, then those that plug-ins add."""
        return [one for one in self.all_metrics if one.stage == "trained" and not only_recorded(one.name)]

    def only_primary(self, objectives: Iterable[str]) -> bool:
        """Check whether the primary metric is the only trained objective.

        Args:
            objectives: Names of metrics.

        Returns:
            False where a candidate may be worth training for another metric.
        """
        return [name for name in objectives if metric_named(name).stage == "trained"] == [self.primary]

    # what the metrics are called --------------------------------------------------------------------------------------
    def title(self, metric: Metric) -> str:
        """Name a metric in sentences and tables.

        Args:
            metric: Any metric.

        Returns:
            Its title; `box mAP50-95` for that of boxes where masks or key points rank.
        """
        boxes = metric.name in DETECT.metrics and metric.name not in (self.primary, self.secondary)
        return f"box {metric.title}" if boxes else metric.title

    @property
    def primary_title(self) -> str:
        """The primary metric in sentences and tables, e.g. `mAP50-95`."""
        return self.title(metric_named(self.primary))

    @property
    def secondary_title(self) -> str:
        """The secondary metric in sentences and tables, e.g. `mAP50`."""
        return self.title(metric_named(self.secondary))

    @property
    def quantity(self) -> str:
        """What is gained, where thresholds do not matter: `mAP`, `mask mAP`, `top-1 accuracy`."""
        return self.primary_title.removesuffix("50-95")


def _task(name: str, noun: str, heads: str, metrics: str) -> Task:
    return Task(name, noun, frozenset(heads.split()), tuple(metrics.split()))


TASKS = {
    one.name: one
    for one in (
        _task("detect", "object detection", "Detect v10Detect RTDETRDecoder", "map50_95 map50"),
        _task("segment", "instance segmentation", "Segment Segment26", "mask_map50_95 mask_map50 map50_95 map50"),
        _task("pose", "pose estimation", "Pose Pose26", "pose_map50_95 pose_map50 map50_95 map50"),
        _task("obb", "oriented boxes", "OBB OBB26", "map50_95 map50"),
        _task("classify", "classification", "Classify", "top1 top5"),
    )
}
"""The tasks by Ultralytics' names."""

DETECT = TASKS["detect"]

_OF_TASKS = frozenset(name for task in TASKS.values() for name in task.metrics)


_RESULTS = {"segment": "BM", "pose": "BP", "classify": ""}
"""What a validation judges: boxes, masks, key points; boxes alone in other tasks."""
_FIGURES = ("precision", "recall", "mAP50", "mAP50-95")


class _Results(dict[str, float]):
    """Results of a validation by Ultralytics' names; those that are no metrics, such as losses, have any name."""

    def __missing__(self, name: str) -> float:
        if str(name).startswith("metrics/"):
            raise KeyError(name)
        return 0.5


@cache
def _lacks(task: Task, metric: Metric) -> str:
    if metric.stage != "trained":
        return ""
    judged = [f"{figure}({letter})" for letter in _RESULTS.get(task.name, "B") for figure in _FIGURES]
    known = [f"metrics/{name}" for name in judged or ("accuracy_top1", "accuracy_top5")]
    try:
        metric.compute(_Results(dict.fromkeys(known, 0.5)))
    except KeyError as error:
        return str(error.args[0]) if error.args else ""
    except Exception:  # a plug-in can raise anything; what it says is shown where it is used
        return ""
    return ""


def task_named(name: str) -> Task:
    """Look up a task.

    Args:
        name: Ultralytics' name of it.

    Returns:
        The task.

    Raises:
        OptionError: There is no such task.
    """
    if name not in TASKS:
        raise OptionError(f"there is no task '{name}'; the tasks are {', '.join(TASKS)}")
    return TASKS[name]


def task_of(yaml: Mapping[str, Any]) -> Task:
    """Find what a model is for.

    Args:
        yaml: Its YAML.

    Returns:
        The task of its head; object detection where no task has that head, as for a head of the user's own.
    """
    rows = yaml.get("head")
    last = rows[-1] if isinstance(rows, list) and rows else None
    head = last[2] if isinstance(last, list) and len(last) == 4 else None
    return next((task for task in TASKS.values() if isinstance(head, str) and head in task.heads), DETECT)
