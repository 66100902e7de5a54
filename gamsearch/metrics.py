"""The figures that an evaluation yields, each defined where it is computed.

A metric is one function and a decorator. `built` metrics are functions of a built candidate and are known before any
training; `trained` metrics are read from a validation. Units are in the names; `direction` is Optuna's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gamsearch.errors import OptionError, nearest


@dataclass(frozen=True)
class Metric:
    """A named figure: `unit` for axes, `direction` for Optuna, `stage` is `built` or `trained`."""

    name: str
    unit: str
    direction: str
    stage: str
    compute: Callable[[Any], float]

    @property
    def summary(self) -> str:
        return (self.compute.__doc__ or "").strip().splitlines()[0]

    @property
    def maximise(self) -> bool:
        return self.direction == "maximize"


METRICS: dict[str, Metric] = {}


def metric(name: str, unit: str, direction: str, stage: str) -> Callable[[Callable[[Any], float]], Callable]:
    """Register a function as a metric; it receives a `Candidate` (built) or a validation's results (trained)."""

    def register(compute: Callable[[Any], float]) -> Callable[[Any], float]:
        METRICS[name] = Metric(name, unit, direction, stage, compute)
        return compute

    return register


def metric_named(name: str) -> Metric:
    """Return the metric called `name`, or say which names there are."""
    if name not in METRICS:
        raise OptionError(f"there is no metric '{name}'{nearest(name, METRICS)}; there are {', '.join(METRICS)}")
    return METRICS[name]


@metric("map50_95", unit="fraction", direction="maximize", stage="trained")
def map50_95(results: dict[str, float]) -> float:
    """COCO-style mean average precision over IoU 0.50 to 0.95, as a fraction."""
    return float(results["metrics/mAP50-95(B)"])


@metric("map50", unit="fraction", direction="maximize", stage="trained")
def map50(results: dict[str, float]) -> float:
    """Mean average precision at IoU 0.50, as a fraction."""
    return float(results["metrics/mAP50(B)"])


@metric("params_m", unit="M", direction="minimize", stage="built")
def params_m(candidate: Any) -> float:
    """Parameters in millions of the model that is trained (before fusing)."""
    return candidate.params_m()


@metric("gflops", unit="GFLOPs", direction="minimize", stage="built")
def gflops(candidate: Any) -> float:
    """2 x GMACs of convolutions and matrix products at the run's image size, batch 1 (Ultralytics' convention)."""
    return candidate.gflops()


@metric("latency_ms", unit="ms", direction="minimize", stage="built")
def latency_ms(candidate: Any) -> float:
    """Batch-1 latency of the fused network without NMS: the ratio to the interleaved baseline times its reference."""
    return candidate.latency().latency_ms
