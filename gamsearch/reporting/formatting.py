"""How figures are written for people: titles, units, decimals, signs and notes. The record itself keeps raw numbers."""

import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import pandas as pd

from gamsearch.metrics import METRICS, Metric
from gamsearch.study.masking import masked
from gamsearch.study.record import BASELINE, latency_backend

TITLES = {
    "map50_95": "mAP50-95",
    "map50": "mAP50",
    "params_m": "params",
    "gflops": "GFLOPs",
    "latency_ms": "latency",
}
DECIMALS = {"fraction": 4, "ms": 2, "M": 3, "GFLOPs": 2}
MINUS = "\N{MINUS SIGN}"
FIXED = "\N{NO-BREAK SPACE}"


def title(metric: Metric) -> str:
    """Name of the metric in running text, e.g. `mAP50-95`."""
    return TITLES.get(metric.name, metric.name.replace("_", " "))


def heading(metric: Metric) -> str:
    """Name with unit for a column, e.g. `latency (ms)`; fractions go without."""
    return title(metric) if metric.unit in ("fraction", title(metric)) else f"{title(metric)} ({metric.unit})"


def axis_title(metric: Metric, settings: Mapping[str, Any]) -> str:
    """Name with unit for an axis; a latency says at which batch, with which backend and on which device."""
    if metric.name != "latency_ms":
        return f"{title(metric)} (fraction)" if metric.unit == "fraction" else heading(metric)
    known = [latency_backend(settings), settings.get("hardware") or settings.get("device"), settings.get("precision")]
    said = [word for word in known if isinstance(word, str) and word]
    return ", ".join(["latency (ms, batch 1", *said]) + ")"


def value(metric: Metric, number: float) -> str:
    """The number with its metric's decimals, without unit; an empty string if unknown."""
    return plain(number, DECIMALS.get(metric.unit, 3))


def plain(number: float, decimals: int) -> str:
    """Fixed decimals, or an empty string if the number is unknown."""
    return f"{number:.{decimals}f}" if number is not None and isfinite(number) else ""


def signed(number: float, decimals: int = 4) -> str:
    """Fixed decimals with a sign, or an empty string if the number is unknown."""
    return f"{number:+.{decimals}f}" if number is not None and isfinite(number) else ""


def typeset(text: str) -> str:
    """Write the hyphens of negative numbers as minus signs; keep numbers with their `±` and `%` on one line."""
    whole = re.sub(r" (%|± )", lambda found: found[0].replace(" ", FIXED), text)
    return re.sub(r"(?<![\w.])-(?=\d)", MINUS, whole)


def breakable(label: str) -> str:
    """The label of an architecture with line breaks only between its placements."""
    return label.replace(" ", FIXED).replace(f"{FIXED}+{FIXED}", f"{FIXED}+ ")


def duration(seconds: float) -> str:
    """`45 s`, `12 min` or `3.4 h`, or an empty string if unknown."""
    if seconds is None or not isfinite(seconds):
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def note(trial: pd.Series) -> str:
    """What there is to know about a trial besides its figures: its state unless complete, its origin, its reason."""
    words = [] if trial["state"] == "complete" else ["paused" if trial["paused"] else trial["state"]]
    reason = trial["reason"].removeprefix("paused ")
    if pd.notna(trial["recalled_from"]):
        words.append(f"repeat of #{int(trial['recalled_from'])}")
    if trial["anchor"] and trial["label"] != BASELINE:
        words.append("hand placement")
    if not trial["feasible"] and trial["state"] in ("complete", "pruned"):
        words.append("beyond a limit")
    if trial["retried"]:
        words.append(trial["retried"])
    return ", ".join(words) + (": " if words and reason else "") + reason


def known_metrics(trials: pd.DataFrame, first: tuple[Metric, ...]) -> list[Metric]:
    """The metrics that any trial has, those in `first` before the others."""
    names = dict.fromkeys([m.name for m in first] + list(METRICS))
    metrics = {**METRICS, **{m.name: m for m in first}}
    return [metrics[name] for name in names if name in trials and trials[name].notna().any()]


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield `(dotted.key, text)` of nested settings, passwords in URLs masked."""
    for key, item in settings.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            yield from flat(item, f"{name}.")
        elif isinstance(item, list | tuple):
            yield name, masked(", ".join(map(str, item)))
        else:
            yield name, masked(str(item))
