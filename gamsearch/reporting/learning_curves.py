"""The figure of learning curves: the primary metric by epoch and, below, its difference to the baseline's."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gamsearch.architecture import BASELINE
from gamsearch.reporting import formatting, limits, theme
from gamsearch.reporting.tables import rows_of
from gamsearch.study.record import Record

DECIMALS = 6
"""Of the drawn values."""


def curves_figure(record: Record) -> go.Figure | None:
    """The curves of all trials above their differences to the baseline; None if no curve has two epochs."""
    everything = _with_curve(record)
    if everything.empty:
        return None
    trials = everything[everything["number"].isin(_drawn(record, everything))]
    primary = record.task.primary
    curves = _curves_by_number(trials, primary, paired=False)
    paired = _curves_by_number(trials, primary, paired=True) if curves.get(0) else {}
    count = 2 if paired else 1
    figure = make_subplots(rows=count, cols=1, shared_xaxes=True, vertical_spacing=0.07)
    theme.base_figure(340 + 300 * (count - 1), "", "", figure)
    traces = _traces(1, trials, curves, set())
    figure.add_traces(traces, rows=1, cols=1)
    if paired:
        figure.add_traces(_traces(2, trials, paired, {trace.name for trace in traces}), rows=2, cols=1)
        figure.add_hline(0, line={"color": theme.BASELINE, "width": 2}, row=2, col=1)
        figure.update_yaxes(title_text="difference to baseline", tickformat="+", row=2, col=1)
    figure.update_xaxes(tickformat="d", dtick=_epoch_step(everything, primary))
    figure.update_xaxes(title_text="epoch", row=count, col=1)
    figure.update_yaxes(title_text=formatting.fraction(record.task.primary_title), row=1, col=1)
    figure.update_layout(legend={"y": -0.28 / count, "yanchor": "top"})
    return figure


def note(record: Record) -> str:
    """Say which curves are drawn where there are too many; empty where all are."""
    trials = _with_curve(record)
    drawn = len(_drawn(record, trials))
    if drawn == len(trials):
        return ""
    which = "those of the baseline, the front and an even sample of the others"
    return f"{drawn} of {len(trials)} curves are drawn: {which}; trials.csv holds all."


def _with_curve(record: Record) -> pd.DataFrame:
    """The trainings with at least two epochs."""
    return record.trainings[(record.trainings["curve"].str.len() > 1) & record.trainings["recalled_from"].isna()]


def _drawn(record: Record, trials: pd.DataFrame) -> list[int]:
    """Numbers of the trials whose curves are drawn."""
    first = [0, *record.front["number"]]
    return limits.chosen(list(trials["number"]), first, limits.CURVES)


def _curves_by_number(trials: pd.DataFrame, metric: str, paired: bool) -> dict[int, list[tuple[int, float]]]:
    """`(epoch, metric)` by trial; if `paired`, differences to the baseline at the same epoch and seed."""
    curves = {number: _curve(points, metric) for number, points in zip(trials["number"], trials["curve"], strict=True)}
    if not paired:
        return curves
    base, seeds = dict(curves[0]), trials.set_index("number")["seed"]
    others = {n: curve for n, curve in curves.items() if n and seeds[n] == seeds[0]}
    return {n: [(epoch, value - base[epoch]) for epoch, value in curve if epoch in base] for n, curve in others.items()}


def _traces(
    row: int, trials: pd.DataFrame, curves: dict[int, list[tuple[int, float]]], named: set[str]
) -> list[go.Scatter]:
    """The curves in a row of the figure, the front above the grey ones; the legend has each name once."""
    numbers = [n for n, front in zip(trials["number"], trials["on_front"], strict=True) if front and n]
    members = {number: member for member, number in enumerate(numbers)}
    traces = []
    for trial in rows_of(trials.sort_values(["on_front", "number"], kind="stable")):
        number = trial["number"]
        if curves.get(number):
            look = _curve_look(trial, members.get(number, 0))
            traces.append(_trace(row, curves[number], trial, look | {"showlegend": look["name"] not in named}))
            named = named | {look["name"]}
    return traces


def _curve(points: list[dict[str, Any]], metric: str) -> list[tuple[int, float]]:
    """`(epoch, metric)` of the validated epochs."""
    return [(int(e["epoch"]), float(e[metric])) for e in points if e.get(metric) is not None]


def _curve_look(trial: pd.Series, member: int) -> dict[str, Any]:
    """The baseline is black and bold, the front is coloured, all other curves are grey and share one name."""
    if trial["label"] == BASELINE:
        return {"name": "baseline", "line": {"color": theme.BASELINE, "width": 3.5}, "legendrank": 1}
    if trial["on_front"]:
        color, dash = theme.series(member)
        name = f"#{trial['number']} {theme.escape(trial['label'])}"
        return {"name": name, "line": {"color": color, "width": 2.2, "dash": dash}, "legendrank": 2}
    return {"name": "not on the front", "line": {"color": theme.FAINT, "width": 1.2}, "legendrank": 3}


def _trace(row: int, curve: list[tuple[int, float]], trial: pd.Series, look: dict[str, Any]) -> go.Scatter:
    """One curve in a row of the figure; the second row shows differences, so its values have a sign."""
    return go.Scatter(
        x=[epoch for epoch, _ in curve],
        y=[round(value, DECIMALS) for _, value in curve],
        mode="lines" if len(curve) > 1 else "markers",
        meta=f"<b>#{trial['number']} {theme.escape(trial['label'])}</b>",
        hovertemplate=f"%{{meta}}<br>epoch %{{x}}: %{{y:{'+' if row == 2 else ''}.4f}}<extra></extra>",
        **look,
    )


def _epoch_step(trials: pd.DataFrame, metric: str) -> int:
    """Epochs between two ticks, for about eight ticks."""
    last = max((epoch for points in trials["curve"] for epoch, _ in _curve(points, metric)), default=1)
    return max(1, round(last / 8))
