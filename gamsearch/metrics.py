"""Metrics: the figures that an evaluation yields, each defined where it is computed.

A metric is one function and a decorator. `built` metrics are functions of a built candidate and are known before any
training; `trained` metrics are read from a validation. Units are in the names; `direction` is Optuna's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gamsearch.errors import OptionError
from gamsearch.plugins.registry import RECORD, Registry, first_line, origin_of

Compute = Callable[[Any], float]
Lacking = Callable[[Any], str]
DIRECTIONS, STAGES = ("minimize", "maximize"), ("built", "trained")

LATENCIES = ("latency_ratio", "latency_iqr_ms", "latency_ratio_foreseen")
FIGURES = ("epochs", "epochs_trained", "seconds", "seed", "bound")
"""Columns of `Record.trials` that hold numbers besides the metrics and gains; NaN where unknown."""
AUDIT_COLUMNS = ("tensors_inherited", "tensors_expected", "tensors_fresh", "misplaced")
TEXTS = ("state", "key", "label", "reason", "retried", "imported")
FLAGS = ("feasible", "anchor", "on_front", "paused")
OTHERS = ("number", "architecture", "curve", "recalled_from", "resumed_by")
COLUMNS = frozenset((*OTHERS, *TEXTS, *FLAGS, *FIGURES, *LATENCIES, *AUDIT_COLUMNS, "epoch"))
"""Columns of `Record.trials` that are no metrics, and `epoch`, which counts the points of a curve."""


@dataclass(frozen=True)
class Metric:
    """A named figure.

    Attributes:
        name: Column name, with the unit in it where there is one: `latency_ms`.
        unit: For axes and tables.
        direction: `minimize` or `maximize`.
        stage: `built` (known before training) or `trained` (read from a validation).
        compute: Takes a `Candidate` (built) or the validation's results by Ultralytics' names (trained).
        title: Its name in sentences and tables, e.g. `mAP50-95`; by default `name` without underscores.
        lacking: Takes a run's device and returns what it lacks for measuring this.
    """

    name: str
    unit: str
    direction: str
    stage: str
    compute: Compute
    title: str = ""
    lacking: Lacking | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", self.title or self.name.replace("_", " "))

    @property
    def summary(self) -> str:
        """The first line of the metric's docstring."""
        return first_line(self.compute)

    @property
    def maximise(self) -> bool:
        """Whether larger is better."""
        return self.direction == "maximize"


METRICS: Registry[Metric] = Registry("metric", OptionError)


def metric(
    name: str, unit: str, direction: str, stage: str, title: str = "", lacking: Lacking | None = None
) -> Callable[[Compute], Compute]:
    """Register a function as a metric: `@gamsearch.register.metric`.

    Args:
        name: Column name, e.g. `memory_mb`.
        unit: For axes and tables, e.g. `MB`.
        direction: `minimize` or `maximize`.
        stage: `built`: the function takes a `Candidate` (its `model`, `architecture`, `imgsz`) before training;
            `trained`: it takes the results of a validation, a mapping such as `{"metrics/mAP50(B)": 0.61, ...}`.
        title: Its name in sentences and tables, e.g. `memory`; by default `name` without underscores.
        lacking: Called with a run's `torch.device` before anything is trained; returns what it lacks for measuring
            this, empty for nothing.

    Returns:
        A decorator that returns the function unchanged.

    Raises:
        OptionError: A direction or stage is unknown, or the name is taken, also by a column of the table of trials.
    """
    if direction not in DIRECTIONS or stage not in STAGES:
        raise OptionError(
            f"metric '{name}' must have a direction ({' or '.join(DIRECTIONS)}) and a stage ({' or '.join(STAGES)}), "
            f"not '{direction}' and '{stage}'"
        )
    if is_reserved(name):
        raise OptionError(f"a metric cannot be called '{name}', which the table of trials uses; choose another name")

    def register(compute: Compute) -> Compute:
        METRICS.add(name, Metric(name, unit, direction, stage, compute, title, lacking), origin_of(compute))
        return compute

    return register


def is_reserved(name: str) -> bool:
    """Check whether a name belongs to the table of trials, so that no metric can have it.

    Args:
        name: The name of a metric.

    Returns:
        Whether it is a column, or ends like a gain.
    """
    return name in COLUMNS or name.endswith("_gain")


def metric_named(name: str) -> Metric:
    """Look up a metric.

    Args:
        name: Its name, e.g. `map50_95`.

    Returns:
        The metric.

    Raises:
        OptionError: There is no such metric; the message names those there are.
    """
    return METRICS.named(name)


def metrics_of(stage: str) -> list[Metric]:
    """The metrics of one stage.

    Args:
        stage: `built` or `trained`.

    Returns:
        The metrics that can be computed here, in the order of registration.
    """
    return [one for one in METRICS.values() if one.stage == stage and not only_recorded(one.name)]


def only_recorded(name: str) -> bool:
    """Whether a metric is only known from a record: it can be shown, but not computed.

    Args:
        name: A metric's name.

    Returns:
        False for what gamsearch or a plug-in defines.
    """
    return METRICS.origin(name) == RECORD


FORM = ("unit", "direction", "stage", "title")
"""What a record holds of a metric that a plug-in defines."""


def plugin_forms() -> dict[str, dict[str, str]]:
    """The metrics of plug-ins in the form of records, so that runs with them can be read where the plug-ins are not.

    Returns:
        By name, what `FORM` names.
    """
    added = [one for name, one in METRICS.items() if not METRICS.origin(name).startswith((f"{__name__}:", RECORD))]
    return {one.name: {part: getattr(one, part) for part in FORM} for one in added}


def learn(forms: Mapping[str, Mapping[str, str]]) -> None:
    """Make metrics known that a record names and nothing here defines.

    Args:
        forms: By name, what `FORM` names.
    """
    for name, form in forms.items():
        if name not in METRICS:
            METRICS.add(name, Metric(name, compute=_unavailable(name), **dict[str, Any](form)), RECORD)


def _unavailable(name: str) -> Compute:
    def compute(_: Any) -> float:
        raise OptionError(f"the metric '{name}' is defined by a plug-in that is not imported here")

    return compute


@metric("map50_95", unit="fraction", direction="maximize", stage="trained", title="mAP50-95")
def map50_95(results: dict[str, float]) -> float:
    """COCO-style mean average precision over IoU 0.50 to 0.95, as a fraction."""
    return float(results["metrics/mAP50-95(B)"])


@metric("map50", unit="fraction", direction="maximize", stage="trained", title="mAP50")
def map50(results: dict[str, float]) -> float:
    """Mean average precision at IoU 0.50, as a fraction."""
    return float(results["metrics/mAP50(B)"])


@metric("mask_map50_95", unit="fraction", direction="maximize", stage="trained", title="mask mAP50-95")
def mask_map50_95(results: dict[str, float]) -> float:
    """Mean average precision of masks over IoU 0.50 to 0.95, as a fraction."""
    return float(results["metrics/mAP50-95(M)"])


@metric("mask_map50", unit="fraction", direction="maximize", stage="trained", title="mask mAP50")
def mask_map50(results: dict[str, float]) -> float:
    """Mean average precision of masks at IoU 0.50, as a fraction."""
    return float(results["metrics/mAP50(M)"])


@metric("pose_map50_95", unit="fraction", direction="maximize", stage="trained", title="pose mAP50-95")
def pose_map50_95(results: dict[str, float]) -> float:
    """Mean average precision of key points over object key-point similarity 0.50 to 0.95, as a fraction."""
    return float(results["metrics/mAP50-95(P)"])


@metric("pose_map50", unit="fraction", direction="maximize", stage="trained", title="pose mAP50")
def pose_map50(results: dict[str, float]) -> float:
    """Mean average precision of key points at object key-point similarity 0.50, as a fraction."""
    return float(results["metrics/mAP50(P)"])


@metric("top1", unit="fraction", direction="maximize", stage="trained", title="top-1 accuracy")
def top1(results: dict[str, float]) -> float:
    """Share of images whose class has the highest score, as a fraction."""
    return float(results["metrics/accuracy_top1"])


@metric("top5", unit="fraction", direction="maximize", stage="trained", title="top-5 accuracy")
def top5(results: dict[str, float]) -> float:
    """Share of images whose class is among the five highest scores, as a fraction."""
    return float(results["metrics/accuracy_top5"])


@metric("params_m", unit="M", direction="minimize", stage="built", title="params")
def params_m(candidate: Any) -> float:
    """Parameters in millions of the model that is trained (before fusing)."""
    return candidate.params_m()


@metric("gflops", unit="GFLOPs", direction="minimize", stage="built", title="GFLOPs")
def gflops(candidate: Any) -> float:
    """2 x GMACs of convolutions and matrix products at the run's image size, batch 1 (Ultralytics' convention)."""
    return candidate.gflops()


@metric("latency_ms", unit="ms", direction="minimize", stage="built", title="latency")
def latency_ms(candidate: Any) -> float:
    """Batch-1 latency of the fused network without NMS: the ratio to the interleaved baseline times its reference."""
    return candidate.latency().latency_ms
