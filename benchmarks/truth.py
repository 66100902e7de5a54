"""True values of a replay table: mean gains over all its seeds, the front, and the share that a search has found.

A search sees one seed of the table; its finished trainings are scored by the mean over all seeds.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from gamsearch.analysis import pareto
from gamsearch.architecture import Architecture
from gamsearch.errors import RunError
from gamsearch.metrics import metric_named
from gamsearch.training.replay import ReplayTable, Row

OBJECTIVES = (metric_named("map50_95"), metric_named("latency_ms"))
BEYOND_SLOWEST = 1.02
LEVEL = 0.95
"""The share of the hypervolume that a search is to reach."""

Trace = list[tuple[int, float]]
"""Epochs spent so far and the share of the hypervolume found, in ascending order; a step function."""


@dataclass(frozen=True)
class Truth:
    """Gain in map50_95, latency ratio to the baseline, and label, by architecture key, without the baseline.

    A gain is the paired difference to the baseline after the table's last epoch, averaged over its seeds.
    """

    gains: dict[str, float]
    ratios: dict[str, float]
    labels: dict[str, str]

    @classmethod
    def of(cls, table: ReplayTable) -> "Truth":
        """Compute the true values of a table; `RunError` if it lacks the baseline or nothing beats the baseline."""
        baseline = baseline_row(table)
        rows = {key: row for key, row in table.rows.items() if row is not baseline}

        def gain(row: Row) -> float:
            return float(np.mean([final(row, seed) - final(baseline, seed) for seed in table.seeds]))

        truth = cls(
            {key: gain(row) for key, row in rows.items()},
            {key: row["metrics"]["latency_ms"] / baseline["metrics"]["latency_ms"] for key, row in rows.items()},
            {key: Architecture.from_dict(row["architecture"]).label for key, row in rows.items()},
        )
        if truth.volume(truth.gains) <= 0:
            raise RunError(
                "no architecture of the table beats the baseline, so it has no front to find; choose another"
            )
        return truth

    @property
    def reference_point(self) -> tuple[float, float]:
        """Gain 0 and a latency just beyond the slowest architecture.

        With mAP 0 instead, the baseline alone would have most of the volume (over 95 % on BCCD) and every search would
        look good. This measures what attention adds.
        """
        return 0.0, BEYOND_SLOWEST * max(self.ratios.values())

    def volume(self, keys: Iterable[str]) -> float:
        """Hypervolume of architectures up to the reference point; those without a gain add nothing."""
        points = [(self.gains[key], self.ratios[key]) for key in keys if self.gains[key] > 0]
        return pareto.hypervolume(points, self.reference_point, OBJECTIVES)

    def share(self, keys: Iterable[str]) -> float:
        """Hypervolume of `keys` as a fraction of that of the table: 0 for the baseline alone, 1 for the front."""
        return self.volume(keys) / self.volume(self.gains)

    @property
    def front(self) -> list[str]:
        """The Pareto-optimal architectures with a gain, fastest first."""
        return self.front_by(self.gains)

    def front_by(self, gains: Mapping[str, float]) -> list[str]:
        """The architectures that would be the front if these were their gains: what a user is recommended."""
        better = [key for key, gain in gains.items() if gain > 0]
        marks = pareto.front([(gains[key], self.ratios[key]) for key in better], OBJECTIVES)
        return sorted((key for key, mark in zip(better, marks, strict=True) if mark), key=lambda key: self.ratios[key])

    def described_front(self) -> list[dict[str, Any]]:
        """The front as rows with `label`, `gain` and `latency_ratio`."""
        return [
            {"label": self.labels[key], "gain": round(self.gains[key], 5), "latency_ratio": round(self.ratios[key], 4)}
            for key in self.front
        ]


def baseline_row(table: ReplayTable) -> Row:
    """The row without attention; `RunError` if there is none."""
    for row in table.rows.values():
        if Architecture.from_dict(row["architecture"]).is_baseline:
            return row
    raise RunError("the table lacks the baseline, so no gain can be read from it; record it as well")


def trivial_scores(rows: Mapping[str, Row]) -> dict[str, dict[str, float]]:
    """Scores that measure nothing, by name and architecture key; the baseline has the smallest."""
    return {
        "number of modules": {key: float(len(row["architecture"]["placements"])) for key, row in rows.items()},
        "parameters": {key: float(row["metrics"]["params_m"]) for key, row in rows.items()},
        "latency, nothing measured": {key: float(row["metrics"]["latency_ms"]) for key, row in rows.items()},
    }


def final(row: Row, seed: int) -> float:
    """map50_95 after the last epoch at a recorded seed."""
    return float(row["curves"][str(seed)][-1]["map50_95"])


def at(trace: Trace, epochs: int) -> float:
    """The share that was found after `epochs`."""
    return max((share for spent, share in trace if spent <= epochs), default=0.0)


def reached(trace: Trace, level: float) -> float:
    """The epochs spent until the share reached `level`; infinite if it never did."""
    return min((float(spent) for spent, share in trace if share >= level), default=inf)


def complete(trace: Trace) -> bool:
    """Whether the whole front is found."""
    return bool(trace) and trace[-1][1] >= 1 - 1e-9


def quartiles(values: Collection[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile, each one of the values (which may be infinite)."""
    low, middle, high = np.quantile(np.array(sorted(values)), [0.25, 0.5, 0.75], method="inverted_cdf")
    return float(low), float(middle), float(high)
