"""A record made readable: trials.csv, report.html, pareto.png, a table for the terminal. No torch, no optuna."""

from pathlib import Path

from gamsearch.errors import RunError
from gamsearch.record import Record
from gamsearch.report.page import page
from gamsearch.report.picture import write_picture
from gamsearch.report.tables import plain_table, read_csv, terminal_table, write_csv

__all__ = ["plain_table", "read_csv", "terminal_table", "write"]


def write(record: Record, folder: Path) -> list[Path]:
    """Write `trials.csv`, `report.html` and `pareto.png` into `folder` and return their paths."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        html = folder / "report.html"
        html.write_bytes(page(record).encode("utf-8", errors="replace"))
        return [write_csv(record, folder / "trials.csv"), html, write_picture(record, folder / "pareto.png")]
    except OSError as error:
        raise RunError(f"the report cannot be written into {folder} ({error.strerror}); make it writable") from error
