"""Which sites, modules, kinds and strengths help: means with and without them, and a linear model over the trials.

The model is an ordinary least squares fit of the paired gain on an intercept and one column per site (or per module,
kind or strength: its number of placements); levels that no trial tells apart share a column. Each of the four is a
model of its own. The baseline is one observation with gain 0.
It has no interactions. A coefficient that the trials do not identify has no value, and with fewer than three residual
degrees of freedom there is no interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gamsearch.architecture import option_label
from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.study.record import Record

MIN_DEGREES_OF_FREEDOM = 3


@dataclass(frozen=True)
class Effect:
    """The effect of one site, module, kind or strength on the primary metric, or of several that only occur together.

    Attributes:
        levels: The site's number, the module, its kind, or module and strength; several where the same trials have all
            of them, so that no trial tells them apart.
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


def module_effects(record: Record) -> list[Effect]:
    """The effect per placement of each module."""
    return _effects(record, lambda placement: placement["module"])


def kind_effects(record: Record) -> list[Effect]:
    """The effect per placement of each kind of attention; a module that is not installed has the kind `unknown`."""
    return _effects(record, _kind)


def place_effects(record: Record) -> list[Effect]:
    """The effect per placement inside a block, and of one after it."""
    return _effects(record, lambda p: "inside the block" if p.get("semantics") == "inner" else "after the block")


def strength_effects(record: Record) -> list[Effect]:
    """The effect per placement of each module at each strength that was tried, e.g. GAM at rate 8, largest last."""
    return _effects(record, _strength)


def strength_option(module: str) -> str:
    """The option that is a module's strength; empty if it has none or is not installed."""
    spec = CATALOGUE.get(module)
    return spec.strength if spec else ""


def strength_name(level: tuple[str, Any]) -> str:
    """`GAM r8` for the level `("GAM", 8)`; a strength that is not a rate is named as its option is."""
    module, strength = level
    if strength is None:
        return module
    return f"{module} {option_label(strength_option(module), strength)}"


def _kind(placement: dict[str, Any]) -> str:
    spec = CATALOGUE.get(placement["module"])
    return spec.kind if spec else "unknown"


def _strength(placement: dict[str, Any]) -> tuple[str, Any]:
    """The module and the value of its ordinal option, None if it has none."""
    return placement["module"], placement["options"].get(strength_option(placement["module"]))


def _effects(record: Record, level_of: Callable[[dict[str, Any]], Any]) -> list[Effect]:
    """Fit the gains of the baseline and all candidates to the levels of their placements."""
    candidates = record.candidates
    rows = list(zip(candidates["architecture"], candidates[record.task.gain].astype(float), strict=True))
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
    if not isinstance(level, tuple):
        return level
    module, strength = level
    number = strength if isinstance(strength, (int, float)) else 0
    return module, strength is None, number, str(strength)


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
