"""The user's own architectures beside those of the search: their ranks, and what they gain with intervals."""

from dataclasses import dataclass

import pandas as pd

from gamsearch.analysis.noise import Gain
from gamsearch.study import repeats
from gamsearch.study.record import Record


@dataclass(frozen=True, eq=False)
class Ranked:
    """An imported architecture that was trained.

    Attributes:
        rank: Its place among all candidates by gain at the seed of the search, from 1.
        among: Number of candidates.
        trial: Its trial.
        gain: What it gains at the seeds after that of the search; None without any.
    """

    rank: int
    among: int
    trial: pd.Series
    gain: Gain | None


def ranked(record: Record) -> list[Ranked]:
    """Rank the imported architectures.

    Args:
        record: The run.

    Returns:
        Those that were trained, best first.
    """
    known = record.repeated
    rows = enumerate((row for _, row in record.candidates.iterrows()), start=1)
    return [
        Ranked(rank, len(record.candidates), row, repeats.gain_of(row, record.task, known, record.baseline_seeds))
        for rank, row in rows
        if row["imported"]
    ]
