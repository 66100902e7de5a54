"""The section of the page on what shared networks said before the search: a map of gains with intervals."""

from html import escape

from gamsearch.analysis.screened import Effect, Screened, best_by_site
from gamsearch.errors import plural
from gamsearch.reporting import formatting
from gamsearch.reporting.architecture_section import stock_detector
from gamsearch.reporting.effects_section import site_name
from gamsearch.reporting.tables import Column, html_table
from gamsearch.study.record import Record
from gamsearch.tasks import Task


def section(record: Record) -> str:
    """The answer of the shared networks and the gain of every placement in them; empty without a screening."""
    screened = record.screened
    if screened is None:
        return ""
    detector = stock_detector(record)
    best = best_by_site(screened.effects)
    columns = [
        Column("site", lambda e: site_name(e.site, detector), numeric=False),
        Column("module", lambda e: e.option, numeric=False),
        *_figures(record.task),
    ]
    table = html_table(
        columns, list(best.values()), "At each site the placement that is most certain to gain, in the shared networks"
    )
    every = [columns[0], Column("module", lambda e: e.option, numeric=False), *_figures(record.task)]
    whole = html_table(every, screened.effects, "Every placement alone in the shared networks")
    return (
        f"<h2>Before the search: shared networks</h2><p>{escape(screened.sentence)}</p>"
        f'<p class="note">{escape(_how(screened))}</p>{table}'
        f"<details><summary>Every placement</summary>{whole}</details>"
    )


def _figures(task: Task) -> list[Column]:
    return [
        Column(f"gain in {task.primary_title}", lambda e: formatting.signed(e.gain)),
        Column("±", lambda e: formatting.plain(e.half_width, 4)),
        Column("verdict", _verdict, numeric=False),
    ]


def _verdict(effect: Effect) -> str:
    if effect.pays:
        return "pays"
    return "harms" if -effect.gain > effect.half_width else "not shown to pay"


def _how(screened: Screened) -> str:
    """How the figures came about, and what they are not."""
    agreed = ""
    if screened.agreement is not None:
        agreed = f" Kendall's tau between the readings of two networks is {screened.agreement:+.2f}."
    measured = plural(screened.measured, "architecture")
    return (
        f"{plural(screened.seeds, 'network')} that hold all architectures of the space, trained for "
        f"{plural(screened.epochs, 'epoch')} with a random one at each step; {measured} measured in each.{agreed} "
        "Gains are those of a mixed model with 95 % intervals. They only suggest what to train: no figure of a shared "
        "network stands in a front, a table or an export."
    )
