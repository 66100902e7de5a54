"""The figure of learning curves: mAP50-95 by epoch and, below, the difference to the baseline at the same epoch."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gamsearch.architecture import BASELINE
from gamsearch.reporting import theme
from gamsearch.reporting.tables import rows_of
from gamsearch.study.record import Record


def curves_figure(record: Record) -> go.Figure | None:
    """The curves of all trials above their differences to the baseline; None if no curve has two epochs."""
    trials = record.trainings[(record.trainings["curve"].str.len() > 1) & record.trainings["recalled_from"].isna()]
    if trials.empty:
        return None
    base = _curves_by_number(record, trials, paired=False).get(0, [])
    paired = _curves_by_number(record, trials, paired=True) if base else {}
    count = 2 if paired else 1
    figure = make_subplots(rows=count, cols=1, shared_xaxes=True, vertical_spacing=0.07)
    theme.base_figure(340 + 300 * (count - 1), "", "", figure)
    _add_curves(figure, 1, trials, _curves_by_number(record, trials, paired=False))
    if paired:
        _add_curves(figure, 2, trials, paired)
        figure.add_hline(0, line={"color": theme.BASELINE, "width": 2}, row=2, col=1)
        figure.update_yaxes(title_text="difference to baseline", tickformat="+", row=2, col=1)
    figure.update_xaxes(tickformat="d", dtick=_epoch_step(trials))
    figure.update_xaxes(title_text="epoch", row=count, col=1)
    figure.update_yaxes(title_text="mAP50-95 (fraction)", row=1, col=1)
    figure.update_layout(legend={"y": -0.28 / count, "yanchor": "top"})
    return figure


def _curves_by_number(record: Record, trials: pd.DataFrame, paired: bool) -> dict[int, list[tuple[int, float]]]:
    """`(epoch, map50_95)` by trial; if `paired`, differences to the baseline at the same epoch and seed."""
    curves = {trial["number"]: _curve(trial) for trial in rows_of(trials)}
    if not paired:
        return curves
    base, seeds = dict(curves[0]), trials.set_index("number")["seed"]
    others = {n: curve for n, curve in curves.items() if n and seeds[n] == seeds[0]}
    return {n: [(epoch, value - base[epoch]) for epoch, value in curve if epoch in base] for n, curve in others.items()}


def _add_curves(figure: go.Figure, row: int, trials: pd.DataFrame, curves: dict[int, list[tuple[int, float]]]) -> None:
    """Draw the front on top of the grey curves; each name appears in the legend once."""
    members = [n for n, front in zip(trials["number"], trials["on_front"], strict=True) if front and n]
    for trial in rows_of(trials.sort_values(["on_front", "number"], kind="stable")):
        number = trial["number"]
        if curves.get(number):
            look = _curve_look(trial, members.index(number) if number in members else 0)
            shown = look["name"] not in {trace.name for trace in figure.data}
            _add_curve(figure, row, curves[number], trial, look | {"showlegend": shown})


def _curve(trial: pd.Series) -> list[tuple[int, float]]:
    """`(epoch, map50_95)` of the validated epochs."""
    return [(int(e["epoch"]), float(e["map50_95"])) for e in trial["curve"] if e.get("map50_95") is not None]


def _curve_look(trial: pd.Series, member: int) -> dict[str, Any]:
    """The baseline is black and bold, the front is coloured, all other curves are grey and share one name."""
    if trial["label"] == BASELINE:
        return {"name": "baseline", "line": {"color": theme.BASELINE, "width": 3.5}, "legendrank": 1}
    if trial["on_front"]:
        color, dash = theme.series(member)
        name = f"#{trial['number']} {theme.escape(trial['label'])}"
        return {"name": name, "line": {"color": color, "width": 2.2, "dash": dash}, "legendrank": 2}
    return {"name": "not on the front", "line": {"color": theme.FAINT, "width": 1.2}, "legendrank": 3}


def _add_curve(
    figure: go.Figure, row: int, curve: list[tuple[int, float]], trial: pd.Series, look: dict[str, Any]
) -> None:
    """Add one curve to a row of the figure; the second row shows differences, so its values have a sign."""
    sign = "+" if row == 2 else ""
    hover = [f"<b>#{trial['number']} {theme.escape(trial['label'])}</b><br>epoch {e}: {v:{sign}.4f}" for e, v in curve]
    mode = "lines" if len(curve) > 1 else "markers"
    epochs, values = [e for e, _ in curve], [v for _, v in curve]
    figure.add_scatter(x=epochs, y=values, mode=mode, hovertext=hover, hoverinfo="text", row=row, col=1, **look)


def _epoch_step(trials: pd.DataFrame) -> int:
    """Epochs between two ticks, for about eight ticks."""
    last = max((epoch for trial in rows_of(trials) for epoch, _ in _curve(trial)), default=1)
    return max(1, round(last / 8))
