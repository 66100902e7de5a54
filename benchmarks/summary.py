"""Summary of the runs of `search.py`: epochs to a share of the hypervolume, with intervals, and ratios of arms."""

from collections.abc import Callable, Iterable
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray
from truth import LEVEL, reached

MEASURES = {
    "epochs to 80 %": ("found", 0.8),
    "epochs to 95 %": ("found", LEVEL),
    "95 % recommended, all in": ("recommended", LEVEL),
}
"""What is summarised: a trace of each run, and the share that it is to reach."""
RESAMPLES = 2000

Run = dict[str, Any]
"""`arm`, `seed` and the traces `found` and `recommended`."""
Values = NDArray[np.float64]


def epochs_to(runs: list[Run], arm: str, measure: str) -> Values:
    """Epochs that the run of `arm` at each seed needed; infinite if it never got there."""
    trace, level = MEASURES[measure]
    return np.array([reached(run[trace], level) for run in runs if run["arm"] == arm])


def best_of(runs: list[Run], arms: Iterable[str], measure: str) -> str | None:
    """The one of `arms` with the smallest median; None if none was run or none got there."""
    present = {run["arm"] for run in runs} & set(arms)
    medians = {arm: float(middle(epochs_to(runs, arm, measure))) for arm in sorted(present)}
    best = min(medians, key=lambda arm: medians[arm], default=None)
    return best if best is not None and isfinite(medians[best]) else None


def middle(values: Values) -> Values:
    """The median over the last axis, always one of the values (which may be infinite)."""
    return np.asarray(np.quantile(values, 0.5, axis=-1, method="inverted_cdf"), dtype=float)


def ratio(own: Values, other: Values) -> Values:
    """Quotient of the medians over the last axis; infinite if the first is infinite, 0 if only the second is."""
    over, under = middle(own), middle(other)
    quotient = over / np.where(np.isfinite(under), under, 1.0)
    return np.where(np.isfinite(under), quotient, np.where(np.isfinite(over), 0.0, inf))


def interval(statistic: Callable[..., Values], *samples: Values) -> tuple[float, float]:
    """95 % percentile bootstrap interval of a statistic over seeds, with the same seeds from each sample."""
    drawn = np.random.default_rng(0).integers(len(samples[0]), size=(RESAMPLES, len(samples[0])))
    low, high = np.quantile(statistic(*(sample[drawn] for sample in samples)), [0.025, 0.975], method="inverted_cdf")
    return float(low), float(high)


def summary(runs: list[Run], alternatives: Iterable[str]) -> list[dict[str, Any]]:
    """One row per arm and measure: median epochs, share of seeds that got there, ratio to the best alternative."""
    rows = []
    for measure in MEASURES:
        other = best_of(runs, alternatives, measure)
        for arm in dict.fromkeys(run["arm"] for run in runs):
            own = epochs_to(runs, arm, measure)
            row: dict[str, Any] = {
                "arm": arm,
                "measure": measure,
                "epochs": float(middle(own)),
                "interval": interval(middle, own),
            }
            row["share_reached"] = float(np.mean(np.isfinite(own)))
            if other is not None:
                pair = own, epochs_to(runs, other, measure)
                row |= {"alternative": other, "ratio": float(ratio(*pair)), "ratio_interval": interval(ratio, *pair)}
            rows.append(row)
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    """The summary as one Markdown table, arms as rows."""
    lines = ["| arm |", "|---|"]
    for measure in MEASURES:
        name = next((f" / {row['alternative']}" for row in rows if row["measure"] == measure and "ratio" in row), "")
        lines[0] += f" {measure} |" + (f" ratio{name} |" if name else "")
        lines[1] += "--:|" + ("--:|" if name else "")
    for arm in dict.fromkeys(row["arm"] for row in rows):
        cells = []
        for row in (row for row in rows if row["arm"] == arm):
            cells += [_with_interval(row["epochs"], row["interval"], 0)]
            cells += [_with_interval(row["ratio"], row["ratio_interval"], 2)] if "ratio" in row else []
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _with_interval(value: float, bounds: tuple[float, float], digits: int) -> str:
    shown = [f"{number:.{digits}f}" if isfinite(number) else "∞" for number in (value, *bounds)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"
