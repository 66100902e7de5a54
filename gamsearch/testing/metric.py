"""What a metric must do."""

from math import isfinite
from typing import Any

from gamsearch.architecture import Architecture, Placement
from gamsearch.metrics import DIRECTIONS, STAGES, Metric, metric_named

RESULTS = {
    "metrics/precision(B)": 0.7,
    "metrics/recall(B)": 0.6,
    "metrics/mAP50(B)": 0.65,
    "metrics/mAP50-95(B)": 0.45,
    "metrics/mAP50(M)": 0.6,
    "metrics/mAP50-95(M)": 0.4,
    "metrics/mAP50(P)": 0.55,
    "metrics/mAP50-95(P)": 0.35,
    "metrics/accuracy_top1": 0.8,
    "metrics/accuracy_top5": 0.95,
    "fitness": 0.47,
}
"""Results of validations of all tasks, by Ultralytics' names."""


def cases(name: str) -> dict[str, Metric]:
    """The metric itself."""
    return {"": metric_named(name)}


def states_unit_direction_stage_and_what_it_is(metric: Metric) -> None:
    assert metric.unit, "the unit is empty"
    assert metric.direction in DIRECTIONS and metric.stage in STAGES
    assert metric.summary, "the function has no docstring, which lists and reports show"


def computes_a_finite_number(metric: Metric) -> None:
    value = metric.compute(RESULTS if metric.stage == "trained" else _candidate())
    assert isinstance(value, float) and isfinite(value), f"{value!r} is not a finite float"


def computes_the_same_number_again(metric: Metric) -> None:
    if metric.stage == "trained":
        assert metric.compute(RESULTS) == metric.compute(RESULTS)
        return
    candidate = _candidate()
    before = {name: tensor.clone() for name, tensor in candidate.model.state_dict().items()}
    assert metric.compute(candidate) == metric.compute(candidate), "a second computation gives another number"
    for name, tensor in candidate.model.state_dict().items():
        assert tensor.equal(before[name]), f"computing it changes {name} of the model"


def _candidate() -> Any:
    """yolov8n with one attention module, whose latency is known."""
    from gamsearch.models.candidate import build_candidate
    from gamsearch.models.device import select
    from gamsearch.models.latency.measure import measure
    from gamsearch.space.detector import Detector
    from gamsearch.training.baseline import start_model

    detector = Detector.load("yolov8n")
    baseline = start_model(detector, None, {0: "object"}, seed=0)
    architecture = Architecture.of(detector.name, [Placement(4, "GAM", (("rate", 8),))])
    candidate = build_candidate(detector, architecture, baseline, imgsz=64)
    candidate.probe = lambda own: measure(own.model, baseline, 64, select("cpu"), seconds=0.1)
    return candidate


CHECKS = (states_unit_direction_stage_and_what_it_is, computes_a_finite_number, computes_the_same_number_again)
