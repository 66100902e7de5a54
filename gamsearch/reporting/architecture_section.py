"""The section of the page on the recommended architecture, or on the largest gain where none is: its placements."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from gamsearch.analysis.answer import YES
from gamsearch.architecture import Architecture
from gamsearch.errors import GamsearchError
from gamsearch.reporting import architecture_svg, formatting, verification_rows
from gamsearch.space.detector import Detector
from gamsearch.study.record import Record


@dataclass(frozen=True)
class Winner:
    """The architecture to draw (`Architecture.to_dict` form), its trial, its label, and why it is drawn."""

    form: Mapping[str, Any]
    number: int | None
    label: str
    criterion: str


def section(record: Record) -> str:
    """The drawing and the placements; empty if there is no architecture or it cannot be read."""
    answer = record.answer()
    winner, detector = _winner(record), stock_detector(record)
    if winner is None or detector is None:
        return ""
    try:
        architecture = Architecture.from_dict(winner.form)
        svg = architecture_svg.drawing(detector, architecture)
        lines = architecture_svg.descriptions(detector, architecture)
    except (GamsearchError, KeyError):
        return ""
    label = "the baseline itself, without attention" if architecture.is_baseline else winner.label
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    title = "The recommended architecture" if answer.kind == YES else "The largest gain, not shown to be beyond chance"
    return (
        f"<h2>{title}</h2><p>{formatting.typeset(escape(winner.criterion))}: trial {winner.number}, "
        f"{escape(label)}.</p>{f'<ul>{items}</ul>' if items else ''}"
        f'<div class="scroll" tabindex="0" role="region" aria-label="Drawing of the architecture">{svg}</div>'
        '<p class="note">Stock rows keep their numbers; the number on the right of a box is its output channels.</p>'
    )


def stock_detector(record: Record) -> Detector | None:
    """The stock detector, or None if the record's YAML cannot be read; the rest of the report works without it."""
    try:
        return Detector.from_yaml(record.detector_name, record.detector_yaml)
    except GamsearchError:
        return None


def _winner(record: Record) -> Winner | None:
    """The recommended trial, else the best finalist, else the best candidate, else the baseline."""
    finalist, best = record.verification.best, record.baseline
    if not record.candidates.empty:
        best = record.candidates.iloc[0]
    if finalist is not None:
        gain, claim = verification_rows.spread(finalist.gain), verification_rows.claim(finalist.gain)
        criterion = f"Largest verified gain in {record.task.primary_title} ({gain}, {claim})"
        return Winner(finalist.architecture, finalist.number, finalist.label, criterion)
    if best is None:
        return None
    criterion = f"Largest gain in {record.task.primary_title} in the search"
    return Winner(best["architecture"], best["number"], best["label"], criterion)
