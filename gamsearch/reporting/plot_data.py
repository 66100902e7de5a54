"""The data of the Pareto plot, shared by the page and the PNG so that both show the same."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gamsearch.analysis import pareto
from gamsearch.architecture import BASELINE
from gamsearch.reporting import formatting, limits
from gamsearch.study.record import Record

KINDS = ("candidate", formatting.HAND_DESIGNED, formatting.EXCEEDS_LIMIT)
NOISE = "within the noise (95 %)"


@dataclass(frozen=True)
class Axis:
    """A column of the trials with its title; `maximise` is None if the column is not an objective."""

    column: str
    title: str
    maximise: bool | None


def axes(record: Record) -> tuple[Axis, Axis]:
    """`(x, y)`: the second and the first objective, or the trial number and the only objective."""
    first = record.objectives[0]
    y = Axis(first.name, formatting.axis_title(first, record.settings, record.task), first.maximise)
    if len(record.objectives) == 1:
        return Axis("number", "trial", None), y
    second = record.objectives[1]
    return Axis(second.name, formatting.axis_title(second, record.settings, record.task), second.maximise), y


def plotted(record: Record) -> pd.DataFrame:
    """Complete trials with both coordinates and their `kind` (one of `KINDS`, or `baseline`)."""
    x, y = axes(record)
    rows = record.complete
    rows = rows[rows[x.column].notna() & rows[y.column].notna()]
    kinds = np.select(
        [rows["label"] == BASELINE, ~rows["feasible"], rows["anchor"]],
        [BASELINE, KINDS[2], KINDS[1]],
        default=KINDS[0],
    )
    return rows.assign(kind=kinds)


def ranges(record: Record) -> tuple[tuple[float, float], tuple[float, float]]:
    """`(low, high)` of x and y with a margin around all points and the noise band, so that both its edges are seen."""
    rows, band = plotted(record), noise_band(record)
    limits = []
    for axis in axes(record):
        values = [*rows[axis.column], *(band if band and axis.column == record.task.primary else ())]
        margin = 0.08 * (max(values) - min(values)) or 0.1 * abs(values[0]) or 1.0
        limits.append((float(min(values) - margin), float(max(values) + margin)))
    return limits[0], limits[1]


def noise_band(record: Record) -> tuple[float, float] | None:
    """`(low, high)` of the primary metric between which one run may equal the baseline (95 %, uncorrected)."""
    noise, baseline = record.noise, record.baseline
    if noise is None or baseline is None:
        return None
    level = baseline[record.task.primary]
    return max(0.0, level - noise.half_width()), level + noise.half_width()


def band_lines(record: Record) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The two edges of the noise band and its middle, each from one edge of the plot to the other."""
    band, (x, y) = noise_band(record), axes(record)
    if band is None:
        return []
    (left, right), (low, high) = ranges(record)
    primary = record.task.primary
    middle = record.baseline[primary] if record.baseline is not None else sum(band) / 2
    if y.column == primary:
        return [((left, level), (right, level)) for level in (*band, middle)]
    return [((level, low), (level, high)) for level in (*band, middle)] if x.column == primary else []


def labelled(record: Record) -> pd.DataFrame:
    """The points that get a label, the most important one first: the candidate with the best gain, then the front."""
    rows = plotted(record)
    rows = rows[rows["kind"] != BASELINE]
    best = [index for index in record.candidates.index[:1] if index in rows.index]
    members = [index for index in record.front.index if index in rows.index and index not in best]
    return rows.loc[best + members]


def most_important(record: Record) -> list[int]:
    """Numbers of the trials that a page shows first: the baseline, the front, hand-designed ones, then by gain."""
    baseline = [] if record.baseline is None else [record.baseline["number"]]
    anchors = record.complete[record.complete["anchor"]]
    return [*baseline, *record.front["number"], *anchors["number"], *record.candidates["number"]]


def detailed(record: Record) -> set[int]:
    """Numbers of the plotted trials whose figures are shown as hover text: all of them, or the most important ones."""
    return set(limits.chosen(list(plotted(record)["number"]), most_important(record), limits.DETAILS))


def steps(numbers: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """A line of steps; of more than `limits.DETAILS` points those remain at which it changes, and its end."""
    if len(values) <= limits.DETAILS:
        return numbers, values
    kept = np.append(True, values[1:] != values[:-1])
    kept[-1] = True
    return numbers[kept], values[kept]


def outward(record: Record) -> tuple[int, int]:
    """Signs of the direction from the front to where there is no point."""
    x, y = axes(record)
    return (1 if x.maximise else -1), (-1 if y.maximise is False else 1)


def front_line(record: Record) -> tuple[list[float], list[float]]:
    """x and y of the step line along the front of the first two objectives, extended to the edges of the plot.

    Empty with fewer than two objectives.
    """
    x, y = axes(record)
    rows = plotted(record)
    rows = rows[rows["on_front"]]
    if x.maximise is None or rows.empty:
        return [], []
    shown = pareto.front(rows[[y.column, x.column]].to_numpy(dtype=float), record.objectives[:2])
    rows = rows[shown].sort_values(x.column)
    (left, right), (low, high) = ranges(record)
    worst = low if y.maximise else high
    corners = list(zip(rows[x.column], rows[y.column], strict=True))
    if x.maximise:
        return _steps([(left, corners[0][1]), *corners, (corners[-1][0], worst)], ahead=True)
    return _steps([(corners[0][0], worst), *corners, (right, corners[-1][1])], ahead=False)


def _steps(corners: Sequence[tuple[float, float]], ahead: bool) -> tuple[list[float], list[float]]:
    """Join corners by horizontal and vertical segments, the vertical one first if `ahead`."""
    xs, ys = [corners[0][0]], [corners[0][1]]
    for (x0, y0), (x1, y1) in zip(corners, corners[1:], strict=False):
        xs += [x0 if ahead else x1, x1]
        ys += [y1 if ahead else y0, y1]
    return xs, ys


def sizes(record: Record, smallest: float = 8.0, largest: float = 22.0) -> pd.Series:
    """Marker diameters in px: by the third objective if there is one, else equal."""
    rows = plotted(record)
    if len(record.objectives) < 3:
        return pd.Series(11.0, index=rows.index)
    values = rows[record.objectives[2].name]
    share = (values - values.min()) / ((values.max() - values.min()) or 1.0)
    return (smallest + (largest - smallest) * np.sqrt(share)).fillna(smallest)


def size_note(record: Record) -> str:
    """What the marker sizes mean; empty with fewer than three objectives."""
    if len(record.objectives) < 3:
        return ""
    third = record.task.title(record.objectives[2])
    return f"Larger markers mean more {third}; numbers mark the front of all objectives."
