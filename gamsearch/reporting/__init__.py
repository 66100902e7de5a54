"""Reports of a run: trials.csv, report.html, pareto.png, the verdict in Markdown and LaTeX, a table for the terminal.

No torch, no optuna.
"""

from pathlib import Path

from gamsearch.analysis.deployed import read_rows
from gamsearch.errors import RunError
from gamsearch.reporting import predictions_section, provenance_section, snippets
from gamsearch.reporting.html_page import page
from gamsearch.reporting.pareto_png import write_picture
from gamsearch.reporting.tables import read_csv, write_csv
from gamsearch.reporting.terminal import plain_table, terminal_table
from gamsearch.study.record import Record

__all__ = ["plain_table", "read_csv", "terminal_table", "write"]

WRITTEN = ("trials.csv", "report.html", "pareto.png", "verdict.md", "verdict.tex")


def write(record: Record, folder: Path) -> list[Path]:
    """Write `trials.csv`, `report.html`, `pareto.png` and, after a verification, `verdict.md` and `verdict.tex`.

    Args:
        record: The run.
        folder: Where to write; its `manifest.yaml`, if any, is read for the environment of the run.

    Returns:
        The files.

    Raises:
        RunError: `folder` is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in WRITTEN:
            (folder / name).unlink(missing_ok=True)  # a copy of the folder may share the file (a hard link)
        html = folder / "report.html"
        kept = (provenance_section.environment(folder), predictions_section.read(folder), read_rows(folder))
        text = page(record, *kept)
        html.write_bytes(text.encode("utf-8", errors="replace"))
        written = [write_csv(record, folder / "trials.csv"), html, write_picture(record, folder / "pareto.png")]
        return written + _write_verdict(record, folder)
    except OSError as error:
        raise RunError(f"the report cannot be written to {folder} ({error.strerror}); make it writable") from error


def _write_verdict(record: Record, folder: Path) -> list[Path]:
    """Write the verdict in Markdown and LaTeX if there are finalists."""
    if not record.verification.finalists:
        return []
    texts = {"verdict.md": snippets.markdown(record), "verdict.tex": snippets.latex(record)}
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode("utf-8", errors="replace"))
    return [folder / name for name in texts]
