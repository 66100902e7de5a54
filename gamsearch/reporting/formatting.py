"""Numbers and texts for readers: titles, units, decimals, signs and notes. The record itself keeps raw numbers."""

import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import pandas as pd

from gamsearch.architecture import BASELINE
from gamsearch.metrics import Metric
from gamsearch.study.record import Record, latency_backend
from gamsearch.study.urls import masked
from gamsearch.tasks import Task

HAND_DESIGNED, EXCEEDS_LIMIT = "hand-designed", "exceeds a limit"
DECIMALS = {"fraction": 4, "ms": 2, "M": 3, "GFLOPs": 2}
MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"


def heading(metric: Metric, task: Task) -> str:
    """Name with unit for a column, e.g. `latency (ms)`; fractions have no unit."""
    title = task.title(metric)
    return title if metric.unit in ("fraction", title) else f"{title} ({metric.unit})"


def axis_title(metric: Metric, settings: Mapping[str, Any], task: Task) -> str:
    """Name with unit for an axis; for latency also batch size, backend, device and precision."""
    if metric.name != "latency_ms":
        return fraction(task.title(metric)) if metric.unit == "fraction" else heading(metric, task)
    known = [latency_backend(settings), settings.get("hardware") or settings.get("device"), settings.get("precision")]
    words = [word for word in known if isinstance(word, str) and word]
    return ", ".join(["latency (ms, batch 1", *words]) + ")"


def opening(title: str) -> str:
    """The title of a metric at the beginning of a sentence: `Mask mAP50-95`, but `mAP50-95`."""
    return title if title[1:2].isupper() else f"{title[:1].upper()}{title[1:]}"


def fraction(title: str) -> str:
    """The title of an axis of fractions."""
    return f"{title} (fraction)"


def value(metric: Metric, number: float) -> str:
    """The number with the decimals of its metric, without unit; empty if unknown."""
    return plain(number, DECIMALS.get(metric.unit, 3))


def plain(number: float, decimals: int) -> str:
    """Fixed decimals; empty if the number is unknown."""
    return f"{number:.{decimals}f}" if number is not None and isfinite(number) else ""


def signed(number: float, decimals: int = 4) -> str:
    """Fixed decimals with a sign; empty if the number is unknown."""
    return f"{number:+.{decimals}f}" if number is not None and isfinite(number) else ""


def typeset(text: str) -> str:
    """Turn the hyphens of negative numbers into minus signs; keep numbers on one line with their `±` and `%`."""
    joined = re.sub(r" (%|± )", lambda found: found[0].replace(" ", NO_BREAK), text)
    return re.sub(r"(?<![\w.])-(?=\d)", MINUS, joined)


def breakable(label: str) -> str:
    """The label of an architecture, with line breaks allowed only between its placements."""
    return label.replace(" ", NO_BREAK).replace(f"{NO_BREAK}+{NO_BREAK}", f"{NO_BREAK}+ ")


def duration(seconds: float) -> str:
    """`45 s`, `12 min` or `3.4 h`; empty if unknown."""
    if seconds is None or not isfinite(seconds):
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def note(trial: pd.Series) -> str:
    """Remarks on a trial: its state unless complete, where it comes from, why it ended."""
    words = [] if trial["state"] == "complete" else ["paused" if trial["paused"] else trial["state"]]
    reason = trial["reason"].removeprefix("paused ")
    if pd.notna(trial["recalled_from"]):
        words.append(f"repeat of #{int(trial['recalled_from'])}")
    if trial["anchor"] and trial["label"] != BASELINE:
        words.append(HAND_DESIGNED)
    if trial["imported"]:
        words.append(f"imported: {trial['imported']}")
    if not trial["feasible"] and trial["state"] in ("complete", "pruned"):
        words.append(EXCEEDS_LIMIT)
    if trial["retried"]:
        words.append(trial["retried"])
    return ", ".join(words) + (": " if words and reason else "") + reason


def known_metrics(record: Record) -> list[Metric]:
    """The metrics that at least one trial has, the objectives first."""
    metrics = {m.name: m for m in (*record.objectives, *record.task.all_metrics)}
    return [m for name, m in metrics.items() if name in record.trials and record.trials[name].notna().any()]


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """`(dotted.key, text)` of nested settings, with passwords in URLs masked."""
    for key, item in settings.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            yield from flat(item, f"{name}.")
        elif isinstance(item, list | tuple):
            yield name, masked(", ".join(map(str, item)))
        else:
            yield name, masked(str(item))
