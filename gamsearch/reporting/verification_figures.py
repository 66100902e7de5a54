"""Figures of the verification: forest plot, verified front, short against full training; all text is escaped."""

import textwrap
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import plotly.graph_objects as go

from gamsearch.analysis.finalist import Compared
from gamsearch.analysis.significance import BETTER, UNCLEAR, UNKNOWN, WORSE, Estimate
from gamsearch.analysis.verification import SCALE_UP, Verification
from gamsearch.architecture import BASELINE
from gamsearch.reporting import formatting, theme, verification_rows
from gamsearch.reporting.figure_labels import Label, Plot, annotate
from gamsearch.reporting.theme import base_figure, escape

LOOKS = {
    BETTER: {"symbol": "circle", "color": theme.FRONT},
    UNCLEAR: {"symbol": "circle-open", "color": theme.INK},
    WORSE: {"symbol": "triangle-down", "color": theme.WORSE},
    UNKNOWN: {"symbol": "x-thin-open", "color": theme.MUTED},
    SCALE_UP: {"symbol": "diamond", "color": theme.CONTROL},
}
NAMES = {UNKNOWN: "not tested", SCALE_UP: "scale-up without attention"}
Place = Callable[[Compared], tuple[float, float]]
HEIGHT, LINE, GAP = 60, 17, 24
"""Pixels: the forest plot without rows, a line of text, the space around a dot."""
LABEL: dict[str, Any] = {
    "showarrow": False,
    "xanchor": "left",
    "yanchor": "top",
    "align": "left",
    "font": {"size": 13, "color": theme.INK},
}
"""Text above a dot."""
PLOT_SIZES = ((275.0, 230.0), (340.0, 260.0), (400.0, 300.0))
"""Width and height in px of the area of the verified front, from a phone to a wide screen."""
WIDEST = 42
"""Characters per line of a label, so that it fits a phone."""


def entries(verification: Verification) -> list[Compared]:
    """The finalists, best first, and the scale-up, if they have at least one paired seed."""
    control = [verification.scale_up] if verification.scale_up else []
    return [one for one in [*verification_rows.ranked(verification), *control] if isfinite(one.gain.mean)]


def forest_figure(verification: Verification) -> go.Figure | None:
    """Paired difference in the primary metric of each finalist with its interval; None without a paired seed.

    One unit of y is one pixel. The label of a row is text above its dot, on blank paper that no line crosses.
    """
    shown = entries(verification)
    if not shown:
        return None
    labels = ["<br>".join(map(escape, textwrap.wrap(verification_rows.name(one), WIDEST))) for one in shown]
    figure = base_figure(HEIGHT, formatting.fraction(f"paired difference in {verification.task.primary_title}"), "")
    _draw_floor(figure, verification, 0.0)
    figure.add_vline(0, line={"color": theme.BASELINE, "width": 1.5}, layer="below")
    top, dots = 0.0, {}
    for one, label in zip(shown, labels, strict=True):
        result = f"{verification_rows.spread(one.gain)}, {_claim(one)}"
        muted = f'<span style="color:{theme.MUTED}">{formatting.typeset(result)}</span>'
        figure.add_annotation(x=0, xref="paper", y=top, text=f"{label}<br>{muted}", **LABEL)
        dots[one.key] = top + LINE * (label.count("<br>") + 2) + GAP
        blank = {"x0": 0, "x1": 1, "xref": "paper", "y0": top, "y1": dots[one.key] - GAP / 2, "layer": "between"}
        figure.add_shape(type="rect", fillcolor=theme.PAPER, line_width=0, name="text", **blank)
        top = dots[one.key] + GAP / 2
    _draw(figure, shown, lambda one: (one.gain.mean, dots[one.key]), "x")
    figure.update_xaxes(range=_span(verification, shown), tickformat="+", nticks=6, tickangle=0)
    figure.update_yaxes(range=[top, 0], visible=False)
    figure.update_layout(height=HEIGHT + top, margin={"l": 8, "r": 8, "t": 8, "b": HEIGHT - 8}, showlegend=False)
    return figure


def _claim(one: Compared) -> str:
    return NAMES.get(one.gain.claim, one.gain.claim)


def _kind(one: Compared) -> str:
    """Its key in `LOOKS`."""
    return SCALE_UP if one.key == SCALE_UP else one.gain.claim


def _draw(figure: go.Figure, shown: Sequence[Compared], place: Place, along: str, latencies: bool = False) -> None:
    """Add a trace per kind with the intervals of the gains and, if wanted, of the latencies."""
    for kind, look in LOOKS.items():
        chosen = [one for one in shown if _kind(one) == kind]
        if not chosen:
            continue
        x, y = zip(*map(place, chosen), strict=True)
        bars = {f"error_{along}": _bars([one.gain for one in chosen], look["color"])}
        if latencies:
            bars["error_x"] = _bars([one.latency for one in chosen], look["color"])
        figure.add_scatter(
            x=x,
            y=y,
            mode="markers",
            marker={**look, "size": 12, "line": {"width": 2, "color": look["color"]}},
            name=NAMES.get(kind, kind),
            hovertext=[_hover(one) for one in chosen],
            hoverinfo="text",
            cliponaxis=False,
            **bars,
        )


def _name_points(
    figure: go.Figure, shown: Sequence[Compared], place: Place, lines: Sequence[Any], marks: Sequence[Any] = ()
) -> None:
    """Name each point where the name covers neither `lines`, `marks`, the intervals nor another name."""
    labels, bars = [], []
    for one in shown:
        x, y = place(one)
        labels.append(Label(x, y, _short(one), LOOKS[_kind(one)]["color"]))
        shift = y - one.gain.mean
        bars += [[(x, e), (x, y)] for e in (one.gain.low + shift, one.gain.high + shift) if isfinite(e)]
    x_range, y_range = figure.layout.xaxis.range, figure.layout.yaxis.range
    markers = [*map(place, shown), *marks]
    annotate(figure, labels, Plot(x_range, y_range, markers, [*lines, *bars], PLOT_SIZES))


def _bars(found: Sequence[Estimate], color: str) -> dict[str, Any]:
    """Error bars from the intervals; an estimate without an interval has none."""
    ends = [(e.high - e.mean, e.mean - e.low) if isfinite(e.low + e.high) else (0.0, 0.0) for e in found]
    up, down = [max(0.0, high) for high, _ in ends], [max(0.0, low) for _, low in ends]
    return {"type": "data", "array": up, "arrayminus": down, "color": color, "thickness": 2, "width": 4}


def _short(one: Compared) -> str:
    """A name that fits next to a point."""
    return escape(one.label if one.number is None else f"#{one.number}")


def _hover(one: Compared) -> str:
    gain, needed = one.gain, one.gain.seeds_needed
    lines = [
        f"<b>{escape(verification_rows.name(one))}</b>",
        f"{verification_rows.spread(gain)} at {gain.count} paired seeds",
    ]
    lines.append(f"latency ratio {verification_rows.bounds(one.latency)}" if isfinite(one.latency.mean) else "")
    lines.append(f"p (Holm) {escape(verification_rows.p_text(gain))}: {gain.claim}" if needed else escape(gain.reason))
    return formatting.typeset("<br>".join(filter(None, lines)))


def _draw_floor(figure: go.Figure, verification: Verification, middle: float, along: str = "x") -> None:
    """The standard deviation of the baseline over seeds as a band."""
    floor = verification.noise_floor
    if floor is None:
        return
    look: dict[str, Any] = {"fillcolor": theme.BAND, "line_width": 0, "layer": "below", "name": "noise floor"}
    draw = figure.add_vrect if along == "x" else figure.add_hrect
    draw(middle - floor.sd, middle + floor.sd, showlegend=True, **look)


def _span(verification: Verification, shown: Sequence[Compared], floor: bool = True) -> tuple[float, float]:
    """Axis range `(low, high)` of zero, all intervals and, if wanted, the noise floor, with a margin."""
    noise = verification.noise_floor if floor else None
    ends = [0.0, *([-noise.sd, noise.sd] if noise else [])]
    for one in shown:
        ends += [end for end in (one.gain.mean, one.gain.low, one.gain.high) if isfinite(end)]
    margin = 0.06 * (max(ends) - min(ends)) or 0.001
    return min(ends) - margin, max(ends) + margin


def front_figure(verification: Verification) -> go.Figure | None:
    """Verified primary metric against the latency ratio, both with intervals; None without latency or a paired seed.

    A point lies at the baseline's mean plus the paired difference, so that missing seeds do not shift it.
    """
    shown = [one for one in entries(verification) if isfinite(one.latency.mean)]
    level = verification_rows.rows(verification)[0].level.mean
    if not shown:
        return None
    metric = verification.task.primary_title
    figure = base_figure(430, "latency (ratio to the baseline)", formatting.fraction(metric))
    _draw_floor(figure, verification, level, "y")
    figure.add_hline(level, line={"color": theme.BASELINE, "width": 1, "dash": "dot"})
    _draw_growth(figure, verification, level)

    def place(one: Compared) -> tuple[float, float]:
        return one.latency.mean, level + one.gain.mean

    _draw(figure, shown, place, "y", latencies=True)
    star = {"symbol": "star", "size": 16, "color": theme.BASELINE}
    hover = f"<b>baseline</b><br>{metric} {level:.4f}"
    figure.add_scatter(
        x=[1.0], y=[level], mode="markers", marker=star, name=BASELINE, hovertext=hover, hoverinfo="text"
    )
    low, high = _span(verification, shown)
    ratios = [1.0, *(one.latency.mean for one in shown)]
    left, right = min(ratios), max(ratios)
    margin = 0.1 * (right - left) or 0.1
    figure.update_xaxes(range=[left - margin, right + margin])
    figure.update_yaxes(range=[level + low, level + high])
    lines = [[(left - margin, level), (right + margin, level)], *_growth(verification, level)]
    _name_points(figure, shown, place, lines, [(1.0, level)])
    return figure


def _growth(verification: Verification, level: float) -> list[list[tuple[float, float]]]:
    """The straight line from the baseline to the scale-up, if there is one."""
    larger = verification.scale_up
    if larger is None or not verification.beyond_growth or not isfinite(larger.gain.mean):
        return []
    return [[(1.0, level), (larger.latency.mean, level + larger.gain.mean)]]


def _draw_growth(figure: go.Figure, verification: Verification, level: float) -> None:
    """The straight line from the baseline to the scale-up: what scaling up gains for its latency."""
    pen = {"color": theme.CONTROL, "width": 1.5, "dash": "dash"}
    for line in _growth(verification, level):
        x, y = zip(*line, strict=True)
        figure.add_scatter(x=x, y=y, mode="lines", line=pen, name="scaling up", hoverinfo="skip")


def agreement_figure(verification: Verification) -> go.Figure | None:
    """Verified gain against the gain in short training; None with fewer than two finalists that have both."""
    shown = [one for one in entries(verification) if isfinite(one.search_gain) and one.key != SCALE_UP]
    if len(shown) < 2:
        return None
    figure = base_figure(430, "gain in short training (fraction)", "verified gain (fraction)")
    ends = [min(one.search_gain for one in shown), max(one.search_gain for one in shown)]
    margin = 0.15 * (ends[1] - ends[0]) or 0.001
    low, high = min(0.0, ends[0] - margin), max(0.0, ends[1] + margin)
    figure.add_hline(0, line={"color": theme.BASELINE, "width": 1})
    pen = {"color": theme.REST, "width": 1.5, "dash": "dash"}
    figure.add_scatter(x=[low, high], y=[low, high], mode="lines", line=pen, name="equal gains", hoverinfo="skip")

    def place(one: Compared) -> tuple[float, float]:
        return one.search_gain, one.gain.mean

    _draw(figure, shown, place, "y")
    figure.update_xaxes(range=[low, high], tickformat="+", nticks=5, tickangle=0)
    figure.update_yaxes(range=_span(verification, shown, floor=False), tickformat="+")
    _name_points(figure, shown, place, [[(low, 0.0), (high, 0.0)], [(low, low), (high, high)]])
    return figure
