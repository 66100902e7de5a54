"""The report in the terminal: the verdict, the verified finalists, the best trials, what helps."""

from collections.abc import Iterable
from io import StringIO
from math import isfinite
from typing import Any, Literal

import pandas as pd
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from gamsearch.errors import plural
from gamsearch.reporting import effects_breakdown, formatting, imported_section, verification_rows
from gamsearch.reporting.tables import Column, rows_of, trial_columns
from gamsearch.study import summaries
from gamsearch.study.record import Record

LONGEST_WORD = 15
OMITTED = ("p (Holm)", "seeds", "seeds needed")
"""Columns of the verification table that do not fit a terminal of 80 characters, as the secondary metric does not."""
LATENCY = Column("latency", lambda row: _times(row.compared.latency.mean) if row.compared else "")
"""The latency ratio without its interval, which does not fit either."""


def terminal_table(record: Record, limit: int = 15) -> Group:
    """The verdict and the best trials, front first.

    Args:
        record: The run.
        limit: Largest number of trials.

    Returns:
        A renderable for `rich`; plain text where there is no terminal.
    """
    shown = _ranked(record).head(limit)
    columns = [c for c in trial_columns(record) if c.title in _terminal_titles(record)]
    columns.append(Column("note", _plain_note, numeric=False))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        _add_column(table, column, rows_of(shown))
    for trial in rows_of(shown):
        style = "bold" if trial["on_front"] else "dim" if trial["state"] != "complete" else ""
        table.add_row(*(Text(column.text(trial)) for column in columns), style=style)
    parts = _verdicts(record)
    parts.append(Text(f"{record.counts.sentence}; baseline at {plural(record.counts.baseline_seeds, 'seed')}"))
    parts += [Text(f"Data: {text}") for text in record.settings.get("data_warnings", [])]
    if summaries.economy(record):
        parts.append(Text(summaries.economy(record)))
    if len(shown):
        parts.append(table)
    parts += [Text(line) for line in imported_section.lines(record)]
    hidden = len(record.trainings) - len(shown)
    parts += [Text(f"... and {hidden} more in trials.csv")] if hidden else []
    return Group(*parts, *(Text(line) for line in effects_breakdown.lines(record)))


def _verdicts(record: Record) -> list[Any]:
    """The answer, what to do next and, if there are finalists, their table and the search result."""
    answer = record.answer()
    parts: list[Any] = [Text(answer.headline, style="bold"), Text(answer.detail)]
    if answer.next:
        parts.append(Text(answer.next))
    if not record.verification.finalists:
        return parts
    if record.verification.against_growth():
        parts.append(Text(record.verification.against_growth()))
    parts.append(_verified_table(record))
    if left := verification_rows.missing(record.verification):
        parts.append(Text(f"Still missing: {'; '.join(left)}"))
    if record.verified:
        parts.append(Text(f"Search result, from short trainings only: {record.search_verdict()}"))
    return parts


def _verified_table(record: Record) -> Table:
    """The finalists and the controls at full budget."""
    rows = verification_rows.rows(record.verification)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    omitted = (*OMITTED, f"{record.task.secondary_title} difference")
    known = [c for c in verification_rows.columns(record.task) if c.title not in omitted]
    columns = [LATENCY if c.title == "latency ratio" else c for c in known]
    columns = [c for c in columns if any(map(c.text, rows))]
    for column in columns:
        _add_column(table, column, rows)
    for row in rows:
        table.add_row(*(Text(column.text(row)) for column in columns))
    return table


def _times(ratio: float) -> str:
    """E.g. `1.225×`; empty if unknown."""
    return f"{ratio:.3f}×" if isfinite(ratio) else ""


def _add_column(table: Table, column: Column, rows: Iterable[Any]) -> None:
    """Add a column: numbers are right-aligned on one line, text wraps between words of up to `LONGEST_WORD`."""
    side: Literal["right", "left"] = "right" if column.numeric else "left"
    words = [] if column.numeric else [len(word) for row in rows for word in column.text(row).split(" ")]
    narrowest = max(len(column.title), min(max(words, default=0), LONGEST_WORD))
    table.add_column(Text(column.title), justify=side, no_wrap=column.numeric, min_width=narrowest, overflow="fold")


def plain_table(record: Record, limit: int = 15, width: int = 120) -> str:
    """`terminal_table` as text without colours.

    Args:
        record: The run.
        limit: Largest number of trials.
        width: Characters per line.

    Returns:
        The text, lines without trailing spaces.
    """
    console = Console(file=StringIO(), width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(terminal_table(record, limit))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _terminal_titles(record: Record) -> set[str]:
    return {"#", "architecture", "gain", *(formatting.heading(m, record.task) for m in record.objectives)}


def _plain_note(trial: pd.Series) -> str:
    """The note, starting with `on the front` for its members, since a terminal may not show bold text."""
    return ", ".join(filter(None, ["on the front" if trial["on_front"] else "", formatting.note(trial)]))


def _ranked(record: Record) -> pd.DataFrame:
    """The front by first objective, then the other complete trials by first objective, then the rest in order."""
    first = record.objectives[0]
    rows = record.trainings
    table = rows.assign(
        _front=~(rows["on_front"] & rows["recalled_from"].isna()),
        _rest=~rows.index.isin(record.complete.index),
        _value=rows[first.name] * (-1 if first.maximise else 1),
    )
    return table.sort_values(["_front", "_rest", "_value", "number"], kind="stable")
