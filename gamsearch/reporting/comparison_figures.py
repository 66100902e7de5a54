"""The figure of a comparison, for the page (plotly) and as compare.png (matplotlib), with the same encodings."""

import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gamsearch.analysis import pareto
from gamsearch.metrics import Metric
from gamsearch.reporting import figures, formatting, palette, pareto_png
from gamsearch.reporting.comparison import Comparison, Run

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "pentagon", "hexagon")
MARKERS = ("o", "s", "D", "^", "P", "X", "p", "h")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
STROKES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (9, 3)), (0, (9, 3, 2, 3)))
"""Marker and dash besides the colour, in plotly's words and in matplotlib's; 24 runs are told apart."""

LONGEST_NAME = 40


@dataclass(frozen=True, eq=False)
class Plotted:
    """A run's front as it is drawn: members, those of them on the step line (front of two objectives), the baseline.

    All are `n x 2` arrays of x and y; `labels` belong to the members.
    """

    name: str
    members: NDArray[np.float64]
    labels: tuple[str, ...]
    line: NDArray[np.float64]
    baseline: NDArray[np.float64]


def plotted(comparison: Comparison) -> list[Plotted]:
    """The runs that have a front that can be drawn, in order, under shortened names."""
    found = [_plotted(comparison, run) for run in comparison.runs]
    return [run for run in found if len(run.members)]


def _plotted(comparison: Comparison, run: Run) -> Plotted:
    values, rows = comparison.front(run), run.record.front
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    values, rows = values[known], rows.iloc[known]
    labels = tuple(f"#{n} {label}" for n, label in zip(rows["number"], rows["label"], strict=True))
    members = _xy(values, rows["number"].to_numpy(float))
    line = members[pareto.front(values[:, :2], comparison.objectives[:2])]
    baseline = comparison.baseline(run)
    star = np.empty((0, 2)) if baseline is None else _xy(baseline[None], np.zeros(1))
    name = run.name if len(run.name) <= LONGEST_NAME else f"{run.name[:LONGEST_NAME]}…"
    return Plotted(name, members, labels, line[np.argsort(line[:, 0], kind="stable")], star)


def _xy(values: NDArray[np.float64], numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Second objective (or the trial's number) as x, first as y."""
    x = values[:, 1] if values.shape[1] > 1 else numbers
    return np.column_stack([x, values[:, 0]])


def axis_titles(comparison: Comparison) -> tuple[str, str]:
    """Titles of x and y."""
    metrics = comparison.objectives[:2]
    settings = comparison.runs[0].record.settings
    titles = [heading(comparison, m) if comparison.relative else formatting.axis_title(m, settings) for m in metrics]
    return (titles[1] if len(titles) > 1 else "trial"), titles[0]


def ranges(runs: Sequence[Plotted]) -> tuple[tuple[float, float], tuple[float, float]]:
    """`(low, high)` of x and y around all fronts and baselines."""
    everything = np.concatenate([part for run in runs for part in (run.members, run.baseline)])
    low, high = everything.min(axis=0), everything.max(axis=0)
    margin = np.where(high > low, 0.08 * (high - low), np.abs(high) * 0.1 + 1e-9)
    (x0, y0), (x1, y1) = low - margin, high + margin
    return (float(x0), float(x1)), (float(y0), float(y1))


def tails(comparison: Comparison, run: Plotted, runs: Sequence[Plotted]) -> list[NDArray[np.float64]]:
    """The two pieces that lead the step line out to the edges of the picture; none with a single objective."""
    if len(comparison.objectives) < 2 or not len(run.line):
        return []
    (left, right), (low, high) = ranges(runs)
    second, first = comparison.objectives[1], comparison.objectives[0]
    worst = low if first.maximise else high
    start, end = run.line[0], run.line[-1]
    if second.maximise:
        return [np.array([[left, start[1]], start]), np.array([end, [end[0], worst]])]
    return [np.array([[start[0], worst], start]), np.array([end, [right, end[1]]])]


def fronts_figure(comparison: Comparison) -> go.Figure | None:
    """All fronts as step lines of their own colour, dash and symbol, each baseline as a star; None without a front."""
    runs = plotted(comparison)
    if not runs:
        return None
    x_title, y_title = axis_titles(comparison)
    figure = figures.calm(480, x_title, y_title)
    for index, run in enumerate(runs):
        _draw_run(figure, comparison, run, runs, index)
    for index, run in enumerate(runs):
        _draw_star(figure, comparison, run, index, len(runs))
    star = {"symbol": "star", "size": 14, "color": palette.BASELINE}
    figure.add_scatter(x=[None], y=[None], mode="markers", marker=star, name="baseline", hoverinfo="skip")
    x_range, y_range = ranges(runs)
    figure.update_xaxes(range=x_range)
    figure.update_yaxes(range=y_range)
    return figure


def _draw_run(figure: go.Figure, comparison: Comparison, run: Plotted, runs: Sequence[Plotted], index: int) -> None:
    color = palette.series(index)[0]
    pen = {"color": color, "width": 2.2, "dash": DASHES[index % len(DASHES)]}
    shape = "vh" if len(comparison.objectives) > 1 and comparison.objectives[1].maximise else "hv"
    edge = {"color": palette.PAPER, "width": 1}
    marker = {"symbol": SYMBOLS[index % len(SYMBOLS)], "size": _size(index, len(runs)), "color": color, "line": edge}
    for tail in tails(comparison, run, runs):
        figure.add_scatter(x=tail[:, 0], y=tail[:, 1], mode="lines", line=pen, showlegend=False, hoverinfo="skip")
    name, (x, y) = figures.escape(run.name), run.line.T
    look: dict[str, Any] = {"line": pen | {"shape": shape}, "marker": marker, "hoverinfo": "skip"}
    figure.add_scatter(x=x, y=y, mode="lines+markers", name=name, legendgroup=f"run {index}", **look)
    figure.add_scatter(
        x=run.members[:, 0],
        y=run.members[:, 1],
        mode="markers",
        marker=marker,
        name=name,
        legendgroup=f"run {index}",
        showlegend=False,
        hovertext=[_hover(comparison, run, i) for i in range(len(run.members))],
        hoverinfo="text",
        cliponaxis=False,
    )


def _draw_star(figure: go.Figure, comparison: Comparison, run: Plotted, index: int, count: int) -> None:
    """A star in the run's colour; stars in the same place are drawn within each other."""
    color = palette.BASELINE if comparison.relative else palette.series(index)[0]
    figure.add_scatter(
        x=run.baseline[:, 0],
        y=run.baseline[:, 1],
        mode="markers",
        marker={
            "symbol": "star",
            "size": _star(index, count),
            "color": color,
            "line": {"color": palette.INK, "width": 1},
        },
        showlegend=False,
        hovertext=[f"<b>baseline of {figures.escape(run.name)}</b>"],
        hoverinfo="text",
        cliponaxis=False,
    )


def _size(index: int, count: int, largest: float = 13, smallest: float = 8) -> float:
    """Diameter in px, smaller run by run, so that each of several markers in one place shows."""
    return largest - (largest - smallest) * index / max(count - 1, 1)


def _star(index: int, count: int) -> float:
    return _size(index, count, 24, 15)


def _hover(comparison: Comparison, run: Plotted, index: int) -> str:
    x_title, y_title = axis_titles(comparison)
    x, y = run.members[index]
    lines = [f"<b>{figures.escape(run.name)}: {figures.escape(run.labels[index])}</b>"]
    lines += [f"{figures.escape(y_title)} {y:.4f}", f"{figures.escape(x_title)} {x:.4g}"]
    return "<br>".join(lines)


def write_picture(comparison: Comparison, path: Path) -> Path:
    """Draw 1600 x 1000 pixels to `path`: the fronts under the verdict."""
    with matplotlib.rc_context(pareto_png.STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(10, 6.25), dpi=160, facecolor=palette.PAPER)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.085, 0.105, 0.885, 0.70))
        verdict = "\n".join(textwrap.wrap(formatting.typeset(comparison.verdict()), 122)[:3])
        figure.text(
            0.03, 0.955, "Pareto fronts compared", fontsize=13, fontweight="bold", color=palette.INK, va="center"
        )
        figure.text(0.03, 0.925, verdict, fontsize=10, color=palette.MUTED, va="top", linespacing=1.45)
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
        star: dict[str, Any] = {"marker": "*", "edgecolors": palette.INK, "zorder": 5, "linewidths": 0.7}
        star["color"] = palette.BASELINE if comparison.relative else palette.series(index)[0]
        axes.scatter(run.baseline[:, 0], run.baseline[:, 1], s=(0.8 * _star(index, len(runs))) ** 2, **star)
    axes.plot([], [], marker="*", markersize=11, color=palette.BASELINE, linestyle="", label="baseline")
    pareto_png.frame(axes)
    look: dict[str, Any] = {"frameon": False, "fontsize": 8.5, "labelcolor": palette.INK, "handlelength": 3.5}
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=min(len(runs) + 1, 6), **look)


def _draw_steps(axes: Axes, comparison: Comparison, run: Plotted, runs: Sequence[Plotted], index: int) -> None:
    """One front: the step line out to the edges, its members, and its entry in the legend."""
    color, marker = palette.series(index)[0], MARKERS[index % len(MARKERS)]
    pen: dict[str, Any] = {"color": color, "linewidth": 1.8, "linestyle": STROKES[index % len(STROKES)], "zorder": 2}
    for tail in tails(comparison, run, runs):
        axes.plot(*tail.T, **pen)
    ahead = len(comparison.objectives) > 1 and comparison.objectives[1].maximise
    axes.plot(*run.line.T, drawstyle="steps-pre" if ahead else "steps-post", **pen)
    axes.scatter(
        run.members[:, 0],
        run.members[:, 1],
        s=(0.7 * _size(index, len(runs))) ** 2,
        marker=marker,
        color=color,
        edgecolors=palette.PAPER,
        zorder=3,
        linewidths=0.7,
    )
    axes.plot([], [], marker=marker, markersize=6, label=run.name, **pen)


def heading(comparison: Comparison, metric: Metric) -> str:
    """A metric's name with its unit, or with what it is relative to."""
    if not comparison.relative:
        return formatting.heading(metric)
    return f"{formatting.title(metric)}, {'gain over' if metric.maximise else 'ratio to'} own baseline"


def written(comparison: Comparison, metric: Metric, value: float) -> str:
    if not comparison.relative:
        return formatting.value(metric, value)
    return formatting.signed(value) if metric.maximise else formatting.plain(value, 3)
