"""The schema of a run's record. A run folder may come from anywhere, so its journal is checked when it is opened.

A schema is a predicate for a single value, `[schema]` for a list, `{name: schema}` for a mapping with optional names,
or `{...: schema}` for a mapping with any names. No torch, no optuna.
"""

import re
from collections.abc import Mapping
from typing import Any

from gamsearch.architecture import SEMANTICS
from gamsearch.metrics import DIRECTIONS, METRICS, STAGES

LARGEST = 1e15
"""Largest absolute value of a number."""
LONGEST = 20_000
"""Most characters of a text."""
KEY = re.compile(r"[0-9a-f]{12}")
"""The key of an architecture, which becomes part of file names; worker IDs have the same form."""


def number(value: Any) -> bool:
    """A number or NaN, but neither infinite nor a bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and (value != value or abs(value) <= LARGEST)


def count(value: Any) -> bool:
    """A non-negative integer."""
    return type(value) is int and 0 <= value <= LARGEST


def text(value: Any) -> bool:
    """A text of bounded length."""
    return isinstance(value, str) and len(value) <= LONGEST


def count_or_auto(value: Any) -> bool:
    """A non-negative integer, or `auto`."""
    return count(value) or value == "auto"


def flag(value: Any) -> bool:
    """A bool."""
    return isinstance(value, bool)


def mapping(value: Any) -> bool:
    """Any mapping."""
    return isinstance(value, dict)


def key(value: Any) -> bool:
    """The key of an architecture."""
    return isinstance(value, str) and KEY.fullmatch(value) is not None


def number_or_none(value: Any) -> bool:
    """A number or None."""
    return value is None or number(value)


def scalar(value: Any) -> bool:
    """A value of an option or a training argument."""
    return value is None or flag(value) or number(value) or text(value)


def argument(value: Any) -> bool:
    """A scalar or a list of scalars."""
    return all(map(scalar, value)) if isinstance(value, list) else scalar(value)


def semantics(value: Any) -> bool:
    """How a placement is attached to its site."""
    return value in SEMANTICS


def metric(value: Any) -> bool:
    """The name of a metric."""
    return isinstance(value, str) and value in METRICS


def figures(value: Any) -> bool:
    """A scalar, or a mapping from names to numbers or None."""
    return all(map(number_or_none, value.values())) if isinstance(value, dict) else value is None or scalar(value)


def architecture(value: Any) -> bool:
    """An architecture as of `Architecture.to_dict`, or an empty mapping."""
    if value == {}:
        return True
    if mismatch(value, {"detector": text, "placements": [PLACEMENT]}) is not None:
        return False
    return value.keys() >= {"detector", "placements"} and all(
        placement.keys() >= {"site", "module", "options"} for placement in value["placements"]
    )


NUMBERS = {...: number}
PLACEMENT = {
    "site": count,
    "module": text,
    "options": {...: scalar},
    "semantics": semantics,
    "consumers": [count],
}
MEASUREMENT = {
    "metrics": NUMBERS,
    "provenance": {
        "audit": NUMBERS,
        "starts": {...: text},
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
    "imported": text,
}
TRAINING = {
    "seed": count,
    **dict.fromkeys(METRICS, number_or_none),
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
        "attention_lr": text,
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
    **dict.fromkeys(("screen", "table", "latency", "latency_backend", "out", "name", "command"), text),
    **dict.fromkeys(("data_summary", "data_fingerprint"), text),
    **dict.fromkeys(("trials", "epochs", "imgsz", "batch", "seed", "noise_seeds"), count),
    **dict.fromkeys(("screen_steps", "screen_seeds"), count),
    "search_anyway": flag,
    "baseline_epochs": count_or_auto,
    "objectives": [metric],
    "imports": [text],
    "data_warnings": [text],
    "train": {...: argument},
    "versions": {...: text},
}
BASELINE_STAGE: dict[Any, Any] = {
    **dict.fromkeys(METRICS, number),
    "epochs": count,
    "decay_after": count,
    "curve": [[number]],
    "still_rising": text,
    ...: scalar,
}
METRIC = {"unit": text, "direction": DIRECTIONS.__contains__, "stage": STAGES.__contains__, "title": text}
STUDY = {
    "metrics": {...: METRIC},
    "objectives": [metric],
    "ended": text,
    "settings": SETTINGS,
    "space": {"name": text, "fingerprint": text, "content": mapping},
    "artifacts": text,
    "open": flag,
    "ready": flag,
    "detector": {"name": text, "yaml": mapping},
    "fingerprints": {...: text},
    "forecast": {"certain": flag, ...: number},
    "baseline_stage": BASELINE_STAGE,
    "reference_point": [number],
    "baseline_seeds": [NUMBERS],
    "imported": [{"file": text, "architecture": architecture}],
    "confirmations": {...: [NUMBERS]},
    "screening": {"architectures": [architecture], "values": {...: [number]}, "complete": flag},
    "screening_answer": {"effects": [[scalar]], "seeds": count, "epochs": count, "measured": count, ...: scalar},
    "verification": VERIFICATION,
}


def mismatch(value: Any, schema: Any, path: str = "") -> str | None:
    """Find where a value does not fit its schema.

    Args:
        value: The value to check.
        schema: The schema, as the module defines it.
        path: Where the value is in the record.

    Returns:
        The first misfit as text, such as `settings.epochs is a str (x)`, or None.
    """
    if callable(schema):
        return None if schema(value) else f"{path} is {_kind(value)}"
    if not isinstance(value, type(schema)):
        return f"{path} is {_kind(value)}"
    if isinstance(schema, list):
        parts = [(f"{path}[{i}]", part, schema[0]) for i, part in enumerate(value)]
    else:
        prefix = f"{path}." if path else ""
        parts = [(f"{prefix}{name}", part, _schema_of(name, schema)) for name, part in value.items()]
    found = (mismatch(part, expected, where) for where, part, expected in parts if expected is not None)
    return next((text for text in found if text), None)


def _schema_of(name: str, schema: Mapping[Any, Any]) -> Any:
    return schema.get(name, schema.get(...))


def _kind(value: Any) -> str:
    """The type of a value for a message, with the value itself if it is short."""
    text = repr(value) if scalar(value) and len(str(value)) <= 40 else ""
    return f"a {type(value).__name__}{f' ({text})' if text else ''}"
