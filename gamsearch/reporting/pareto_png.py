"""pareto.png: the Pareto plot of the page as an image, e.g. for a README."""

import textwrap
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from gamsearch.architecture import BASELINE
from gamsearch.reporting import formatting, plot_data, theme
from gamsearch.reporting.tables import rows_of
from gamsearch.study.record import Record

STYLE: Any = {"text.parse_math": False, "font.family": "sans-serif", "font.size": 10, "axes.unicode_minus": True}
MARKERS = dict(zip((*plot_data.KINDS, BASELINE), "osX*", strict=True))
OFFSETS = [
    (x, y) for far in (9, 20, 34, 50, 68) for x, y in ((-far, far), (far, far), (far, -far), (-far, -far), (0, far))
]
LONGEST_LABEL = 26
AXES = (0.085, 0.105, 0.885, 0.68)
"""Left, bottom, width and height of the plot as shares of the image; leaves room for a verdict of three lines."""


def write_picture(record: Record, path: Path) -> Path:
    """Write 1600 x 1000 pixels to `path` and return it; without a completed trial it shows only the verdict."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(10, 6.25), dpi=160, facecolor=theme.PAPER)
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
    _label_front(axes, rows, x.column, y.column)


def _draw_band(axes: Axes, record: Record) -> None:
    band = plot_data.noise_band(record)
    look: dict[str, Any] = {"color": theme.BAND, "zorder": 0, "linewidth": 0, "label": plot_data.NOISE}
    if band is None:
        return
    x, y = plot_data.axes(record)
    if y.column == "map50_95":
        axes.axhspan(*band, **look)
        axes.axhline(sum(band) / 2, color=theme.REST, linewidth=0.8, linestyle=":", zorder=1)
    elif x.column == "map50_95":
        axes.axvspan(*band, **look)


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
    axes.xaxis.label.set_color(theme.MUTED)
    axes.yaxis.label.set_color(theme.MUTED)


def _finish(axes: Axes) -> None:
    """The frame, and the legend in one line above the plot."""
    frame(axes)
    look: dict[str, Any] = {"frameon": False, "fontsize": 7.6, "labelcolor": theme.INK, "handletextpad": 0.3}
    look |= {"ncols": 7, "columnspacing": 0.9, "handlelength": 1.5}  # seven entries must fit the width
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), **look)


def _label_front(axes: Axes, rows: pd.DataFrame, x: str, y: str) -> None:
    """Label the front where the labels cover neither points nor each other."""
    taken = [_around(axes, point) for point in zip(rows[x], rows[y], strict=True)]
    members = rows[rows["on_front"] & (rows["label"] != BASELINE)]
    for trial in rows_of(members.sort_values(x)):
        text = f"#{trial['number']} " + "\n+ ".join(_lines(trial["label"]))
        taken.append(_place(axes, text, (trial[x], trial[y]), taken))


def _lines(label: str) -> list[str]:
    """The lines of a label: one placement per line, at most three lines."""
    words = [textwrap.shorten(part, LONGEST_LABEL, placeholder="…") or "…" for part in label.split(" + ")]
    return words if len(words) <= 3 else [*words[:2], f"{len(words) - 2} more"]


def _place(axes: Axes, text: str, point: tuple[float, float], taken: list[Bbox]) -> Bbox:
    """Try offsets around the point, nearest first, and keep the one that covers least."""
    tried: list[tuple[float, tuple[int, int]]] = []
    for offset in OFFSETS:
        note = _annotate(axes, text, point, offset)
        covered = _covered(axes, note.get_window_extent(), taken)
        note.remove()
        tried.append((covered, offset))
        if covered == 0:
            break
    chosen = _annotate(axes, text, point, min(tried, key=lambda pair: pair[0])[1])
    return chosen.get_window_extent()


def _annotate(axes: Axes, text: str, point: tuple[float, float], offset: tuple[int, int]) -> Annotation:
    sides = {1: "left", 0: "center", -1: "right"}
    far = max(map(abs, offset)) > 12
    return axes.annotate(
        text,
        point,
        xytext=offset,
        textcoords="offset points",
        ha=sides[(offset[0] > 0) - (offset[0] < 0)],
        va="bottom" if offset[1] > 0 else "top",
        fontsize=8.5,
        color=theme.FRONT,
        arrowprops={"arrowstyle": "-", "color": theme.FRONT, "linewidth": 0.6, "alpha": 0.6} if far else None,
        zorder=6,
    )


def _around(axes: Axes, point: tuple[float, float]) -> Bbox:
    """The bounding box of a marker in pixels."""
    x, y = axes.transData.transform(point)
    return Bbox.from_extents(x - 9, y - 9, x + 9, y + 9)


def _covered(axes: Axes, box: Bbox, taken: list[Bbox]) -> float:
    """Overlap of a label with other boxes, in square pixels, and four times its part outside the axes."""
    inside = Bbox.intersection(box, axes.bbox)
    area = box.width * box.height
    outside = area - (inside.width * inside.height if inside else 0.0)
    overlaps = (Bbox.intersection(box, other) for other in taken)
    return 4 * max(outside, 0.0) + sum(o.width * o.height for o in overlaps if o is not None)
