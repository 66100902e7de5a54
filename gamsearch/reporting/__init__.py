"""A record made readable: trials.csv, report.html, pareto.png, the verdict for pasting, a table for the terminal.

No torch, no optuna.
"""

from pathlib import Path

from gamsearch.errors import RunError
from gamsearch.reporting import provenance_section, snippets
from gamsearch.reporting.html_page import page
from gamsearch.reporting.pareto_png import write_picture
from gamsearch.reporting.tables import read_csv, write_csv
from gamsearch.reporting.terminal import plain_table, terminal_table
from gamsearch.study.record import Record

__all__ = ["plain_table", "read_csv", "terminal_table", "write"]


def write(record: Record, folder: Path) -> list[Path]:
    """Write `trials.csv`, `report.html`, `pareto.png` into `folder`, and if anything was verified the blocks for
    pasting, `verdict.md` and `verdict.tex`; return their paths."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        html = folder / "report.html"
        html.write_bytes(page(record, provenance_section.surroundings(folder)).encode("utf-8", errors="replace"))
        written = [write_csv(record, folder / "trials.csv"), html, write_picture(record, folder / "pareto.png")]
        return written + _write_blocks(record, folder)
    except OSError as error:
        raise RunError(f"the report cannot be written into {folder} ({error.strerror}); make it writable") from error


def _write_blocks(record: Record, folder: Path) -> list[Path]:
    """The verdict in Markdown and LaTeX, if there are finalists."""
    if not record.verification.finalists:
        return []
    blocks = {"verdict.md": snippets.markdown(record), "verdict.tex": snippets.latex(record)}
    for name, text in blocks.items():
        (folder / name).write_bytes(text.encode("utf-8", errors="replace"))
    return [folder / name for name in blocks]
