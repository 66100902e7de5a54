"""What the record of a run may hold. A run folder may come from anywhere, so its journal is checked when it is opened.

A shape is a test of a single value, `[shape]` for a list, `{name: shape}` for a mapping whose names may be missing, or
`{...: shape}` for one with any names. No torch, no optuna.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from gamsearch.architecture import SEMANTICS
from gamsearch.metrics import METRICS

LARGEST = 1e15
LONGEST = 20_000
KEY = re.compile(r"[0-9a-f]{12}")
"""A key of an architecture; it becomes part of file names."""

Test = Callable[[Any], bool]


def number(value: Any) -> bool:
    """A number, possibly NaN, but neither endless nor a truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and (value != value or abs(value) <= LARGEST)


def count(value: Any) -> bool:
    """A whole number of at least 0."""
    return type(value) is int and 0 <= value <= LARGEST


def text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def mapping(value: Any) -> bool:
    return isinstance(value, dict)


def key(value: Any) -> bool:
    return isinstance(value, str) and KEY.fullmatch(value) is not None


def number_or_none(value: Any) -> bool:
    return value is None or number(value)


def scalar(value: Any) -> bool:
    """A value that an option or a training argument can have."""
    return value is None or flag(value) or number(value) or text(value)


def argument(value: Any) -> bool:
    """A scalar or a list of them."""
    return all(map(scalar, value)) if isinstance(value, list) else scalar(value)


def semantics(value: Any) -> bool:
    return value in SEMANTICS


def metric(value: Any) -> bool:
    return isinstance(value, str) and value in METRICS


def figures(value: Any) -> bool:
    """A number, a text, or a mapping from names to numbers, where each number may be missing."""
    return all(map(number_or_none, value.values())) if isinstance(value, dict) else value is None or scalar(value)


def epoch(value: Any) -> bool:
    """The figures of one epoch of a training."""
    return mismatch(value, NUMBERS) is None and value.keys() >= {"epoch", "map50_95"} and count(value["epoch"])


def architecture(value: Any) -> bool:
    """An architecture in the form of `Architecture.to_dict`, or nothing."""
    if value == {}:
        return True
    if mismatch(value, {"detector": text, "placements": [PLACEMENT]}) is not None:
        return False
    return value.keys() >= {"detector", "placements"} and all(
        placement.keys() >= {"site", "module", "options"} for placement in value["placements"]
    )


NUMBERS = {...: number}
CURVE = [epoch]
PLACEMENT = {
    "site": count,
    "module": text,
    "options": {...: scalar},
    "semantics": semantics,
    "consumers": [count],
}
MEASUREMENT = {
    "metrics": NUMBERS,
    "curve": CURVE,
    "provenance": {
        "audit": NUMBERS,
        "seconds": number,
        "latency": mapping,
        "device": text,
        "notes": [text],
        "batch": count,
    },
}
TRIAL = {
    "architecture": architecture,
    "key": key,
    "label": text,
    "reason": text,
    "seed": count,
    "started": number,
    "built": NUMBERS,
    "foreseen": NUMBERS,
    "measurement": MEASUREMENT,
    "curve": CURVE,
    "stop": {"paused": flag, "bound": number_or_none, "reason": text},
    "recalled_from": count,
    "resumes": count,
    "retry_of": count,
    "took": number,
    "worker": text,
    "claimed": flag,
    "epochs_trained": count,
    "feasible": flag,
    "anchor": flag,
}
TRAINING = {
    "seed": count,
    **dict.fromkeys(("map50_95", "map50", "params_m", "gflops", "latency_ms"), number_or_none),
    **dict.fromkeys(("latency_ratio", "seconds"), number_or_none),
    "latency_interval": [number_or_none],
    "per_class": {...: {...: number_or_none}},
    "per_size": {...: number_or_none},
}
VERIFICATION = {
    "settings": {
        "epochs": count,
        "imgsz": count,
        "batch": count,
        "seeds": count,
        "model": text,
        "train": {...: argument},
        "hardware": text,
        "latency": text,
        "data_fingerprint": text,
        "versions": {...: text},
    },
    "finalists": [{"key": key, "number": count, "label": text, "architecture": architecture, "brief_gain": number}],
    "trainings": {...: [TRAINING]},
    "bootstrap": {...: {...: figures}},
    "scale_up": {"name": text, "model": text},
}
SETTINGS = {
    **dict.fromkeys(("data", "model", "space", "budget", "device", "sampler", "stopping", "evaluator"), text),
    **dict.fromkeys(("table", "latency", "latency_backend", "out", "name", "command"), text),
    **dict.fromkeys(("data_summary", "data_fingerprint"), text),
    **dict.fromkeys(("trials", "epochs", "baseline_epochs", "imgsz", "batch", "seed", "noise_seeds"), count),
    "objectives": [metric],
    "train": {...: argument},
    "versions": {...: text},
}
STUDY = {
    "objectives": [metric],
    "ended": text,
    "settings": SETTINGS,
    "space": {"name": text, "fingerprint": text, "content": mapping},
    "artifacts": text,
    "open": flag,
    "ready": flag,
    "detector": {"name": text, "yaml": mapping},
    "fingerprints": {...: text},
    "baseline_stage": {...: scalar},
    "reference_point": [number],
    "baseline_seeds": [NUMBERS],
    "confirmations": {...: [NUMBERS]},
    "verification": VERIFICATION,
}


def mismatch(value: Any, shape: Any, place: str = "") -> str | None:
    """Where a value does not have its shape and what it is instead, e.g. `settings.epochs is a str`, or None."""
    if callable(shape):
        return None if shape(value) else f"{place} is {_what(value)}"
    if not isinstance(value, type(shape)):
        return f"{place} is {_what(value)}"
    if isinstance(shape, list):
        parts = [(f"{place}[{i}]", part, shape[0]) for i, part in enumerate(value)]
    else:
        inside = f"{place}." if place else ""
        parts = [(f"{inside}{name}", part, _schema_of(name, shape)) for name, part in value.items()]
    found = (mismatch(part, wanted, where) for where, part, wanted in parts if wanted is not None)
    return next((one for one in found if one), None)


def _schema_of(name: str, shape: Mapping[Any, Any]) -> Any:
    return shape.get(name, shape.get(...))


def _what(value: Any) -> str:
    """A value in a message: what kind it is, and the value itself where it is short."""
    shown = repr(value) if scalar(value) and len(str(value)) <= 40 else ""
    return f"a {type(value).__name__}{f' ({shown})' if shown else ''}"
