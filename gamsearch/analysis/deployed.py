"""What a benchmark of deployed files recorded, and whether finalists still gain in each format and precision."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gamsearch.files import UnreadableError, read_json

FILE = "benchmark/benchmark.json"

Row = Mapping[str, Any]


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Read the rows of a benchmark.

    Args:
        folder: The run's folder.

    Returns:
        The rows; none where nothing was measured, or what was recorded cannot be read.
    """
    try:
        rows = read_json(folder / FILE)["rows"]
        return [row for row in rows if isinstance(row, dict)]
    except (OSError, UnreadableError, KeyError, TypeError):
        return []


def sentences(rows: Sequence[Row]) -> list[str]:
    """Say of each finalist whether it still gains over the baseline, by format and precision.

    Args:
        rows: The rows of a benchmark.

    Returns:
        A sentence each; one more on what the intervals do not hold.
    """
    compared = [row for row in rows if row.get("from_baseline") and row.get("latency")]
    said = [_sentence(row) for row in compared]
    if said:
        said.append(
            "The intervals are over validation images, for one training each: noise between seeds is not in it."
        )
    return said


def _sentence(row: Row) -> str:
    gain, latency = row["from_baseline"], row["latency"]
    if gain["low"] > 0:
        verdict = "still gains over the baseline"
    elif gain["high"] < 0:
        verdict = "is worse than the baseline"
    else:
        verdict = "is not shown to differ from the baseline"
    return (
        f"As {row['format']} {row['precision']}, trial {row['trial']} {verdict}: {gain['difference']:+.4f} "
        f"({gain['low']:+.4f} to {gain['high']:+.4f}) at {latency['ratio']:.3f} times its latency."
    )
