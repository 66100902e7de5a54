"""The section of the page on which modules, kinds, sites and strengths help, as figures and tables."""

import re
from collections.abc import Sequence
from functools import partial
from html import escape

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.reporting import architecture_svg, effects_breakdown, figures, formatting, theme
from gamsearch.reporting.architecture_section import stock_detector
from gamsearch.reporting.effects_breakdown import Breakdown
from gamsearch.reporting.tables import Column, html_table
from gamsearch.space.detector import Detector
from gamsearch.study.record import Record
from gamsearch.tasks import Task


def section(record: Record) -> str:
    """The effects by module, kind, site and strength; empty where no two trials differ in them."""
    found = effects_breakdown.breakdowns(record, partial(site_name, detector=stock_detector(record)))
    if not found:
        return ""
    span = effects_breakdown.span(found)
    blocks = "".join(_block(one, span, record.task) for one in found)
    return (
        "<h2>Where attention helps</h2>"
        f'<p class="note">Effect of a placement on {record.task.primary_title} with 95&nbsp;% intervals that are not '
        "corrected for multiple comparisons; each figure is a linear model of its own over all completed trials. "
        "Hollow dots are plain differences of means, shown where there are too few trials for an interval. The number "
        "of trials is in parentheses; those that no trial tells apart share one dot. Interactions are not "
        f'modelled.</p><div class="split">{blocks}</div>{_modules(found)}'
    )


def _modules(found: Sequence[Breakdown]) -> str:
    """What the modules are, where there are several."""
    names = [level for one in found if one.title == "Module" for effect in one.effects for level in effect.levels]
    items = "".join(f"<li>{escape(f'{name}: {CATALOGUE[name].origin}')}</li>" for name in names if name in CATALOGUE)
    return f"<details><summary>The modules and their papers</summary><ul>{items}</ul></details>" if items else ""


def _block(one: Breakdown, span: tuple[float, float], task: Task) -> str:
    """The figure of the effects of one factor, and its table, folded."""
    factor = one.title[0].lower() + one.title[1:]
    columns = [
        Column(factor, one.text, numeric=False),
        Column("n", lambda e: f"{e.count}"),
        Column("mean with", lambda e: formatting.signed(e.mean_with)),
        Column("mean without", lambda e: formatting.signed(e.mean_without)),
        Column("effect", lambda e: formatting.signed(e.effect)),
        Column("±", lambda e: formatting.plain(e.half_width, 4)),
    ]
    caption = f"Gain in {task.primary_title} by {factor}; n is the number of trials with it"
    plot = theme.chart(
        figures.effects_figure(one.effects, one.name, span, task),
        f"figure-{re.sub('[^a-z0-9]+', '-', factor.lower())}",
        f"Effect of each {factor}",
    )
    table = html_table(columns, one.effects, caption)
    return f"<div><h3>{escape(one.title)}</h3>{plot}<details><summary>Numbers</summary>{table}</details></div>"


def site_name(site: int, detector: Detector | None) -> str:
    """`4 · backbone P3`, or the number alone where the detector is unknown."""
    if detector is None or not 0 <= site < len(detector.rows):
        return f"{site}"
    row = detector.rows[site]
    return f"{site} · {row.part} {architecture_svg.level(row.stride)}"
