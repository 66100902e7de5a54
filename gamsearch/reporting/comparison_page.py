"""compare.html, compare.png and a terminal table: the fronts of several runs in one plot. No torch, no optuna."""

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from gamsearch.errors import RunError
from gamsearch.metrics import Metric
from gamsearch.reporting import formatting, theme
from gamsearch.reporting.chart import CONFIG
from gamsearch.reporting.comparison import Comparison, Run
from gamsearch.reporting.comparison_figures import fronts_figure, heading, write_picture, written
from gamsearch.reporting.html_page import POLICY
from gamsearch.reporting.tables import Column, html_table
from gamsearch.study.masking import masked


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write `compare.html` and `compare.png` into `folder` and return their paths."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        html = folder / "compare.html"
        html.write_bytes(comparison_page(comparison).encode("utf-8", errors="replace"))
        return [html, write_picture(comparison, folder / "compare.png")]
    except OSError as error:
        raise RunError(
            f"the comparison cannot be written into {folder} ({error.strerror}); give another --out"
        ) from error


def terminal_table(comparison: Comparison) -> Group:
    """The verdict, one row per run, their own verdicts, and the settings that differ, for `rich.print`."""
    runs = _table(["run", *(c.title for c in _run_columns(comparison)[1:])], 1)
    for run in comparison.runs:
        runs.add_row(*(Text(column.text(run)) for column in _run_columns(comparison)))
    settings = _table(["setting", *(run.name for run in comparison.runs)], len(comparison.runs) + 1)
    for name, texts in comparison.differing():
        settings.add_row(Text(name), *map(Text, texts))
    verdicts = [Text(f"{run.name}: {run.record.verdict()}") for run in comparison.runs]
    return Group(Text(comparison.verdict(), style="bold"), Text(basis(comparison)), runs, *verdicts, settings)


def _table(titles: Sequence[str], texts: int) -> Table:
    """A calm table whose first columns, `texts` of them, hold text and the others numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, title in enumerate(titles):
        table.add_column(Text(title), justify="left" if index < texts else "right", overflow="fold")
    return table


def basis(comparison: Comparison) -> str:
    """Say what is compared and from which reference point the hypervolumes are measured."""
    words = []
    if comparison.relative:
        words.append(
            f"{comparison.why} So each run is held against its own baseline: what is better when larger as the gain "
            "over it, what is better when smaller as the ratio to it."
        )
    point = comparison.reference_point
    if point is not None:
        corner = ", ".join(
            f"{heading(comparison, m)} {written(comparison, m, v)}"
            for m, v in zip(comparison.objectives, point, strict=True)
        )
        words.append(
            f"Hypervolumes have a common reference point: {corner}, in each objective the worst of the runs' own "
            "(nothing of what is maximised, twice the baseline's cost)."
        )
    return " ".join(words)


def comparison_page(comparison: Comparison) -> str:
    """The whole page; it needs nothing but itself, and everything from the studies is escaped."""
    names = ", ".join(run.name for run in comparison.runs)
    sections = [_fronts(comparison), _verdicts(comparison), _differences(comparison), _reproduce(comparison)]
    body = "\n".join(f"<section>{text}</section>" for text in sections if text)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(names)} · gamsearch compare</title><style>{theme.CSS}</style>"
        f"<script>{get_plotlyjs()}</script></head>\n<body>{_header(comparison, names)}\n<main>{body}</main>\n"
        "<footer>Derived from the studies of these runs by <code>python -m gamsearch compare</code>.</footer>"
        "</body></html>\n"
    )


def _header(comparison: Comparison, names: str) -> str:
    volumes = [(run.name, _volume(comparison, run) or "unknown") for run in comparison.runs]
    facts = "".join(f"<div><dt>{escape(n)}</dt><dd>{v}<small>hypervolume</small></dd></div>" for n, v in volumes)
    return (
        f"<header><h1><b>{escape(names)}</b> · compared</h1>"
        f'<p class="verdict">{formatting.typeset(escape(comparison.verdict()))}</p><dl class="facts">{facts}</dl>'
        "<noscript><p>The figure needs JavaScript; the tables do not, and compare.png beside this file shows the "
        "fronts.</p></noscript></header>"
    )


def _fronts(comparison: Comparison) -> str:
    """The fronts as a figure, the runs and the members as tables."""
    head = f'<h2>Pareto fronts</h2><p class="note">{formatting.typeset(escape(basis(comparison)))}</p>'
    runs = html_table(_run_columns(comparison), comparison.runs, "The runs")
    members = "".join(_members(comparison, run) for run in comparison.runs)
    figure = fronts_figure(comparison)
    if figure is None:
        return f'{head}<p class="note">No run has a front yet.</p>{runs}'
    config = CONFIG | {"displayModeBar": "hover"}
    figure.update_layout(legend={"y": -0.2, "yanchor": "top"})  # the mode bar is above
    drawn = figure.to_html(full_html=False, include_plotlyjs=False, div_id="figure-fronts", config=config)
    return f'{head}<figure role="group" aria-label="Pareto fronts">{drawn}</figure>{runs}{members}'


def _run_columns(comparison: Comparison) -> list[Column]:
    first = comparison.objectives[0]
    return [
        Column("run", lambda run: run.name, numeric=False),
        Column("trials", lambda run: f"{len(run.record.shown)}"),
        Column("on front", lambda run: f"{len(run.record.front)}"),
        Column(f"baseline {formatting.title(first)}", partial(_baseline_text, first)),
        Column("best gain", _best_gain),
        Column("hypervolume", partial(_volume, comparison)),
        Column("baseline alone", lambda run: _number(comparison.baseline_hypervolume(run))),
    ]


def _members(comparison: Comparison, run: Run) -> str:
    rows = [(run, place) for place in range(len(run.record.front))]
    return html_table(_member_columns(comparison), rows, f"The front of {run.name}") if rows else ""


def _member_columns(comparison: Comparison) -> list[Column]:
    """Columns of `(run, place on its front)`."""
    columns = [
        Column("#", lambda member: f"{_member(member)['number']}"),
        Column("architecture", lambda member: formatting.breakable(_member(member)["label"]), numeric=False),
    ]
    for index, metric in enumerate(comparison.objectives):
        columns.append(Column(formatting.heading(metric), partial(_member_value, metric)))
        if comparison.relative:
            title = "gain" if metric.maximise else "ratio"
            columns.append(Column(title, partial(_member_relative, comparison, index)))
    return columns


def _member(member: tuple[Run, int]) -> Any:
    return member[0].record.front.iloc[member[1]]


def _member_value(metric: Metric, member: tuple[Run, int]) -> str:
    return formatting.value(metric, _member(member)[metric.name])


def _member_relative(comparison: Comparison, index: int, member: tuple[Run, int]) -> str:
    run, place = member
    return written(comparison, comparison.objectives[index], comparison.front(run)[place, index])


def _baseline_text(metric: Metric, run: Run) -> str:
    baseline = run.record.baseline
    return "" if baseline is None else formatting.value(metric, baseline[metric.name])


def _best_gain(run: Run) -> str:
    gains = run.record.candidates["map50_95_gain"]
    return "" if gains.empty else formatting.signed(gains.iloc[0])


def _volume(comparison: Comparison, run: Run) -> str:
    return _number(comparison.hypervolume(run))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:#.5g}"


def _verdicts(comparison: Comparison) -> str:
    """What each run says of itself."""
    lines = "".join(
        f"<h3>{escape(run.name)}</h3><p>{formatting.typeset(escape(run.record.verdict()))}</p>"
        for run in comparison.runs
    )
    return f"<h2>Each run's verdict</h2>{lines}"


def _differences(comparison: Comparison) -> str:
    rows = comparison.differing()
    head = "<h2>What differs</h2>"
    if not rows:
        return f'{head}<p class="note">All recorded settings are the same.</p>'
    columns = [Column("setting", lambda row: row[0], numeric=False)]
    for index, run in enumerate(comparison.runs):
        columns.append(Column(run.name, partial(_setting, index), numeric=False))
    return head + html_table(columns, rows, "Settings and surroundings that are not the same in all runs")


def _setting(index: int, row: tuple[str, tuple[str, ...]]) -> str:
    return row[1][index] or "\N{EN DASH}"


def _reproduce(comparison: Comparison) -> str:
    commands = [(run.name, masked(str(run.record.settings.get("command", "")))) for run in comparison.runs]
    blocks = [f"<h3>{escape(n)}</h3><pre><code>{escape(c)}</code></pre>" for n, c in commands if c]
    return "<h2>How to reproduce</h2>" + "".join(blocks) if blocks else ""
