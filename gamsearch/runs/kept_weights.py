"""Which trained architectures a run's folder still holds the weights of, each with the baseline at the same seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from gamsearch.analysis.finalist import Compared
from gamsearch.architecture import BASELINE, Architecture
from gamsearch.runs.prepare_training import BASELINE_FILE
from gamsearch.study.record import Record

MOST_FINALISTS = 3


@dataclass(frozen=True)
class Pair:
    """Two trainings at one seed.

    Attributes:
        key: The candidate's key.
        label: The candidate's label.
        forms: The architectures, the baseline first.
        weights: Their weights.
        seed: The seed.
        verified: Whether they were trained at full budget.
    """

    key: str
    label: str
    forms: tuple[Mapping[str, Any], Mapping[str, Any]]
    weights: tuple[Path, Path]
    seed: int
    verified: bool


def finalist_pairs(folder: Path, record: Record) -> list[Pair]:
    """The baseline and each of the best candidates whose weights are in the folder; verified weights come first.

    Args:
        folder: The run's folder.
        record: Its record.

    Returns:
        Up to `MOST_FINALISTS` pairs, the one with the largest gain first: finalists of the verification at the seed
        whose difference is the median, else candidates of the search that are on the front. None without weights of
        the best candidate and the baseline.
    """
    if not (folder / BASELINE_FILE).is_file():
        return []
    return _verified(folder, record) or _searched(folder, record)


def _verified(folder: Path, record: Record) -> list[Pair]:
    finalists = [one for one in record.verification.finalists if isfinite(one.gain.mean)]
    ranked = sorted(finalists, key=lambda one: -one.gain.mean)[:MOST_FINALISTS]
    baseline, found = Architecture.of(record.detector_name).to_dict(), list[Pair]()
    for one in ranked:
        seeds = _from_the_median(record, one)
        for seed in sorted(seeds, key=lambda seed: seed != found[0].seed) if found else seeds:  # one baseline for all
            forms = (baseline, one.architecture)
            weights = _weights(folder / "verify" / "weights", forms, seed)
            if weights is not None:
                found.append(Pair(one.key, one.label, forms, weights, seed, True))
                break
        if not found:
            break
    return found


def _from_the_median(record: Record, finalist: Compared) -> list[int]:
    """The seeds of a finalist, the one whose difference to the baseline is the median first."""
    trainings = record.verification.trainings
    own, stock = (
        {seed: one[record.task.primary] for seed, one in trainings.get(key, {}).items()}
        for key in (finalist.key, BASELINE)
    )
    gains = {seed: value - stock[seed] for seed, value in own.items() if seed in stock}
    middle = float(np.median(list(gains.values()))) if gains else 0.0
    return sorted(gains, key=lambda seed: (abs(gains[seed] - middle), seed))


def _searched(folder: Path, record: Record) -> list[Pair]:
    candidates, found = record.candidates, list[Pair]()
    if candidates.empty or record.baseline is None:
        return []
    others = candidates.iloc[1:]
    for _, row in [*candidates.head(1).iterrows(), *others[others["on_front"]].iterrows()]:
        forms = (record.baseline["architecture"], row["architecture"])
        weights = _weights(folder / "weights", forms, int(row["seed"]))
        if weights is not None:
            found.append(Pair(row["key"], row["label"], forms, weights, int(row["seed"]), False))
        if not found or len(found) == MOST_FINALISTS:
            break
    return found


def _weights(place: Path, forms: Sequence[Mapping[str, Any]], seed: int) -> tuple[Path, Path] | None:
    first, second = (place / f"{Architecture.from_dict(form).key}-seed{seed}.pt" for form in forms)
    return (first, second) if first.is_file() and second.is_file() else None
