"""pareto.png: the Pareto plot of the page as an image, e.g. for a README."""

import textwrap
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from gamsearch.architecture import BASELINE
from gamsearch.reporting import formatting, label_placement, plot_data, theme
from gamsearch.reporting.tables import rows_of
from gamsearch.study.record import Record

STYLE: Any = {"text.parse_math": False, "font.family": "sans-serif", "font.size": 10, "axes.unicode_minus": True}
MARKERS = dict(zip((*plot_data.KINDS, BASELINE), "osX*", strict=True))
LONGEST_LABEL = 26
FONT_SIZE = 8.5
DPI = 160
AXES = (0.085, 0.105, 0.885, 0.68)
"""Left, bottom, width and height of the plot as shares of the image; leaves room for a verdict of three lines."""


def write_picture(record: Record, path: Path) -> Path:
    """Write 1600 x 1000 pixels to `path` and return it; without a completed trial it shows only the verdict."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(10, 6.25), dpi=DPI, facecolor=theme.PAPER)
        FigureCanvasAgg(figure)
        axes = figure.add_axes(AXES)
        _head(figure, record)
        if plot_data.plotted(record).empty:
            axes.set_axis_off()
        else:
            _draw(axes, record)
        figure.savefig(path, metadata={"Software": None})
    return path


def _head(figure: Figure, record: Record) -> None:
    """Name and verdict above the plot."""
    title = f"{record.name} · {record.detector_name}"
    figure.text(0.03, 0.955, title, fontsize=13, fontweight="bold", color=theme.INK, va="center")
    shown = "Points: short trainings. Verdict at full budget: " if record.verified else ""
    verdict = "\n".join(textwrap.wrap(formatting.typeset(shown + record.verdict()), 122)[:3])
    figure.text(0.03, 0.925, verdict, fontsize=10, color=theme.MUTED, va="top", linespacing=1.45)


def _draw(axes: Axes, record: Record) -> None:
    """Noise band, front line, points and labels."""
    x, y = plot_data.axes(record)
    x_range, y_range = plot_data.ranges(record)
    axes.set(xlabel=x.title, ylabel=y.title, xlim=x_range, ylim=y_range)
    _draw_band(axes, record)
    line = plot_data.front_line(record)
    if line[0]:
        axes.plot(*line, color=theme.FRONT, linewidth=1.8, label="Pareto front", zorder=2)
    rows = plot_data.plotted(record).assign(size=plot_data.sizes(record))
    for kind in MARKERS:
        for on_front in (False, True):
            _draw_points(axes, rows[(rows["kind"] == kind) & (rows["on_front"] == on_front)], kind, on_front, x, y)
    _finish(axes)
    _label_points(axes, record)


def _draw_band(axes: Axes, record: Record) -> None:
    """Shade the range in which one run cannot be distinguished from the baseline; its edges and middle are dotted."""
    band, lines = plot_data.noise_band(record), plot_data.band_lines(record)
    if band is None or not lines:
        return
    look: dict[str, Any] = {"color": theme.BAND, "zorder": 0, "linewidth": 0, "label": plot_data.NOISE}
    across = plot_data.axes(record)[1].column == record.task.primary
    (axes.axhspan if across else axes.axvspan)(*band, **look)
    for line in lines:
        axes.plot(*zip(*line, strict=True), color=theme.REST, linewidth=0.8, linestyle=":", zorder=1)


def _draw_points(
    axes: Axes, rows: pd.DataFrame, kind: str, on_front: bool, x: plot_data.Axis, y: plot_data.Axis
) -> None:
    if rows.empty:
        return
    baseline = kind == BASELINE
    color = theme.BASELINE if baseline else theme.FRONT if on_front else theme.REST
    area = (rows["size"].clip(lower=11) * 1.25 if baseline else rows["size"] * 0.62) ** 2
    name = kind if baseline or not on_front else f"{kind}, on the front"
    look: dict[str, Any] = {"marker": MARKERS[kind], "c": color, "edgecolors": theme.PAPER, "linewidths": 0.7}
    axes.scatter(rows[x.column], rows[y.column], s=area, label=name, zorder=5 if baseline else 3 + on_front, **look)


def frame(axes: Axes) -> None:
    """Give a matplotlib plot the look of the page: hairline grid, no box, muted axes."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.REST)
    axes.grid(axis="y", color=theme.HAIRLINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.MUTED, length=0)
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.xaxis.label.set_color(theme.MUTED)
    axes.yaxis.label.set_color(theme.MUTED)


def _finish(axes: Axes) -> None:
    """The frame, and the legend in one line above the plot."""
    frame(axes)
    look: dict[str, Any] = {"frameon": False, "fontsize": 7.6, "labelcolor": theme.INK, "handletextpad": 0.3}
    look |= {"ncols": 7, "columnspacing": 0.9, "handlelength": 1.5}  # seven entries must fit the width
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), **look)


def _label_points(axes: Axes, record: Record) -> None:
    """Label the best point and the front where the labels cover neither points, lines nor each other."""
    x, y = plot_data.axes(record)
    rows, points = plot_data.labelled(record), plot_data.plotted(record)
    texts = [f"#{trial['number']} " + "\n+ ".join(_lines(trial["label"])) for trial in rows_of(rows)]
    sizes = [_size(axes, text) for text in texts]
    lines = [np.column_stack(plot_data.front_line(record)), *map(np.array, plot_data.band_lines(record))]
    obstacles = [label_placement.around(_pt(axes, points[[x.column, y.column]].to_numpy(float)), 5)]
    obstacles += [label_placement.along(list(_pt(axes, line)), 1.5) for line in lines if len(line)]
    frame = Bbox(_pt(axes, axes.viewLim.get_points())).extents
    view = label_placement.View(_pt(axes, rows[[x.column, y.column]].to_numpy(float)), np.vstack(obstacles), frame)
    offsets = label_placement.place(sizes, [view], plot_data.outward(record))
    for trial, text, offset in zip(rows_of(rows), texts, offsets, strict=True):
        if offset is not None:
            color = theme.FRONT if trial["on_front"] else theme.MUTED
            _annotate(axes, text, (trial[x.column], trial[y.column]), offset, color)


def _pt(axes: Axes, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Data coordinates in points, the unit of offsets."""
    moved: NDArray[np.float64] = axes.transData.transform(points.reshape(-1, 2)) * 72 / DPI
    return moved


def _size(axes: Axes, text: str) -> tuple[float, float]:
    """Width and height of a label in points."""
    note = axes.text(0, 0, text, fontsize=FONT_SIZE)
    box = note.get_window_extent()
    note.remove()
    return box.width * 72 / DPI, box.height * 72 / DPI


def _lines(label: str) -> list[str]:
    """The lines of a label: one placement per line, at most three lines."""
    words = [textwrap.shorten(part, LONGEST_LABEL, placeholder="…") or "…" for part in label.split(" + ")]
    return words if len(words) <= 3 else [*words[:2], f"{len(words) - 2} more"]


def _annotate(axes: Axes, text: str, point: tuple[float, float], offset: label_placement.Offset, color: str) -> None:
    across, up = label_placement.anchors(offset)
    pen = {"arrowstyle": "-", "color": color, "linewidth": 0.6, "alpha": 0.6, "shrinkA": 0, "shrinkB": 4}
    axes.annotate(
        text,
        point,
        xytext=offset,
        textcoords="offset points",
        ha=across,
        va=up,
        fontsize=FONT_SIZE,
        color=color,
        arrowprops=pen if label_placement.has_leader(offset) else None,
        zorder=6,
    )
