"""The table of a benchmark of deployed files, for the terminal and the page."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from gamsearch.analysis.deployed import sentences
from gamsearch.reporting import formatting
from gamsearch.reporting.tables import Column, html_table
from gamsearch.study.record import Record
from gamsearch.tasks import Task

Row = Mapping[str, Any]


def columns(task: Task) -> list[Column]:
    """The columns.

    Args:
        task: The run's task.

    Returns:
        Columns whose texts are of rows of the benchmark.
    """
    return [
        Column("trial", lambda row: f"{row['trial']}"),
        Column("format", lambda row: str(row["format"]), numeric=False),
        Column("precision", lambda row: str(row["precision"]), numeric=False),
        Column("MB", lambda row: _figure(row, "size_mb", 1)),
        Column(task.primary_title, lambda row: _figure(row, row["metric"], 4)),
        Column("against the baseline's file", lambda row: _interval(row, "from_baseline"), numeric=False),
        Column("against its own .pt", lambda row: _interval(row, "from_checkpoint"), numeric=False),
        Column("ms", lambda row: "" if "latency" not in row else formatting.plain(row["latency"]["ms"], 2)),
        Column("ratio", _ratio, numeric=False),
    ]


def _figure(row: Row, name: str, decimals: int) -> str:
    return formatting.plain(row[name], decimals) if name in row else ""


def _interval(row: Row, name: str) -> str:
    found = row.get(name)
    if not found:
        return f"failed: {row['failed']}" if "failed" in row and name == "from_baseline" else ""
    low, high = formatting.signed(found["low"]), formatting.signed(found["high"])
    return f"{formatting.signed(found['difference'])} ({low} to {high})"


def _ratio(row: Row) -> str:
    if "latency" not in row:
        return ""
    found = row["latency"]
    own = " (with itself)" if row.get("from_baseline") is None else ""
    return f"{found['ratio']:.3f} ({found['low']:.3f} to {found['high']:.3f}){own}"


def note(rows: Sequence[Row]) -> str:
    """Say how the figures came about.

    Args:
        rows: The rows of a benchmark.

    Returns:
        Two sentences; empty without a row that was measured.
    """
    done = next((row for row in rows if "latency" in row), None)
    if done is None:
        return ""
    size, side = done["conditions"]["imgsz"], done["side"]
    border = "" if size == side else f" inside the border of Ultralytics' validation ({side} px in all)"
    return (
        f"Validated on {done['images']} images of {size} px{border}, one at a time; timed in turns with the baseline's "
        f"file of the same format and precision ({done['conditions']['machine']}), that with a second copy of itself. "
        "95 % intervals."
    )


def section(record: Record, rows: Sequence[Row]) -> str:
    """The section of the page; empty without a benchmark.

    Args:
        record: The run.
        rows: The rows of its benchmark.

    Returns:
        The HTML.
    """
    if not rows:
        return ""
    head = "<h2>Deployed: accuracy and latency of exported files</h2>"
    try:
        answers = "".join(f"<p>{formatting.typeset(escape(text))}</p>" for text in sentences(rows))
        table = html_table(columns(record.task), list(rows), "Exported files of the baseline and the finalists")
        return f'{head}{answers}<p class="note">{formatting.typeset(escape(note(rows)))}</p>{table}'
    except (ValueError, KeyError, TypeError, AttributeError):
        return (
            f'{head}<p class="note">benchmark/benchmark.json in the run\'s folder is damaged: run benchmark again.</p>'
        )
