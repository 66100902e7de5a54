"""Labels of points in a plotly figure, placed so that they cover nothing at any width of the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from gamsearch.reporting import label_placement

TEXT, CHARACTER = 12, 7.5
"""Size of a label in px, and the width of one of its characters."""
MARKER = 8.0
"""Half the width of a marker in px, with a margin."""


@dataclass(frozen=True)
class Label:
    """A text beside a point of the data."""

    x: float
    y: float
    text: str
    color: str


@dataclass(frozen=True, eq=False)
class Plot:
    """What labels must not cover: `markers` (`n x 2`), `lines` through points, and the area of the plot.

    Attributes:
        x_range: Range `(low, high)` of the axis.
        y_range: The same of y.
        markers: Points that have a marker.
        lines: Lines, each `n x 2`.
        sizes: Width and height of the area in px, from a phone, where the legend is tall, to a wide screen.
    """

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    markers: ArrayLike
    lines: Sequence[ArrayLike]
    sizes: tuple[tuple[float, float], ...]

    def view(self, points: ArrayLike, width: float, height: float) -> label_placement.View:
        """The plot in px at one of its sizes, with the points to label."""
        (left, right), (low, high) = self.x_range, self.y_range
        scale = np.array([width / (right - left), height / (high - low)])

        def px(values: ArrayLike) -> NDArray[np.float64]:
            return (np.asarray(values, dtype=float).reshape(-1, 2) - (left, low)) * scale

        obstacles = [label_placement.around(px(self.markers), MARKER)]
        obstacles += [label_placement.along(list(px(line)), 2) for line in self.lines]
        return label_placement.View(px(points), np.vstack(obstacles), (0, 0, width, height))


def annotate(figure: go.Figure, labels: Sequence[Label], plot: Plot, outward: tuple[int, int] = (-1, 1)) -> None:
    """Add the labels, the most important one first; those for which there is no room are left to the hover text.

    Args:
        figure: The figure.
        labels: The labels.
        plot: What they must not cover.
        outward: Signs of the direction in which there are the fewest points.
    """
    views = [plot.view([(one.x, one.y) for one in labels], *size) for size in plot.sizes]
    sizes = [(CHARACTER * len(one.text), TEXT + 2.0) for one in labels]
    for label, offset in zip(labels, label_placement.place(sizes, views, outward), strict=True):
        if offset is not None:
            figure.add_annotation(_annotation(label, offset))


def _annotation(label: Label, offset: label_placement.Offset) -> dict[str, Any]:
    """A label with a line to its point unless that is close."""
    across, up = label_placement.anchors(offset, "middle")
    look: dict[str, Any] = {"text": label.text, "x": label.x, "y": label.y, "xanchor": across, "yanchor": up}
    look |= {"borderpad": 0, "font": {"color": label.color, "size": TEXT}}
    if not label_placement.has_leader(offset):
        return look | {"showarrow": False, "xshift": offset[0], "yshift": offset[1]}
    arrow = {"arrowhead": 0, "arrowwidth": 1, "arrowcolor": label.color, "standoff": 6}
    return look | arrow | {"showarrow": True, "ax": offset[0], "ay": -offset[1]}
