"""The section of the page on the user's own architectures: where they rank, and what they gain with intervals."""

from html import escape
from math import isfinite

from gamsearch.reporting import formatting
from gamsearch.reporting.tables import Column, html_table
from gamsearch.study.imported import Ranked, ranked
from gamsearch.study.record import Record


def section(record: Record) -> str:
    """The table of imported architectures; empty where none was trained."""
    rows = ranked(record)
    if not rows:
        return ""
    how = (
        "They were trained like all candidates, and again at the seeds of the baseline after the first. "
        "Rank and gain are those at the seed of the search; the gain at held-out seeds has a 95 % interval."
    )
    table = html_table(columns(record), rows, "Imported architectures, best first")
    return f'<h2>Imported architectures</h2><p class="note">{escape(how)}</p>{table}'


def columns(record: Record) -> list[Column]:
    """File, architecture, rank, gain at the seed of the search and at held-out seeds, cost."""
    return [
        Column("file", lambda one: one.trial["imported"], numeric=False),
        Column("architecture", lambda one: formatting.breakable(one.trial["label"]), numeric=False),
        Column("rank", lambda one: f"{one.rank} of {one.among}"),
        Column("gain", lambda one: formatting.signed(one.trial[record.task.gain])),
        Column("gain at held-out seeds", held_out),
        Column("latency ratio", lambda one: formatting.plain(one.trial["latency_ratio"], 3)),
    ]


def lines(record: Record) -> list[str]:
    """One line per imported architecture for the terminal."""
    said: list[str] = []
    for one in ranked(record):
        at_others = f", {held_out(one)} at held-out seeds" if one.gain is not None else ""
        gain = formatting.signed(one.trial[record.task.gain])
        said.append(f"imported {one.trial['imported']}: rank {one.rank} of {one.among}, gain {gain}{at_others}")
    return said


def held_out(one: Ranked) -> str:
    """Its gain at held-out seeds with the interval where that is known; empty without such seeds."""
    if one.gain is None:
        return ""
    width = f" ± {one.gain.half_width:.4f}" if isfinite(one.gain.half_width) else ""
    return f"{formatting.signed(one.gain.mean)}{width}"
