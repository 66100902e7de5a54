"""compare.png: the figure of a comparison as an image, e.g. for a README."""

import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gamsearch.reporting import formatting, pareto_png, theme
from gamsearch.reporting.comparison import Comparison
from gamsearch.reporting.comparison_figures import Plotted, axis_titles, marker_size, plotted, ranges, star_size, tails

MARKERS = ("o", "s", "D", "^", "P", "X", "p", "h")
STROKES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (9, 3)), (0, (9, 3, 2, 3)))
"""The symbols and dashes of the page's figure, in the same order and in matplotlib's notation."""


def write_picture(comparison: Comparison, path: Path) -> Path:
    """Write 1600 x 1000 pixels to `path` and return it: the fronts below the verdict."""
    with matplotlib.rc_context(pareto_png.STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(10, 6.25), dpi=160, facecolor=theme.PAPER)
        FigureCanvasAgg(figure)
        axes = figure.add_axes(pareto_png.AXES)
        verdict = "\n".join(textwrap.wrap(formatting.typeset(comparison.verdict()), 122)[:3])
        figure.text(0.03, 0.955, "Pareto fronts compared", fontsize=13, fontweight="bold", color=theme.INK, va="center")
        figure.text(0.03, 0.925, verdict, fontsize=10, color=theme.MUTED, va="top", linespacing=1.45)
        _draw_picture(axes, comparison)
        figure.savefig(path, metadata={"Software": None})
    return path


def _draw_picture(axes: Axes, comparison: Comparison) -> None:
    runs = plotted(comparison)
    if not runs:
        axes.set_axis_off()
        return
    (x_title, y_title), (x_range, y_range) = axis_titles(comparison), ranges(runs)
    axes.set(xlabel=x_title, ylabel=y_title, xlim=x_range, ylim=y_range)
    for index, run in enumerate(runs):
        _draw_steps(axes, comparison, run, runs, index)
        star: dict[str, Any] = {"marker": "*", "edgecolors": theme.INK, "zorder": 5, "linewidths": 0.7}
        star["color"] = theme.BASELINE if comparison.relative else theme.series(index)[0]
        axes.scatter(run.baseline[:, 0], run.baseline[:, 1], s=(0.8 * star_size(index, len(runs))) ** 2, **star)
    axes.plot([], [], marker="*", markersize=11, color=theme.BASELINE, linestyle="", label="baseline")
    pareto_png.frame(axes)
    look: dict[str, Any] = {"frameon": False, "fontsize": 8.5, "labelcolor": theme.INK, "handlelength": 3.5}
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=min(len(runs) + 1, 6), **look)


def _draw_steps(axes: Axes, comparison: Comparison, run: Plotted, runs: Sequence[Plotted], index: int) -> None:
    """Draw one front: the step line, its extensions, the members, and the entry in the legend."""
    color, marker = theme.series(index)[0], MARKERS[index % len(MARKERS)]
    pen: dict[str, Any] = {"color": color, "linewidth": 1.8, "linestyle": STROKES[index % len(STROKES)], "zorder": 2}
    for tail in tails(comparison, run, runs):
        axes.plot(*tail.T, **pen)
    vertical_first = len(comparison.objectives) > 1 and comparison.objectives[1].maximise
    axes.plot(*run.line.T, drawstyle="steps-pre" if vertical_first else "steps-post", **pen)
    axes.scatter(
        run.members[:, 0],
        run.members[:, 1],
        s=(0.7 * marker_size(index, len(runs))) ** 2,
        marker=marker,
        color=color,
        edgecolors=theme.PAPER,
        zorder=3,
        linewidths=0.7,
    )
    axes.plot([], [], marker=marker, markersize=6, label=run.name, **pen)
