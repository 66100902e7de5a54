"""Which sites and rates help: means with and without them, and a linear model over the trials.

The model is an ordinary least squares fit of the paired gain on an intercept and one column per site (or per rate: its
number of placements); levels that no trial tells apart share a column. The baseline is one observation with gain 0.
It has no interactions. A coefficient that the trials do not identify has no value, and with fewer than three residual
degrees of freedom there is no interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.study.record import Record

MIN_DEGREES_OF_FREEDOM = 3


@dataclass(frozen=True)
class Effect:
    """The effect of one site or rate on map50_95, or of several that only occur together.

    Attributes:
        levels: The site's number, or the module and its rate; several where the same trials have all of them, so that
            no trial tells them apart.
        count: Number of trials with them; `count_without` those without it.
        mean_with: Mean paired gain of these trials; `mean_without` that of the others.
        effect: Coefficient of the linear model; None if the trials do not identify it.
        half_width: Half-width of its 95 % interval; None if there is none.
    """

    levels: tuple[Any, ...]
    count: int
    count_without: int
    mean_with: float
    mean_without: float
    effect: float | None
    half_width: float | None

    @property
    def estimate(self) -> float:
        """The coefficient, else the difference of the means."""
        return self.mean_with - self.mean_without if self.effect is None else self.effect


def site_effects(record: Record) -> list[Effect]:
    """The effect of attention at each site that was tried, by site number."""
    return _effects(record, lambda placement: placement["site"])


def rate_effects(record: Record) -> list[Effect]:
    """The effect per placement of each module at each rate that was tried, e.g. `GAM r8`, largest rate last."""
    return _effects(record, _strength)


def rate_name(level: tuple[str, Any]) -> str:
    """`GAM r8` for the level `("GAM", 8)`."""
    module, strength = level
    return module if strength is None else f"{module} r{strength}"


def _strength(placement: dict[str, Any]) -> tuple[str, Any]:
    """The module and the value of its ordinal option."""
    spec = CATALOGUE.get(placement["module"])
    return placement["module"], placement["options"].get(spec.strength if spec else "rate")


def _effects(record: Record, level_of: Callable[[dict[str, Any]], Any]) -> list[Effect]:
    """Fit the gains of the baseline and all candidates to the levels of their placements."""
    candidates = record.candidates
    rows = list(zip(candidates["architecture"], candidates["map50_95_gain"].astype(float), strict=True))
    if record.baseline is not None:
        rows.append(({"placements": []}, 0.0))
    found = [[level_of(p) for p in architecture.get("placements", [])] for architecture, _ in rows]
    levels = sorted({level for placed in found for level in placed}, key=_order)
    if not levels:
        return []
    counts = np.array([[placed.count(level) for level in levels] for placed in found], dtype=float)
    groups = _groups(counts)
    columns = np.column_stack(
        [counts[:, group[0]] / (1 if len(group) == 1 else counts[:, group[0]].max()) for group in groups]
    )
    gains = np.array([gain for _, gain in rows])
    fitted = _fit(columns, gains)
    return [
        _effect(tuple(levels[n] for n in group), columns[:, i] > 0, gains, *fitted[i]) for i, group in enumerate(groups)
    ]


def _groups(counts: NDArray[np.float64]) -> list[list[int]]:
    """The columns of `counts`, those that are proportional to each other in one group."""
    found: dict[tuple[float, ...], list[int]] = {}
    for index, column in enumerate(counts.T):
        found.setdefault(tuple(column / column.max()), []).append(index)
    return list(found.values())


def _order(level: Any) -> Any:
    return level if not isinstance(level, tuple) else (level[0], level[1] is None, level[1] or 0)


def _effect(
    levels: tuple[Any, ...],
    has: NDArray[np.bool_],
    gains: NDArray[np.float64],
    effect: float | None,
    half_width: float | None,
) -> Effect:
    mean_without = float(gains[~has].mean()) if (~has).any() else 0.0
    return Effect(levels, int(has.sum()), int((~has).sum()), float(gains[has].mean()), mean_without, effect, half_width)


def _fit(counts: NDArray[np.float64], gains: NDArray[np.float64]) -> Sequence[tuple[float | None, float | None]]:
    """Least squares with intercept: `(coefficient, half-width)` per column of `counts` (`trials x levels`)."""
    design = np.column_stack([np.ones(len(gains)), counts])
    inverse = np.linalg.pinv(design)
    coefficients = inverse @ gains
    determined = np.isclose(np.diag(inverse @ design), 1.0)
    degrees = len(gains) - int(np.linalg.matrix_rank(design))
    if degrees < MIN_DEGREES_OF_FREEDOM:
        widths = np.full(len(coefficients), np.nan)
    else:
        variance = float(np.sum((gains - design @ coefficients) ** 2)) / degrees
        widths = stats.t.ppf(0.975, degrees) * np.sqrt(variance * np.diag(inverse @ inverse.T))
    return [
        (float(c) if known else None, float(w) if known and np.isfinite(w) else None)
        for c, w, known in zip(coefficients[1:], widths[1:], determined[1:], strict=True)
    ]


def span(effects: Sequence[Effect]) -> tuple[float, float]:
    """Axis range `(low, high)` of zero and all effects with their intervals, with a margin."""
    ends = [0.0, *(e.estimate + sign * (e.half_width or 0.0) for e in effects for sign in (-1, 1))]
    margin = 0.06 * (max(ends) - min(ends)) or 0.001
    return min(ends) - margin, max(ends) + margin
