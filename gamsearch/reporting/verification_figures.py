"""The figures of the verification: forest plot, verified front, short against long; all text is escaped."""

import textwrap
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import plotly.graph_objects as go

from gamsearch.analysis.finalist import Compared
from gamsearch.analysis.finalist import figure as figure_of
from gamsearch.analysis.significance import BETTER, UNCLEAR, UNKNOWN, WORSE, Estimate, estimate
from gamsearch.analysis.verification import BASELINE, SCALE_UP, Verification
from gamsearch.reporting import formatting, palette, verification_rows
from gamsearch.reporting.figures import calm, escape

LOOKS = {
    BETTER: {"symbol": "circle", "color": palette.FRONT},
    UNCLEAR: {"symbol": "circle-open", "color": palette.INK},
    WORSE: {"symbol": "triangle-down", "color": palette.WORSE},
    UNKNOWN: {"symbol": "x-thin-open", "color": palette.MUTED},
    SCALE_UP: {"symbol": "diamond", "color": palette.CONTROL},
}
NAMES = {UNKNOWN: "not judged", SCALE_UP: "scale-up without attention"}
Place = Callable[[Compared], tuple[float, float]]
HEIGHT, LINE, GAP = 60, 17, 24
"""Pixels of the forest plot without rows, of a line of text, around a dot."""
LABEL: dict[str, Any] = {
    "showarrow": False,
    "xanchor": "left",
    "yanchor": "top",
    "align": "left",
    "font": {"size": 13, "color": palette.INK},
    "bgcolor": "rgba(255,255,255,0.8)",
}
"""Text above a dot, veiled so that no line strikes it through."""
WIDEST = 42
"""Letters of a label in one line, so that it fits on a phone."""


def entries(verification: Verification) -> list[Compared]:
    """The finalists, best first, and the scale-up, as far as they have one paired seed."""
    grown = [verification.scale_up] if verification.scale_up else []
    return [one for one in [*verification_rows.ranked(verification), *grown] if isfinite(one.gain.mean)]


def forest_figure(verification: Verification) -> go.Figure | None:
    """Paired difference in map50_95 of each finalist with its interval; None before any seed is paired.

    One unit of y is one pixel: every row has its label in lines of text above its dot.
    """
    shown = entries(verification)
    if not shown:
        return None
    labels = ["<br>".join(map(escape, textwrap.wrap(verification_rows.name(one), WIDEST))) for one in shown]
    figure = calm(HEIGHT, "paired difference in mAP50-95 (fraction)", "")
    _draw_floor(figure, verification, 0.0)
    figure.add_vline(0, line={"color": palette.BASELINE, "width": 1.5})
    top, dots = 0.0, {}
    for one, label in zip(shown, labels, strict=True):
        said = f"{verification_rows.spread(one.gain)}, {_claim(one)}"
        muted = f'<span style="color:{palette.MUTED}">{formatting.typeset(said)}</span>'
        figure.add_annotation(x=0, xref="paper", y=top, text=f"{label}<br>{muted}", **LABEL)
        dots[one.key] = top + LINE * (label.count("<br>") + 2) + GAP / 2
        top = dots[one.key] + GAP
    _draw(figure, shown, lambda one: (one.gain.mean, dots[one.key]), "x")
    figure.update_xaxes(range=_span(verification, shown), tickformat="+.2~g", showgrid=True, nticks=6, tickangle=0)
    figure.update_yaxes(range=[top, 0], visible=False)
    figure.update_layout(height=HEIGHT + top, margin={"l": 8, "r": 8, "t": 8, "b": HEIGHT - 8}, showlegend=False)
    return figure


def _claim(one: Compared) -> str:
    return NAMES.get(one.gain.claim, one.gain.claim)


def _kind(one: Compared) -> str:
    """Which of `LOOKS` shows it."""
    return SCALE_UP if one.key == SCALE_UP else one.gain.claim


def _draw(figure: go.Figure, shown: Sequence[Compared], place: Place, along: str, more: Sequence[str] = ()) -> None:
    """One trace per kind with the intervals of the gains along one axis, and if asked for `names` and `prices`."""
    sides = _sides(shown, place)
    for kind, look in LOOKS.items():
        chosen = [one for one in shown if _kind(one) == kind]
        if not chosen:
            continue
        x, y = zip(*map(place, chosen), strict=True)
        bars = {f"error_{along}": _bars([one.gain for one in chosen], look["color"])}
        if "prices" in more:
            bars["error_x"] = _bars([one.latency for one in chosen], look["color"])
        figure.add_scatter(
            x=x,
            y=y,
            mode="markers+text" if "names" in more else "markers",
            text=[_short(one) for one in chosen] if "names" in more else None,
            textposition=[sides[one.key] for one in chosen],
            textfont={"size": 12, "color": look["color"]},
            marker={**look, "size": 12, "line": {"width": 2, "color": look["color"]}},
            name=NAMES.get(kind, kind),
            hovertext=[_hover(one) for one in chosen],
            hoverinfo="text",
            cliponaxis=False,
            **bars,
        )


def _sides(shown: Sequence[Compared], place: Place) -> dict[str, str]:
    """Where the name of each point stands: in turns above and below, at the inner side of the rightmost one."""
    by_x = sorted(shown, key=lambda one: place(one)[0])
    turns = {one.key: f"{('top', 'bottom')[i % 2]} right" for i, one in enumerate(by_x)}
    return turns | {by_x[-1].key: "top left"}


def _bars(found: Sequence[Estimate], color: str) -> dict[str, Any]:
    """Error bars from the interval of each estimate, none where it has none."""
    ends = [(e.high - e.mean, e.mean - e.low) if isfinite(e.low + e.high) else (0.0, 0.0) for e in found]
    up, down = [max(0.0, high) for high, _ in ends], [max(0.0, low) for _, low in ends]
    return {"type": "data", "array": up, "arrayminus": down, "color": color, "thickness": 2, "width": 4}


def _short(one: Compared) -> str:
    """A name that fits beside a point."""
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
    """The baseline's seed-to-seed standard deviation as a band."""
    floor = verification.noise_floor
    if floor is None:
        return
    look: dict[str, Any] = {"fillcolor": palette.BAND, "line_width": 0, "layer": "below", "name": "noise floor"}
    draw = figure.add_vrect if along == "x" else figure.add_hrect
    draw(middle - floor.sd, middle + floor.sd, showlegend=True, **look)


def _span(verification: Verification, shown: Sequence[Compared]) -> tuple[float, float]:
    """`(low, high)` that shows zero, all intervals and the noise floor, with a margin."""
    floor = verification.noise_floor
    ends = [0.0, *([-floor.sd, floor.sd] if floor else [])]
    for one in shown:
        ends += [end for end in (one.gain.mean, one.gain.low, one.gain.high) if isfinite(end)]
    margin = 0.06 * (max(ends) - min(ends)) or 0.001
    return min(ends) - margin, max(ends) + margin


def front_figure(verification: Verification) -> go.Figure | None:
    """Verified map50_95 against the latency ratio, both with intervals; None without latency or a paired seed.

    A point stands at the baseline's mean plus the paired difference, so that seeds that are missing move no point.
    """
    shown = [one for one in entries(verification) if isfinite(one.latency.mean)]
    level = _level(verification)
    if not shown:
        return None
    figure = calm(430, "latency (ratio to the baseline)", "mAP50-95 (fraction)")
    _draw_floor(figure, verification, level, "y")
    figure.add_hline(level, line={"color": palette.BASELINE, "width": 1, "dash": "dot"})
    _draw_growth(figure, verification, level)
    _draw(figure, shown, lambda one: (one.latency.mean, level + one.gain.mean), "y", ["names", "prices"])
    star = {"symbol": "star", "size": 16, "color": palette.BASELINE}
    hover = f"<b>baseline</b><br>mAP50-95 {level:.4f}"
    figure.add_scatter(
        x=[1.0], y=[level], mode="markers", marker=star, name=BASELINE, hovertext=hover, hoverinfo="text"
    )
    low, high = _span(verification, shown)
    figure.update_yaxes(range=[level + low, level + high], tickformat=".3f")
    return figure


def _level(verification: Verification) -> float:
    """The baseline's mean map50_95 over its seeds."""
    known = (figure_of(done, "map50_95") for done in verification.trainings.get(BASELINE, {}).values())
    return estimate([value for value in known if isfinite(value)]).mean


def _draw_growth(figure: go.Figure, verification: Verification, level: float) -> None:
    """The straight line along which plain growth would buy map50_95 with latency."""
    grown = verification.scale_up
    if grown is None or not verification.beyond_growth or not isfinite(grown.gain.mean):
        return
    pen = {"color": palette.CONTROL, "width": 1.5, "dash": "dash"}
    ends = [level, level + grown.gain.mean]
    figure.add_scatter(x=[1.0, grown.latency.mean], y=ends, mode="lines", line=pen, name="growth", hoverinfo="skip")


def agreement_figure(verification: Verification) -> go.Figure | None:
    """Verified against brief gain, with intervals; None with fewer than two finalists that have both."""
    shown = [one for one in entries(verification) if isfinite(one.search_gain) and one.key != SCALE_UP]
    if len(shown) < 2:
        return None
    figure = calm(430, "brief gain (fraction)", "verified gain (fraction)")
    ends = [min(one.search_gain for one in shown), max(one.search_gain for one in shown)]
    margin = 0.15 * (ends[1] - ends[0]) or 0.001
    low, high = min(0.0, ends[0] - margin), max(0.0, ends[1] + margin)
    figure.add_hline(0, line={"color": palette.BASELINE, "width": 1})
    pen = {"color": palette.REST, "width": 1.5, "dash": "dash"}
    figure.add_scatter(
        x=[low, high], y=[low, high], mode="lines", line=pen, name="as much as in brief training", hoverinfo="skip"
    )
    _draw(figure, shown, lambda one: (one.search_gain, one.gain.mean), "y", ["names"])
    figure.update_xaxes(range=[low, high], tickformat="+.2~g", nticks=5, tickangle=0)
    figure.update_yaxes(tickformat="+.2~g")
    return figure
