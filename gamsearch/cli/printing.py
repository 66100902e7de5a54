"""What commands print: tables, the report of a run, the files that were written."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from gamsearch.runs.output import Output

if TYPE_CHECKING:
    from gamsearch.runs.api import Run

PIPED_WIDTH = 160
"""Columns of a table that is not printed on a terminal."""


def console() -> Console:
    """A console as wide as the terminal, or wide enough for every table where there is none."""
    return Output(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table without lines; columns of numbers are aligned to the right."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title, cells in zip(titles, zip(*rows, strict=True), strict=True):
        numbers = all(isinstance(cell, int | float) for cell in cells)
        made.add_column(title, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    return made


def as_json(content: Any) -> str:
    """Write plain values as JSON.

    Args:
        content: Mappings, sequences, texts, numbers and paths.

    Returns:
        The document; numbers that are not finite are null, since JSON has none.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): plain(below) for key, below in value.items()}
        if isinstance(value, list | tuple):
            return [plain(below) for below in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return value if value is None or isinstance(value, bool | int | float) else str(value)

    return json.dumps(plain(content), indent=2, ensure_ascii=False)


def show_report(run: "Run") -> dict[str, Any]:
    """Write the report of a run and print its table, its verdict and the files.

    Args:
        run: The run.

    Returns:
        The run as plain values, with the files.
    """
    from gamsearch.reporting import terminal_table, write
    from gamsearch.reporting.plain import run_values

    record = run.record
    written = write(record, run.folder)
    console().print(terminal_table(record))
    print_written(written)
    return {**run_values(record), "files": written}


def show_answers(runs: "Sequence[Run]") -> None:
    """Print the answer of each run and where its page is.

    Args:
        runs: The runs.
    """
    for run in runs:
        words = f"{run.name}: {run.record.answer().headline} See {run.folder / 'report.html'}"
        console().print(words, markup=False, soft_wrap=True)


def print_written(paths: Iterable[Path]) -> None:
    """Print one line per file, unbroken so that it can be copied."""
    for path in paths:
        Output().print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
