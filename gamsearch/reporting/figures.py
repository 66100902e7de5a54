"""The figures of report.html, each a function from a record to a plotly figure; all text from the study is escaped."""

import html
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gamsearch.reporting import formatting, palette, plot_data
from gamsearch.reporting.effects import Effect
from gamsearch.reporting.tables import rows_of
from gamsearch.study.record import BASELINE, Record

escape = partial(html.escape, quote=False)  # plotly reads &lt; &gt; &amp; and shows &quot; as it is

FONT = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'
CLOSE = 0.05
"""Share of the width and of the height of a picture within which two numbers would cover each other."""
SYMBOLS = {"candidate": "circle", "hand placement": "square", "beyond a limit": "x", "baseline": "star"}


def pareto_figure(record: Record) -> go.Figure:
    """First against second objective: all complete trials, the front as a step line, the baseline with its noise."""
    x, y = plot_data.axes(record)
    rows = plot_data.plotted(record).assign(size=plot_data.sizes(record))
    figure = calm(480, x.title, y.title)
    _draw_band(figure, record)
    line_x, line_y = plot_data.front_line(record)
    if line_x:
        pen = {"color": palette.FRONT, "width": 2}
        figure.add_scatter(x=line_x, y=line_y, mode="lines", line=pen, name="Pareto front", hoverinfo="skip")
    for kind in (*plot_data.KINDS, "baseline"):
        for on_front in (False, True):
            _draw_points(figure, record, rows[(rows["kind"] == kind) & (rows["on_front"] == on_front)], kind, on_front)
    x_range, y_range = plot_data.ranges(record)
    figure.update_xaxes(range=x_range)
    figure.update_yaxes(range=y_range, tickformat=_ticks(y.column))
    return figure


def _draw_points(figure: go.Figure, record: Record, rows: pd.DataFrame, kind: str, on_front: bool) -> None:
    """Add one trace of trials of one kind; members of the front are blue and carry their number."""
    if rows.empty:
        return
    x, y = plot_data.axes(record)
    rows = rows.sort_values(x.column)
    baseline = kind == "baseline"
    color = palette.BASELINE if baseline else palette.FRONT if on_front else palette.REST
    edge = {"color": palette.PAPER, "width": 1}
    size = rows["size"].clip(lower=11) * 1.5 if baseline else rows["size"]
    sides = _sides(record, rows)
    figure.add_scatter(
        x=rows[x.column],
        y=rows[y.column],
        mode="markers+text",
        text=[
            f"#{number}" if side and on_front and not baseline else ""
            for number, side in zip(rows["number"], sides, strict=True)
        ],
        textposition=[side or "top left" for side in sides],
        textfont={"color": palette.FRONT, "size": 12},
        marker={"symbol": SYMBOLS[kind], "size": size, "color": color, "line": edge, "opacity": 1},
        name=kind if baseline or not on_front else f"{kind} on the front",
        hovertext=[_hover(record, trial) for trial in rows_of(rows)],
        hoverinfo="text",
        cliponaxis=False,
    )


def _sides(record: Record, rows: pd.DataFrame) -> list[str | None]:
    """Where each row's number stands, from left to right: outside the front, else inside, None if both are taken.

    Taken is a side where the last number stands that close.
    """
    x, y = plot_data.axes(record)
    (left, right), (low, high) = plot_data.ranges(record)
    up = ("top", "bottom") if y.maximise else ("bottom", "top")
    aside = ("right", "left") if x.maximise else ("left", "right")
    last = np.full((2, 2), -np.inf)  # per side: the place of its last number
    sides: list[str | None] = []
    for place in np.column_stack([rows[x.column] / (right - left), rows[y.column] / (high - low)]):
        free = [side for side in (0, 1) if not (abs(place - last[side]) < CLOSE).all()]
        sides.append(f"{up[free[0]]} {aside[free[0]]}" if free else None)
        if free:
            last[free[0]] = place
    return sides


def _draw_band(figure: go.Figure, record: Record) -> None:
    """Shade where one run cannot be told from the baseline, on whichever axis shows map50_95."""
    band = plot_data.noise_band(record)
    if band is None:
        return
    x, y = plot_data.axes(record)
    look: dict[str, Any] = {"fillcolor": palette.BAND, "line_width": 0, "layer": "below"}
    look["annotation"] = {"text": "noise of one run (95 %)", "font": {"size": 12, "color": palette.MUTED}}
    middle: dict[str, Any] = {"line": {"color": palette.REST, "width": 1, "dash": "dot"}}
    if y.column == "map50_95":
        figure.add_hrect(*band, annotation_position="bottom right", **look)
        figure.add_hline(sum(band) / 2, **middle)
    elif x.column == "map50_95":
        figure.add_vrect(*band, annotation_position="top left", **look)
        figure.add_vline(sum(band) / 2, **middle)


def _hover(record: Record, trial: pd.Series) -> str:
    """Label, figures with units and the gain of one trial, for the hover text."""
    lines = [f"<b>#{trial['number']} {escape(trial['label'])}</b>"]
    for metric in formatting.known_metrics(record.trials, record.objectives):
        text = formatting.value(metric, trial[metric.name])
        if text:
            unit = "" if metric.unit == "fraction" else f" {metric.unit}"
            lines.append(f"{escape(formatting.title(metric))} {text}{unit}")
    gain = formatting.signed(trial["map50_95_gain"]) if trial["number"] else ""
    return "<br>".join([*lines, f"gain {gain}"] if gain else lines)


def hypervolume_figure(record: Record) -> go.Figure | None:
    """Hypervolume after each trial, the baseline's own dotted; None without reference point or with one trial."""
    volumes = record.hypervolumes()
    if volumes is None or len(volumes) < 2:
        return None
    units = " · ".join(m.unit for m in record.objectives)
    figure = calm(320, "trial", f"hypervolume ({units})")
    pen = {"color": palette.FRONT, "width": 2.5, "shape": "hv"}
    figure.add_scatter(x=record.trials["number"], y=volumes, mode="lines", line=pen, name="all trials so far")
    if record.baseline is not None:
        own = {"color": palette.BASELINE, "width": 1.5, "dash": "dot"}
        ends = [record.trials["number"].min(), record.trials["number"].max()]
        figure.add_scatter(x=ends, y=[volumes[0]] * 2, mode="lines", line=own, name="baseline alone")
    figure.update_xaxes(rangemode="tozero")
    return figure


def effects_figure(
    effects: Sequence[Effect], name: Callable[[Any], str], span: tuple[float, float]
) -> go.Figure | None:
    """One dot per level with its interval; hollow where the trials determine no interval. None without levels."""
    if not effects:
        return None
    names = [f"{escape(name(e.level))} ({e.count})" for e in effects]
    figure = calm(90 + 34 * len(effects), "effect on mAP50-95 (fraction)", "")
    sure = [e.half_width is not None for e in effects]
    figure.add_scatter(
        x=[e.shown for e in effects],
        y=names,
        mode="markers",
        error_x={"array": [e.half_width or 0 for e in effects], "color": palette.FRONT, "thickness": 1.5, "width": 0},
        marker={
            "size": 11,
            "symbol": ["circle" if s else "circle-open" for s in sure],
            "color": palette.FRONT,
            "line": {"width": 2, "color": palette.FRONT},
        },
        hovertext=[_effect_hover(e, n) for e, n in zip(effects, names, strict=True)],
        hoverinfo="text",
        showlegend=False,
    )
    figure.add_vline(0, line={"color": palette.MUTED, "width": 1})
    figure.update_xaxes(tickformat="+.2~g", showgrid=True, range=span, nticks=5, tickangle=0)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, ticks="", automargin=True)
    return figure


def _effect_hover(effect: Effect, name: str) -> str:
    interval = "" if effect.half_width is None else f" ± {effect.half_width:.4f}"
    return (
        f"<b>{name}</b><br>effect {effect.shown:+.4f}{interval}<br>mean gain with {effect.mean_with:+.4f} "
        f"(n = {effect.count})<br>without {effect.mean_without:+.4f} (n = {effect.count_without})"
    )


def curves_figure(record: Record) -> go.Figure | None:
    """Learning curves and, below, their differences to the baseline at the same epoch; None if none has two epochs."""
    trials = record.shown[(record.shown["curve"].str.len() > 1) & record.shown["recalled_from"].isna()]
    if trials.empty:
        return None
    base = _curves_by_number(record, trials, paired=False).get(0, [])
    paired = _curves_by_number(record, trials, paired=True) if base else {}
    count = 2 if paired else 1
    figure = make_subplots(rows=count, cols=1, shared_xaxes=True, vertical_spacing=0.07)
    calm(340 + 300 * (count - 1), "", "", figure)
    _add_curves(figure, 1, trials, _curves_by_number(record, trials, paired=False))
    if paired:
        _add_curves(figure, 2, trials, paired)
        figure.add_hline(0, line={"color": palette.BASELINE, "width": 2}, row=2, col=1)
        figure.update_yaxes(title_text="difference to baseline", tickformat="+.3f", row=2, col=1)
    figure.update_xaxes(tickformat="d", dtick=_epoch_step(trials))
    figure.update_xaxes(title_text="epoch", row=count, col=1)
    figure.update_yaxes(title_text="mAP50-95 (fraction)", tickformat=".2f", row=1, col=1)
    figure.update_layout(legend={"y": -0.28 / count, "yanchor": "top"})
    return figure


def _curves_by_number(record: Record, trials: pd.DataFrame, paired: bool) -> dict[int, list[tuple[int, float]]]:
    """`(epoch, map50_95)` of each trial, or its difference to the baseline where epoch and seed are the same."""
    curves = {trial["number"]: _curve(trial) for trial in rows_of(trials)}
    if not paired:
        return curves
    base, seeds = dict(curves[0]), trials.set_index("number")["seed"]
    others = {n: curve for n, curve in curves.items() if n and seeds[n] == seeds[0]}
    return {n: [(epoch, value - base[epoch]) for epoch, value in curve if epoch in base] for n, curve in others.items()}


def _add_curves(figure: go.Figure, row: int, trials: pd.DataFrame, curves: dict[int, list[tuple[int, float]]]) -> None:
    """Draw grey curves first and the front over them; each name is in the legend once."""
    members = [n for n, front in zip(trials["number"], trials["on_front"], strict=True) if front and n]
    for trial in rows_of(trials.sort_values(["on_front", "number"], kind="stable")):
        number = trial["number"]
        if curves.get(number):
            look = _curve_look(trial, members.index(number) if number in members else 0)
            shown = look["name"] not in {trace.name for trace in figure.data}
            _add_curve(figure, row, curves[number], trial, look | {"showlegend": shown})


def _curve(trial: pd.Series) -> list[tuple[int, float]]:
    """`(epoch, map50_95)` of the epochs that were validated."""
    return [(int(e["epoch"]), float(e["map50_95"])) for e in trial["curve"] if e.get("map50_95") is not None]


def _curve_look(trial: pd.Series, member: int) -> dict[str, Any]:
    """Baseline bold and black, the members of the front coloured, everything else grey under one name."""
    if trial["label"] == BASELINE:
        return {"name": "baseline", "line": {"color": palette.BASELINE, "width": 3.5}, "legendrank": 1}
    if trial["on_front"]:
        color, dash = palette.series(member)
        name = f"#{trial['number']} {escape(trial['label'])}"
        return {"name": name, "line": {"color": color, "width": 2.2, "dash": dash}, "legendrank": 2}
    return {"name": "not on the front", "line": {"color": palette.FAINT, "width": 1.2}, "legendrank": 3}


def _add_curve(
    figure: go.Figure, row: int, curve: list[tuple[int, float]], trial: pd.Series, look: dict[str, Any]
) -> None:
    sign = "+" if row == 2 else ""
    hover = [f"<b>#{trial['number']} {escape(trial['label'])}</b><br>epoch {e}: {v:{sign}.4f}" for e, v in curve]
    mode = "lines" if len(curve) > 1 else "markers"
    epochs, values = [e for e, _ in curve], [v for _, v in curve]
    figure.add_scatter(x=epochs, y=values, mode=mode, hovertext=hover, hoverinfo="text", row=row, col=1, **look)


def _epoch_step(trials: pd.DataFrame) -> int:
    last = max((epoch for trial in rows_of(trials) for epoch, _ in _curve(trial)), default=1)
    return max(1, round(last / 8))


def _ticks(column: str) -> str:
    return ".3f" if column.startswith("map50") else ""


def calm(height: int, x_title: str, y_title: str, figure: go.Figure | None = None) -> go.Figure:
    """A figure without ornament: hairline grid, muted axes, legend above, no zooming by accident on a phone."""
    figure = figure or go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        autosize=True,
        margin={"l": 64, "r": 16, "t": 16, "b": 56},
        font={"family": FONT, "size": 13, "color": palette.INK},
        paper_bgcolor=palette.PAPER,
        plot_bgcolor=palette.PAPER,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemclick": False},
        hoverlabel={"bgcolor": palette.PAPER, "bordercolor": palette.MUTED, "align": "left", "font": {"size": 13}},
        dragmode=False,
        hovermode="closest",
    )
    axis = {"gridcolor": palette.HAIRLINE, "linecolor": palette.MUTED, "zeroline": False, "automargin": True}
    label = {"color": palette.MUTED, "size": 13}
    figure.update_xaxes(**axis, title={"text": escape(x_title), "font": label}, showgrid=False, ticks="outside")
    figure.update_yaxes(**axis, title={"text": escape(y_title), "font": label, "standoff": 16}, showline=False)
    figure.update_xaxes(tickcolor=palette.MUTED, tickfont={"color": palette.MUTED})
    figure.update_yaxes(tickfont={"color": palette.MUTED}, ticklabelstandoff=6)
    return figure
