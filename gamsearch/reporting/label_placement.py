"""Where the labels of points go, so that they cover neither points, lines nor each other; for plots of any library.

Coordinates are in px (or points) with y upwards. A plot that is shown at several widths has one `View` for each, and a
label gets the same offset in all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Offset = tuple[int, int]
"""From a point to the nearest corner or edge of its label."""

DISTANCES = (9, 20, 34, 50, 68)
LEADER = 12
"""A label farther away than this gets a line to its point."""
GAP = np.array([-3.0, -3.0, 3.0, 3.0])
"""Two labels keep this far apart."""
STEP = 4.0
"""Lines are followed in steps of this length."""


@dataclass(frozen=True, eq=False)
class View:
    """A plot at one size.

    Attributes:
        points: The points to label, `n x 2`.
        obstacles: Boxes that no label may cover, `m x 4`: left, low, right, high.
        frame: The box that holds all labels.
    """

    points: NDArray[np.float64]
    obstacles: NDArray[np.float64]
    frame: tuple[float, float, float, float]


def place(
    sizes: Sequence[tuple[float, float]], views: Sequence[View], outward: tuple[int, int] = (-1, 1)
) -> list[Offset | None]:
    """Choose the offset of each label, the nearest that is free in all views.

    Args:
        sizes: Width and height of each label, the most important one first.
        views: The plot at each size, with one point per label.
        outward: Signs of the direction in which there are the fewest points, which is tried first.

    Returns:
        The offsets; None where nothing is free, except for the first label, which gets the least bad offset.
    """
    offsets = _offsets(outward)
    taken = [view.obstacles.reshape(-1, 4) for view in views]
    labels = [np.empty((0, 4)) for _ in views]
    chosen: list[Offset | None] = []
    for index, size in enumerate(sizes):
        costs = [
            sum(_cost(view, index, size, offset, taken[i], labels[i]) for i, view in enumerate(views))
            for offset in offsets
        ]
        best = int(np.argmin(costs))
        chosen.append(offsets[best] if costs[best] == 0 or index == 0 else None)
        if (offset := chosen[-1]) is None:
            continue
        for i, view in enumerate(views):
            box = box_of(view.points[index], size, offset)
            labels[i] = np.vstack([labels[i], box])
            taken[i] = np.vstack([taken[i], box + GAP, *leader(view.points[index], box)])
    return chosen


def _offsets(outward: tuple[int, int]) -> list[Offset]:
    """All offsets, nearest first, those in the outward direction before the others of the same distance."""
    directions = [d for d in product((-1, 0, 1), repeat=2) if d != (0, 0)]
    directions.sort(key=lambda d: -(d[0] * outward[0] + d[1] * outward[1]) - 0.1 * (d[0] != 0 and d[1] != 0))
    return [(x * far, y * far) for far in DISTANCES for x, y in directions]


def box_of(point: NDArray[np.float64], size: tuple[float, float], offset: Offset) -> NDArray[np.float64]:
    """The box of a label: beside the offset point, or centred on it along an axis whose offset is 0."""
    low = [
        middle + shift - extent * (0.5 if shift == 0 else float(shift < 0))
        for middle, shift, extent in zip(point, offset, size, strict=True)
    ]
    return np.array([*low, low[0] + size[0], low[1] + size[1]])


def has_leader(offset: Offset) -> bool:
    """Whether a label is so far from its point that a line joins them."""
    return max(map(abs, offset)) > LEADER


def anchors(offset: Offset, middle: str = "center") -> tuple[str, str]:
    """The side of the label, across and up, that lies at the offset point; `middle` is the word for neither, up."""
    across, up = ((part > 0) - (part < 0) for part in offset)
    return {1: "left", 0: "center", -1: "right"}[across], {1: "bottom", 0: middle, -1: "top"}[up]


def leader(point: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes along the line from a point to its label; none if the label is close."""
    end = np.clip(point, box[:2], box[2:])
    start_to_end = end - point
    if np.abs(start_to_end).max() <= LEADER:
        return np.empty((0, 4))
    return along([point + 0.1 * start_to_end, end - 0.1 * start_to_end], 0.5)


def along(line: Sequence[NDArray[np.float64]], half_width: float) -> NDArray[np.float64]:
    """Small boxes that cover a line through these points, as obstacles."""
    boxes = [np.empty((0, 4))]
    for start, end in zip(line, line[1:], strict=False):
        count = max(2, int(np.ceil(np.linalg.norm(np.subtract(end, start)) / STEP)) + 1)
        spots = np.linspace(start, end, count)
        boxes.append(np.hstack([spots - half_width, spots + half_width]))
    return np.vstack(boxes)


def around(points: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Boxes around markers, as obstacles."""
    points = np.asarray(points, dtype=float).reshape(-1, 2)
    return np.hstack([points - radius, points + radius])


def _cost(
    view: View,
    index: int,
    size: tuple[float, float],
    offset: Offset,
    taken: NDArray[np.float64],
    labels: NDArray[np.float64],
) -> float:
    """Area that the label covers or has outside the frame, and the length of its leader on other labels."""
    box = box_of(view.points[index], size, offset)
    inside = overlap(box, np.array([view.frame]))
    line = leader(view.points[index], box)
    crossed = sum(float(overlap(part, labels) > 0) for part in line) if len(labels) else 0.0
    outside = max(0.0, size[0] * size[1] - inside)
    return overlap(box, taken) + 4 * (outside if outside > 1e-6 * size[0] * size[1] else 0.0) + 10 * crossed


def overlap(box: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Area that a box shares with others, summed over them."""
    if not len(others):
        return 0.0
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    return float((np.clip(width, 0, None) * np.clip(height, 0, None)).sum())
