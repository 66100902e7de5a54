"""Tables of trials as CSV and HTML, and the columns that the page and the terminal share."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from gamsearch.architecture import BASELINE
from gamsearch.metrics import Metric
from gamsearch.reporting import formatting
from gamsearch.study.record import Record
from gamsearch.tasks import Task

JSON_COLUMNS = ("architecture", "curve")
TEXT_COLUMNS = ("key", "label", "reason", "retried", "state", "imported")


@dataclass(frozen=True)
class Column:
    """One column of a table: its title, the text of a row in it, and whether it holds numbers."""

    title: str
    text: Callable[[Any], str]
    numeric: bool = True


def write_csv(record: Record, path: Path) -> Path:
    """Write all trials as CSV; `architecture` and `curve` are JSON, unknown numbers are empty.

    Args:
        record: The run.
        path: The file to write.

    Returns:
        `path`.
    """
    table = record.trials.copy()
    for column in JSON_COLUMNS:
        table[column] = [json.dumps(_without_nan(value), default=float) for value in table[column]]
    table.to_csv(path, index=False, encoding="utf-8", errors="replace", lineterminator="\n")
    return path


def read_csv(path: Path) -> pd.DataFrame:
    """Read a `trials.csv`; keys remain text even if they look like numbers.

    Args:
        path: A file that `write_csv` wrote.

    Returns:
        One row per trial, as in `Record.trials`.
    """
    texts = dict.fromkeys(TEXT_COLUMNS, str)
    table = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values={c: [""] for c in _figures(path)})
    for column in JSON_COLUMNS:
        table[column] = pd.Series([json.loads(text) for text in table[column]], dtype=object, index=table.index)
    return table


def _figures(path: Path) -> list[str]:
    """The columns that hold numbers or flags."""
    columns = pd.read_csv(path, nrows=0).columns
    return [c for c in columns if c not in (*JSON_COLUMNS, *TEXT_COLUMNS)]


def _without_nan(value: Any) -> Any:
    """The value with NaN and infinities, which JSON lacks, as None."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def trial_columns(record: Record) -> list[Column]:
    """The columns of a table of trials: number, architecture, metrics with the gain, cost and note."""
    metrics = formatting.known_metrics(record)
    figures = [Column(formatting.heading(m, record.task), partial(_figure, m)) for m in metrics]
    figures.insert(1, Column("gain", partial(_gain, record.task)))
    if record.trials["latency_ratio"].notna().any():
        figures.append(Column("latency ratio", lambda t: formatting.plain(t["latency_ratio"], 3)))
    return [
        Column("#", lambda t: f"{t['number']}"),
        Column("architecture", lambda t: formatting.breakable(t["label"]), numeric=False),
        *figures,
        Column("epochs", lambda t: formatting.plain(t["epochs"] or math.nan, 0)),
        Column("time", lambda t: formatting.duration(t["seconds"] or math.nan)),
        Column("note", formatting.note, numeric=False),
    ]


def _figure(metric: Metric, trial: pd.Series) -> str:
    return formatting.value(metric, trial[metric.name])


def _gain(task: Task, trial: pd.Series) -> str:
    """The paired gain in the primary metric; empty for the baseline."""
    return "" if trial["label"] == BASELINE else formatting.signed(trial[task.gain])


def html_table(
    columns: list[Column],
    rows: Iterable[Any],
    caption: str,
    kind: Callable[[Any], str] = lambda row: "",
    name: str = "",
) -> str:
    """An HTML table in a container of its own that scrolls; all texts are escaped, empty columns are left out.

    Args:
        columns: The columns.
        rows: One value per row, as the columns' `text` takes it.
        caption: Title of the table.
        kind: CSS class of a row.
        name: CSS class of the table.

    Returns:
        The HTML.
    """
    rows = list(rows)
    columns = [c for c in columns if any(map(c.text, rows))]
    classes = ["number" if c.numeric else "text" for c in columns]
    titles = [escape(c.title).replace(" ", "<br>") for c in columns]
    head = "".join(f'<th scope="col" class="{k}">{title}</th>' for title, k in zip(titles, classes, strict=True))
    lines = []
    for row in rows:
        cells = "".join(f'<td class="{k}">{_cell(c, row)}</td>' for c, k in zip(columns, classes, strict=True))
        lines.append(f'<tr class="{kind(row)}">{cells}</tr>')
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="{name}">'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>\n"
        f"<tbody>{chr(10).join(lines)}</tbody></table></div>"
    )


def _cell(column: Column, row: Any) -> str:
    """The escaped text of a cell; numbers are typeset."""
    text = escape(column.text(row))
    return formatting.typeset(text) if column.numeric else text


def rows_of(trials: pd.DataFrame) -> list[pd.Series]:
    """The rows of a table as a list."""
    return [row for _, row in trials.iterrows()]
