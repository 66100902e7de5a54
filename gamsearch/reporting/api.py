"""The Python interface to what is derived from records: `gamsearch.report` and `gamsearch.compare`."""

import os
from collections.abc import Sequence
from pathlib import Path

from gamsearch.reporting import comparison, comparison_page, write
from gamsearch.reporting.compared_run import ComparedRun
from gamsearch.reporting.comparison import Comparison
from gamsearch.runs.api import Run


def report(run: str | os.PathLike[str]) -> list[Path]:
    """Write `trials.csv`, `report.html`, `pareto.png` and, after a verification, `verdict.md` and `verdict.tex`.

    Args:
        run: The run, or its folder.

    Returns:
        The files, all in the run's folder.

    Raises:
        RunError: The folder holds no run, or cannot be written.
    """
    found = run if isinstance(run, Run) else Run(Path(run))
    return write(found.record, found.folder)


def compare(runs: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str] | None = None) -> Comparison:
    """Compare several runs with the same objectives from one reference point.

    Args:
        runs: Two or more runs, or their folders.
        out: A folder to write `compare.html` and `compare.png` into; nothing is written if left out.

    Returns:
        The comparison: fronts and hypervolumes by run, the settings that differ, `verdict()` in one sentence.

    Raises:
        OptionError: Fewer than two runs are given.
        RunError: A folder holds no run, or the objectives differ.
    """
    compared = comparison.compare([ComparedRun.read(Path(run)) for run in runs])
    if out is not None:
        comparison_page.write(compared, Path(out))
    return compared
