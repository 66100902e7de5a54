"""Synthetic records with a verification: complete, incomplete, with one finalist, with all finalists worse."""

from dataclasses import replace
from typing import Any

import numpy as np

from gamsearch.analysis.verification import Verification
from gamsearch.study.record import Record
from support.records import rich_record

BASE = (0.3982, 0.4051, 0.3937, 0.4020, 0.3995)
CLASSES = {"RBC": 0.8, "WBC": 1.4, "Platelets": 1.9}
SETTINGS = {
    "epochs": 100,
    "seeds": 5,
    "imgsz": 160,
    "batch": 8,
    "model": "yolov8n.yaml",
    "train": {"lr0": 0.0002, "mosaic": 0.5},
    "versions": {"torch": "2.14.1", "ultralytics": "8.4.190"},
    "hardware": "NVIDIA H100",
    "data_fingerprint": "5e0d3a07c1b9",
}


def training(seed: int, gain: float, ratio: float) -> dict[str, Any]:
    """A training at this seed, `gain` above the baseline, as the study records it."""
    level = BASE[seed] + gain
    per_class = {name: {"map50_95": level + gain * by, "map50": None} for name, by in CLASSES.items()}
    return {
        "seed": seed,
        "map50_95": level,
        "map50": 1.6 * BASE[seed] + 1.3 * gain,
        "latency_ms": 5.1 * ratio,
        "latency_ratio": ratio * (1 + 0.002 * (seed - 2)) if ratio != 1 else 1.0,
        "latency_interval": [ratio - 0.01, ratio + 0.01],
        "params_m": 3.0,
        "gflops": 8.2,
        "per_class": per_class,
        "per_size": {"small": None, "medium": level - gain / 2, "large": level + gain},
        "seconds": 610.0,
    }


def verified(gains: list[float], noise: float = 0.002, done: int = 5, scale_up: float | None = 0.031) -> Record:
    """`rich_record` with verified finalists that have these mean gains; the last one has `done` of five seeds."""
    found = rich_record()
    best = found.front[found.front["label"] != "baseline"].head(len(gains))
    if len(best) < len(gains):
        best = found.candidates.head(len(gains))
    rng = np.random.default_rng(5)
    trainings = {"baseline": [training(seed, 0.0, 1.0) for seed in range(5)]}
    finalists, bootstrap = [], {}
    for gain, (_, row) in zip(gains, best.iterrows(), strict=True):
        seeds = range(done if row["key"] == best["key"].iloc[-1] else 5)
        trainings[row["key"]] = [training(s, gain + rng.normal(0, noise), row["latency_ratio"]) for s in seeds]
        names = ("key", "number", "label", "architecture")
        finalists.append({name: row[name] for name in names} | {"brief_gain": row["map50_95_gain"]})
        context = {"difference": gain, "low": gain - 0.011, "high": gain + 0.012}
        bootstrap[row["key"]] = {"seed": 0, "resamples": 1000, "map50_95": context, "map50": context}
    if scale_up is not None:
        trainings["scale-up"] = [training(s, scale_up + rng.normal(0, noise), 1.62) for s in range(done)]
    control = None if scale_up is None else {"name": "yolov8s", "model": "yolov8s.yaml"}
    form = {"settings": SETTINGS, "finalists": finalists, "trainings": trainings, "bootstrap": bootstrap}
    return replace(found, verification=Verification.from_dict(form | {"scale_up": control}))


def complete() -> Record:
    """Three finalists and the scale-up at five seeds: one better, one unclear, one worse."""
    return verified([0.0121, 0.0009, -0.0094])


def incomplete() -> Record:
    """Two finalists; the second one and the scale-up have one seed of five."""
    return verified([0.0121, 0.004], done=1)


def single() -> Record:
    """One finalist, no control."""
    return verified([0.0012], noise=0.004, scale_up=None)


def all_worse() -> Record:
    """Four finalists, all worse."""
    return verified([-0.008, -0.012, -0.006, -0.015], noise=0.0015)


def barely_begun() -> Record:
    """One seed of the baseline and of one finalist: no conclusion is possible."""
    record = verified([0.0121, 0.004], scale_up=None)
    first = record.verification.finalists[0].key
    trainings = {"baseline": {0: training(0, 0.0, 1.0)}, first: {0: training(0, 0.012, 1.1)}}
    return replace(record, verification=replace(record.verification, trainings=trainings, bootstrap={}))


EXAMPLES = {make.__name__: make for make in (complete, incomplete, single, all_worse, barely_begun)}
