"""Pareto front, hypervolume and effects as plotly figures; all text from the study is escaped."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gamsearch.architecture import BASELINE
from gamsearch.metrics import Metric
from gamsearch.reporting import formatting, plot_data, theme
from gamsearch.reporting.effects import Effect
from gamsearch.reporting.figure_labels import Label, Plot, annotate
from gamsearch.reporting.tables import rows_of
from gamsearch.study.record import Record
from gamsearch.tasks import Task

PLOT_SIZES = ((275.0, 250.0), (600.0, 340.0), (925.0, 370.0))
"""Width and height in px of the area of the Pareto figure: on a phone, between, and on a wide screen."""
SYMBOLS = dict(zip((*plot_data.KINDS, BASELINE), ("circle", "square", "x", "star"), strict=True))


def pareto_figure(record: Record) -> go.Figure:
    """First over second objective: all complete trials, the front as a step line, the baseline with its noise band."""
    x, y = plot_data.axes(record)
    rows = plot_data.plotted(record).assign(size=plot_data.sizes(record))
    figure = theme.base_figure(480, x.title, y.title)
    _draw_band(figure, record)
    line_x, line_y = plot_data.front_line(record)
    if line_x:
        pen = {"color": theme.FRONT, "width": 2}
        figure.add_scatter(x=line_x, y=line_y, mode="lines", line=pen, name="Pareto front", hoverinfo="skip")
    for kind in SYMBOLS:
        for on_front in (False, True):
            _draw_points(figure, record, rows[(rows["kind"] == kind) & (rows["on_front"] == on_front)], kind, on_front)
    x_range, y_range = plot_data.ranges(record)
    figure.update_xaxes(range=x_range)
    figure.update_yaxes(range=y_range)
    _label_points(figure, record)
    return figure


def _draw_points(figure: go.Figure, record: Record, rows: pd.DataFrame, kind: str, on_front: bool) -> None:
    """Add the trials of one kind as a trace; those on the front are blue."""
    if rows.empty:
        return
    x, y = plot_data.axes(record)
    rows = rows.sort_values(x.column)
    baseline = kind == BASELINE
    color = theme.BASELINE if baseline else theme.FRONT if on_front else theme.REST
    edge = {"color": theme.PAPER, "width": 1}
    size = rows["size"].clip(lower=11) * 1.5 if baseline else rows["size"]
    figure.add_scatter(
        x=rows[x.column],
        y=rows[y.column],
        mode="markers",
        marker={"symbol": SYMBOLS[kind], "size": size, "color": color, "line": edge, "opacity": 1},
        name=kind if baseline or not on_front else f"{kind}, on the front",
        hovertext=_hovers(record, rows),
        hoverinfo="text",
        cliponaxis=False,
    )


def _label_points(figure: go.Figure, record: Record) -> None:
    """Number the best point and the front."""
    x, y = plot_data.axes(record)
    labels = [
        Label(
            trial[x.column], trial[y.column], f"#{trial['number']}", theme.FRONT if trial["on_front"] else theme.MUTED
        )
        for trial in rows_of(plot_data.labelled(record))
    ]
    markers = plot_data.plotted(record)[[x.column, y.column]].to_numpy(dtype=float)
    lines: list[Any] = [np.column_stack(plot_data.front_line(record)), *plot_data.band_lines(record)]
    plot = Plot(*plot_data.ranges(record), markers, lines, PLOT_SIZES)
    annotate(figure, labels, plot, plot_data.outward(record))


def _draw_band(figure: go.Figure, record: Record) -> None:
    """Shade the range in which one run cannot be distinguished from the baseline, on the axis of the primary metric."""
    band = plot_data.noise_band(record)
    if band is None:
        return
    x, y = plot_data.axes(record)
    primary = record.task.primary
    draw = figure.add_hrect if y.column == primary else figure.add_vrect if x.column == primary else None
    if draw is None:
        return
    draw(*band, fillcolor=theme.BAND, line_width=0, layer="below", name=plot_data.NOISE, showlegend=True)
    for line in plot_data.band_lines(record):
        pen = {"color": theme.REST, "width": 1, "dash": "dot"}
        (x0, y0), (x1, y1) = line
        figure.add_shape(type="line", x0=x0, y0=y0, x1=x1, y1=y1, line=pen, layer="below")


def _hovers(record: Record, rows: pd.DataFrame) -> list[str]:
    """Hover texts of trials; those that are not `plot_data.detailed` have only their number."""
    metrics, detailed = formatting.known_metrics(record), plot_data.detailed(record)
    texts = {
        trial["number"]: _hover(record.task, metrics, trial) for trial in rows_of(rows[rows["number"].isin(detailed)])
    }
    return [texts.get(number, f"<b>#{number}</b>") for number in rows["number"]]


def _hover(task: Task, metrics: Sequence[Metric], trial: pd.Series) -> str:
    """Hover text of a trial: label, metrics with units, gain."""
    lines = [f"<b>#{trial['number']} {theme.escape(trial['label'])}</b>"]
    for metric in metrics:
        text = formatting.value(metric, trial[metric.name])
        if text:
            unit = "" if metric.unit == "fraction" else f" {theme.escape(metric.unit)}"
            lines.append(f"{theme.escape(task.title(metric))} {text}{unit}")
    gain = formatting.signed(trial[task.gain]) if trial["number"] else ""
    return "<br>".join([*lines, f"gain {gain}"] if gain else lines)


def hypervolume_figure(record: Record) -> go.Figure | None:
    """Hypervolume after each trial, that of the baseline dotted; None without a reference point or with one trial."""
    volumes = record.hypervolumes()
    if volumes is None or len(volumes) < 2:
        return None
    units = " · ".join(theme.escape(m.unit) for m in record.objectives)
    figure = theme.base_figure(320, "trial", f"hypervolume ({units})")
    pen = {"color": theme.FRONT, "width": 2.5, "shape": "hv"}
    numbers, volumes = plot_data.steps(record.trials["number"].to_numpy(), volumes)
    figure.add_scatter(x=numbers, y=volumes, mode="lines", line=pen, name="trials so far")
    if record.baseline is not None:
        dotted = {"color": theme.BASELINE, "width": 1.5, "dash": "dot"}
        ends = [record.trials["number"].min(), record.trials["number"].max()]
        figure.add_scatter(x=ends, y=[volumes[0]] * 2, mode="lines", line=dotted, name="baseline only")
    figure.update_xaxes(rangemode="tozero")
    return figure


def effects_figure(
    effects: Sequence[Effect], name: Callable[[Any], str], span: tuple[float, float], task: Task
) -> go.Figure | None:
    """One dot per level with its interval, hollow if there are too few trials for one; None without levels."""
    if not effects:
        return None
    names = [f"{'<br>+ '.join(theme.escape(name(one)) for one in e.levels)} ({e.count})" for e in effects]
    more = sum(len(e.levels) - 1 for e in effects)  # lines of names
    figure = theme.base_figure(
        90 + 34 * len(effects) + 17 * more, formatting.fraction(f"effect on {task.primary_title}"), ""
    )
    filled = [e.half_width is not None for e in effects]
    figure.add_scatter(
        x=[e.estimate for e in effects],
        y=names,
        mode="markers",
        error_x={"array": [e.half_width or 0 for e in effects], "color": theme.FRONT, "thickness": 1.5, "width": 0},
        marker={
            "size": 11,
            "symbol": ["circle" if f else "circle-open" for f in filled],
            "color": theme.FRONT,
            "line": {"width": 2, "color": theme.FRONT},
        },
        hovertext=[_effect_hover(e, n) for e, n in zip(effects, names, strict=True)],
        hoverinfo="text",
        showlegend=False,
    )
    figure.add_vline(0, line={"color": theme.MUTED, "width": 1})
    figure.update_xaxes(tickformat="+", showgrid=True, range=span, nticks=5, tickangle=0)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, ticks="", automargin=True)
    return figure


def _effect_hover(effect: Effect, name: str) -> str:
    interval = "" if effect.half_width is None else f" ± {effect.half_width:.4f}"
    return (
        f"<b>{name}</b><br>effect {effect.estimate:+.4f}{interval}<br>mean gain with {effect.mean_with:+.4f} "
        f"(n = {effect.count})<br>without {effect.mean_without:+.4f} (n = {effect.count_without})"
    )
