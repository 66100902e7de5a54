"""The figure of a comparison: its data and looks, which compare.png shares, and the plotly figure of the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from gamsearch.analysis import pareto
from gamsearch.metrics import Metric
from gamsearch.reporting import formatting, theme
from gamsearch.reporting.compared_run import ComparedRun
from gamsearch.reporting.comparison import Comparison

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "pentagon", "hexagon")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""Symbols and dashes besides the colours, so that 24 runs look different."""

LONGEST_NAME = 40


@dataclass(frozen=True, eq=False)
class Plotted:
    """A run's front in the figure; all arrays are `n x 2`, x and y.

    Attributes:
        name: The run's name, shortened.
        members: The front; `labels` are the texts of its members.
        line: The members on the front of the first two objectives, which the step line joins.
        baseline: The baseline, one row or none.
    """

    name: str
    members: NDArray[np.float64]
    labels: tuple[str, ...]
    line: NDArray[np.float64]
    baseline: NDArray[np.float64]


def plotted(comparison: Comparison) -> list[Plotted]:
    """The runs that have a front to plot, in order."""
    found = [_plotted(comparison, run) for run in comparison.runs]
    return [run for run in found if len(run.members)]


def _plotted(comparison: Comparison, run: ComparedRun) -> Plotted:
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
    """x is the second objective (or the trial number), y the first."""
    x = values[:, 1] if values.shape[1] > 1 else numbers
    return np.column_stack([x, values[:, 0]])


def axis_titles(comparison: Comparison) -> tuple[str, str]:
    """Titles of x and y."""
    metrics = comparison.objectives[:2]
    first = comparison.runs[0].record
    titles = [
        heading(comparison, m) if comparison.relative else formatting.axis_title(m, first.settings, first.task)
        for m in metrics
    ]
    return (titles[1] if len(titles) > 1 else "trial"), titles[0]


def ranges(runs: Sequence[Plotted]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Axis ranges `(low, high)` of x and y around all fronts and baselines."""
    everything = np.concatenate([part for run in runs for part in (run.members, run.baseline)])
    low, high = everything.min(axis=0), everything.max(axis=0)
    margin = np.where(high > low, 0.08 * (high - low), np.abs(high) * 0.1 + 1e-9)
    (x0, y0), (x1, y1) = low - margin, high + margin
    return (float(x0), float(x1)), (float(y0), float(y1))


def tails(comparison: Comparison, run: Plotted, runs: Sequence[Plotted]) -> list[NDArray[np.float64]]:
    """The two segments that extend the step line to the edges of the plot; none with a single objective."""
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
    """All fronts as step lines with distinct colour, dash and symbol; baselines are stars. None without a front."""
    runs = plotted(comparison)
    if not runs:
        return None
    x_title, y_title = axis_titles(comparison)
    figure = theme.base_figure(480, x_title, y_title)
    for index, run in enumerate(runs):
        _draw_run(figure, comparison, run, runs, index)
    for index, run in enumerate(runs):
        _draw_star(figure, comparison, run, index, len(runs))
    star = {"symbol": "star", "size": 14, "color": theme.BASELINE}
    figure.add_scatter(x=[None], y=[None], mode="markers", marker=star, name="baseline", hoverinfo="skip")
    x_range, y_range = ranges(runs)
    figure.update_xaxes(range=x_range)
    figure.update_yaxes(range=y_range)
    return figure


def _draw_run(figure: go.Figure, comparison: Comparison, run: Plotted, runs: Sequence[Plotted], index: int) -> None:
    color = theme.series(index)[0]
    pen = {"color": color, "width": 2.2, "dash": DASHES[index % len(DASHES)]}
    shape = "vh" if len(comparison.objectives) > 1 and comparison.objectives[1].maximise else "hv"
    edge = {"color": theme.PAPER, "width": 1}
    marker = {
        "symbol": SYMBOLS[index % len(SYMBOLS)],
        "size": marker_size(index, len(runs)),
        "color": color,
        "line": edge,
    }
    for tail in tails(comparison, run, runs):
        figure.add_scatter(x=tail[:, 0], y=tail[:, 1], mode="lines", line=pen, showlegend=False, hoverinfo="skip")
    name, (x, y) = theme.escape(run.name), run.line.T
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
    """Add the baseline of a run as a star in its colour; overlapping stars are nested."""
    color = theme.BASELINE if comparison.relative else theme.series(index)[0]
    figure.add_scatter(
        x=run.baseline[:, 0],
        y=run.baseline[:, 1],
        mode="markers",
        marker={
            "symbol": "star",
            "size": star_size(index, count),
            "color": color,
            "line": {"color": theme.INK, "width": 1},
        },
        showlegend=False,
        hovertext=[f"<b>baseline of {theme.escape(run.name)}</b>"],
        hoverinfo="text",
        cliponaxis=False,
    )


def marker_size(index: int, count: int, largest: float = 13, smallest: float = 8) -> float:
    """Marker diameter in px, smaller from run to run so that overlapping markers remain visible."""
    return largest - (largest - smallest) * index / max(count - 1, 1)


def star_size(index: int, count: int) -> float:
    """As `marker_size`, for the star of a baseline."""
    return marker_size(index, count, 24, 15)


def _hover(comparison: Comparison, run: Plotted, index: int) -> str:
    x_title, y_title = axis_titles(comparison)
    x, y = run.members[index]
    lines = [f"<b>{theme.escape(run.name)}: {theme.escape(run.labels[index])}</b>"]
    lines += [f"{theme.escape(y_title)} {y:.4f}", f"{theme.escape(x_title)} {x:.4g}"]
    return "<br>".join(lines)


def heading(comparison: Comparison, metric: Metric) -> str:
    """Name of a metric with its unit, or with the baseline that it is relative to."""
    if not comparison.relative:
        return formatting.heading(metric, comparison.task)
    return f"{comparison.task.title(metric)} {'gain over' if metric.maximise else 'ratio to'} own baseline"


def value_text(comparison: Comparison, metric: Metric, value: float) -> str:
    """A value of a metric in the form that the comparison uses."""
    if not comparison.relative:
        return formatting.value(metric, value)
    return formatting.signed(value) if metric.maximise else formatting.plain(value, 3)
