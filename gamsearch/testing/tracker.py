"""What a tracker must do. A case opens it, if its package is installed."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from gamsearch.runs.tracking.registry import TrackedAnswer, TrackedTrial, TrackerSpec
from gamsearch.runs.tracking.trackers import TRACKERS, is_installed

COMPLETE = TrackedTrial(
    search="contract",
    number=3,
    state="complete",
    parameters={"architecture": "GAM@4 r4", "modules": 1, "site_4": "GAM r4", "epochs": 2, "seed": 0},
    curve={1: {"map50_95": 0.1, "map50": 0.2}, 2: {"map50_95": 0.2, "map50": 0.4}},
    metrics={"map50_95": 0.2, "map50": 0.4, "map50_95_gain": 0.01, "latency_ms": 12.5},
)
FAILED = TrackedTrial("contract", 4, "failed", {"architecture": "GAM@2 r1", "reason": "out of memory"}, {}, {})
ANSWER = TrackedAnswer(
    search="contract",
    trials=4,
    headline="Unclear: the best gain may be chance.",
    detail="GAM@4 r4 gained +0.0100.",
    front=pd.DataFrame({"number": [3], "label": ["GAM@4 r4"], "map50_95": [0.2], "latency_ms": [12.5]}),
    parameters={"data": "data.yaml", "trials": 4},
)


def cases(name: str) -> dict[str, TrackerSpec]:
    """The tracker itself."""
    return {"": TRACKERS.named(name)}


def _opened(spec: TrackerSpec, use: Callable[[TrackerSpec, Path], None]) -> None:
    """Use a tracker with a folder of its own; nothing where its package is missing, as no run begins there."""
    if is_installed(spec):
        with tempfile.TemporaryDirectory() as folder:
            use(spec, Path(folder) / "tracking")


def states_what_it_is(spec: TrackerSpec) -> None:
    assert spec.summary, "it has no docstring, which lists show"


def logs_trials_and_the_answer(spec: TrackerSpec) -> None:
    def log(spec: TrackerSpec, folder: Path) -> None:
        opened = spec.open(folder)
        opened.log_trial(COMPLETE)
        opened.log_trial(FAILED)
        opened.log_answer(ANSWER)

    _opened(spec, log)


def logs_again_after_it_is_opened_again(spec: TrackerSpec) -> None:
    def log_twice(spec: TrackerSpec, folder: Path) -> None:
        for _ in range(2):
            spec.open(folder).log_answer(ANSWER)

    _opened(spec, log_twice)


CHECKS = (states_what_it_is, logs_trials_and_the_answer, logs_again_after_it_is_opened_again)
