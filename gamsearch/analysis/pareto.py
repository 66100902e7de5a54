"""Pareto front, hypervolume and knee. Fronts and volumes by moocore; directions are mixed, no sign is flipped here."""

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gamsearch.metrics import Metric


def front(values: ArrayLike, objectives: Sequence[Metric]) -> NDArray[np.bool_]:
    """Mark the rows of `values` (`n x len(objectives)`) that no other row dominates; exact ties are all kept."""
    points = np.asarray(values, dtype=float)
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    return np.asarray(
        moocore.is_nondominated(points, maximise=[m.maximise for m in objectives], keep_weakly=True), dtype=bool
    )


def hypervolume(values: ArrayLike, reference_point: Sequence[float], objectives: Sequence[Metric]) -> float:
    """Volume that the rows of `values` dominate up to `reference_point`, in the product of the objectives' units."""
    points = np.asarray(values, dtype=float)
    if len(points) == 0:
        return 0.0
    return float(moocore.hypervolume(points, ref=list(reference_point), maximise=[m.maximise for m in objectives]))


def growing_hypervolumes(
    values: ArrayLike, reference_point: Sequence[float], objectives: Sequence[Metric]
) -> NDArray[np.float64]:
    """The hypervolume of the first row of `values`, of the first two, and so on (`n`).

    It is computed anew only where a row is on the front of those before it.
    """
    members, volume, volumes = np.empty((0, len(objectives))), 0.0, []
    for point in np.asarray(values, dtype=float).reshape(-1, len(objectives)):
        among = np.vstack([members, point])
        on_front = front(among, objectives)
        if on_front[-1]:
            members = among[on_front]
            volume = hypervolume(members, reference_point, objectives)
        volumes.append(volume)
    return np.array(volumes, dtype=float)


def reference_point(baseline: Sequence[float], objectives: Sequence[Metric]) -> tuple[float, ...]:
    """A point worse than the baseline in every objective: nothing to be maximised, twice what is to be minimised.

    Fixed once per study, since a hypervolume means nothing without its reference point.
    """
    return tuple(0.0 if m.maximise else 2.0 * value for m, value in zip(objectives, baseline, strict=True))


def knee(values: ArrayLike, objectives: Sequence[Metric]) -> int:
    """Index of the row closest to the ideal point after scaling each objective of the front to 0..1.

    `values` are the points of a front; with a single point that point is the knee.
    """
    points = np.asarray(values, dtype=float) * [-1.0 if m.maximise else 1.0 for m in objectives]
    span = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(span > 0, span, 1.0)
    return int(np.argmin(np.linalg.norm(scaled, axis=1)))
