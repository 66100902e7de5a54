"""Which trials are benchmarked beside the baseline, and the weights of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from gamsearch.analysis.answer import YES
from gamsearch.analysis.verification import Verification
from gamsearch.errors import RunError
from gamsearch.runs.export_choice import Weights, chosen, weights_of
from gamsearch.study.record import Record

MOST_TRIALS = 3


@dataclass(frozen=True)
class Subject:
    """A trial that is benchmarked.

    Attributes:
        row: Its row of the table.
        weights: Its weights.
        is_baseline: Whether it is the baseline.
    """

    row: pd.Series
    weights: Weights
    is_baseline: bool

    @property
    def number(self) -> int:
        return int(self.row["number"])

    @property
    def stem(self) -> str:
        """Name of its files without extension."""
        return "baseline" if self.is_baseline else f"trial-{self.number}"


def subjects(folder: Path, record: Record, trials: Sequence[int]) -> list[Subject]:
    """Choose the baseline and the trials to compare with it.

    The weights are those that `export` takes. Where a chosen trial was not verified, all have those of the search.

    Args:
        folder: The run's folder.
        record: Its record.
        trials: Numbers of trials; none for the recommended one, else the verified finalists, else the front.

    Returns:
        The baseline, then the trials.

    Raises:
        OptionError: There is no such trial.
        RunError: There is no baseline, or weights are missing.
    """
    if record.baseline is None:
        raise RunError(f"{record.name} has no complete baseline yet, so there is nothing to compare with; run it first")
    rows = [record.baseline, *(_named(record, trials) if trials else _finalists(record))]
    found = [weights_of(folder, record, row) for row in rows]
    if not all(weights.verified for weights in found):
        short = replace(record, verification=Verification({}))
        found = [weights_of(folder, short, row) for row in rows]
    missing = [one.path for one in found if not one.path.is_file()]
    if missing:
        raise RunError(f"the weights {missing[0]} are missing; run the search again or name other --trials")
    both = zip(rows, found, strict=True)
    return [Subject(row, weights, not number) for number, (row, weights) in enumerate(both)]


def _named(record: Record, trials: Sequence[int]) -> list[pd.Series]:
    rows = [chosen(record, trial=number).row for number in dict.fromkeys(trials)]
    assert record.baseline is not None
    return [row for row in rows if row["number"] != record.baseline["number"]]


def _finalists(record: Record) -> list[pd.Series]:
    """The recommended trial, else verified finalists, else the best candidates of the front."""
    answer = record.answer()
    if answer.kind == YES and answer.trial is not None:
        return [chosen(record, trial=answer.trial).row]
    verified = sorted(record.verification.finalists, key=lambda one: -one.gain.mean)[:MOST_TRIALS]
    if verified:
        return [chosen(record, trial=one.number).row for one in verified]
    best = record.candidates
    front = best[best["on_front"]] if not best.empty and best["on_front"].any() else best.head(1)
    return [row for _, row in front.head(MOST_TRIALS).iterrows()]
