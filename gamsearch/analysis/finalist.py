"""One architecture compared with the baseline at full budget, and reading figures from the record of a training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from gamsearch.analysis.significance import Estimate, PairedTest, estimate

Training = Mapping[str, Any]
"""One finished training as the study keeps it."""


@dataclass(frozen=True)
class Compared:
    """One architecture compared with the baseline over paired seeds.

    Attributes:
        key: The architecture's key.
        label: Its label.
        number: The trial that found it, if any.
        architecture: Its JSON-ready form.
        search_gain: Its gain in the primary metric in the search.
        tests: Paired tests by metric, the primary one first, corrected for the number of finalists within each metric.
        latency: Ratio to the baseline.
        per_class: Paired differences by class, then metric, with plain 95 % intervals; exploratory, not corrected.
        per_size: The same in the primary metric by object size (`small`, `medium`, `large`).
        bootstrap: Paired bootstrap over validation images at one seed, as recorded; empty if there is none.
    """

    key: str
    label: str
    number: int | None
    architecture: Mapping[str, Any]
    search_gain: float
    tests: Mapping[str, PairedTest]
    latency: Estimate
    per_class: Mapping[str, Mapping[str, Estimate]]
    per_size: Mapping[str, Estimate]
    bootstrap: Mapping[str, Any]

    @property
    def gain(self) -> PairedTest:
        """The test that decides: that of the primary metric."""
        return next(iter(self.tests.values()))

    @property
    def price(self) -> str:
        """E.g. ` at +8 % latency`, or an empty string if unknown."""
        return f" at {100 * (self.latency.mean - 1):+.0f} % latency" if isfinite(self.latency.mean) else ""


def figure(training: Training, *path: str) -> float:
    """Read a number from the record of a training.

    Args:
        training: The record.
        *path: Keys from the outside in.

    Returns:
        The number, NaN where there is none.
    """
    found: Any = training
    for name in path:
        found = (found or {}).get(name)
    return nan if found is None else float(found)


def latency_ratio(trainings: Sequence[Training]) -> Estimate:
    """Mean latency ratio with Student's t interval from three measurements on, else the hull of their own intervals."""
    ratios = [ratio for ratio in (figure(done, "latency_ratio") for done in trainings) if isfinite(ratio)]
    found = estimate(ratios)
    if len(ratios) >= 3 and isfinite(found.low):
        return found
    bounds = [end for done in trainings for end in done.get("latency_interval") or () if end is not None]
    return Estimate(found.mean, min(bounds, default=nan), max(bounds, default=nan), len(ratios))
