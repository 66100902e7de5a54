"""The section of the page on which sites and which rates help, as figures and tables."""

from collections.abc import Callable, Sequence
from typing import Any

from gamsearch.reporting import architecture_svg, effects, figures, formatting, theme
from gamsearch.reporting.architecture_section import stock_detector
from gamsearch.reporting.effects import Effect
from gamsearch.reporting.tables import Column, html_table
from gamsearch.space.detector import Detector
from gamsearch.study.record import Record


def section(record: Record) -> str:
    """The effect of each site and each rate; empty if no candidate was evaluated."""
    sites, rates = effects.site_effects(record), effects.rate_effects(record)
    if not sites:
        return ""
    detector, span = stock_detector(record), effects.span([*sites, *rates])
    return (
        "<h2>Where attention helps</h2>"
        '<p class="note">Effect of a placement on mAP50-95 in a linear model of all completed trials, with 95&nbsp;% '
        "intervals that are not corrected for multiple comparisons. Hollow dots are plain differences of means, shown "
        "where there are too few trials for an interval. The number of trials is in parentheses; those that "
        "no trial tells apart share one dot. Interactions are not "
        'modelled.</p><div class="split">'
        f"{_block('Site', sites, span, lambda site: _site_name(site, detector))}"
        f"{_block('Rate', rates, span, effects.rate_name)}</div>"
    )


def _block(title: str, found: Sequence[Effect], span: tuple[float, float], name: Callable[[Any], str]) -> str:
    """The figure of the effects by site or by rate, and its table, folded."""
    columns = [
        Column(title.lower(), lambda e: " + ".join(map(name, e.levels)), numeric=False),
        Column("n", lambda e: f"{e.count}"),
        Column("mean with", lambda e: formatting.signed(e.mean_with)),
        Column("mean without", lambda e: formatting.signed(e.mean_without)),
        Column("effect", lambda e: formatting.signed(e.effect)),
        Column("±", lambda e: formatting.plain(e.half_width, 4)),
    ]
    caption = f"Gain in mAP50-95 by {title.lower()}; n is the number of trials with this {title.lower()}"
    plot = theme.chart(
        figures.effects_figure(found, name, span), f"figure-{title.lower()}", f"Effect of each {title.lower()}"
    )
    table = html_table(columns, found, caption)
    return f"<div><h3>{title}</h3>{plot}<details><summary>Numbers</summary>{table}</details></div>"


def _site_name(site: int, detector: Detector | None) -> str:
    """`4 · backbone P3`, or the number alone where the detector is unknown."""
    if detector is None or not 0 <= site < len(detector.rows):
        return f"{site}"
    row = detector.rows[site]
    return f"{site} · {row.part} {architecture_svg.level(row.stride)}"
