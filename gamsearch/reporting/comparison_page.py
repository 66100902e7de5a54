"""compare.html and the terminal table of a comparison. No torch, no optuna."""

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from gamsearch.errors import RunError
from gamsearch.metrics import Metric
from gamsearch.reporting import formatting, theme
from gamsearch.reporting.compared_run import ComparedRun
from gamsearch.reporting.comparison import Comparison
from gamsearch.reporting.comparison_figures import fronts_figure, heading, value_text
from gamsearch.reporting.comparison_png import write_picture
from gamsearch.reporting.tables import Column, html_table
from gamsearch.study.urls import masked


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write `compare.html` and `compare.png`.

    Args:
        comparison: The comparison.
        folder: Where to write; created if needed.

    Returns:
        The two files.

    Raises:
        RunError: `folder` is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        html = folder / "compare.html"
        html.write_bytes(comparison_page(comparison).encode("utf-8", errors="replace"))
        return [html, write_picture(comparison, folder / "compare.png")]
    except OSError as error:
        raise RunError(
            f"the comparison cannot be written to {folder} ({error.strerror}); choose another --out"
        ) from error


def terminal_table(comparison: Comparison) -> Group:
    """The verdict, one row per run, the runs' own verdicts, and the settings that differ.

    Args:
        comparison: The comparison.

    Returns:
        A renderable for `rich`.
    """
    runs = _table(["run", *(c.title for c in _run_columns(comparison)[1:])], 1)
    for run in comparison.runs:
        runs.add_row(*(Text(column.text(run)) for column in _run_columns(comparison)))
    verdicts = [Text(f"{run.name}: {run.record.verdict()}") for run in comparison.runs]
    parts: list[Any] = [Text(comparison.verdict(), style="bold"), Text(basis(comparison)), runs, *verdicts]
    if differing := comparison.differing():
        settings = _table(["setting", *(run.name for run in comparison.runs)], len(comparison.runs) + 1)
        for name, texts in differing:
            settings.add_row(Text(name), *map(Text, texts))
        parts.append(settings)
    return Group(*parts)


def _table(titles: Sequence[str], texts: int) -> Table:
    """An empty table whose first `texts` columns hold text and the others numbers; words of titles are not split."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, title in enumerate(titles):
        justify: Any = "left" if index < texts else "right"
        widest = max(map(len, title.split()), default=0) if index >= texts else None
        table.add_column(Text(title), justify=justify, overflow="fold", min_width=widest)
    return table


def basis(comparison: Comparison) -> str:
    """What is compared, and the reference point of the hypervolumes."""
    words = []
    if comparison.relative:
        words.append(
            f"{comparison.why} Each run is therefore measured relative to its own baseline: maximised objectives as "
            "the gain, minimised ones as the ratio."
        )
    point = comparison.reference_point
    if point is not None:
        corner = ", ".join(
            f"{heading(comparison, m)} {value_text(comparison, m, v)}"
            for m, v in zip(comparison.objectives, point, strict=True)
        )
        words.append(
            f"All hypervolumes have one reference point ({corner}): for each objective the worst value among the runs' "
            "own reference points (zero if maximised, twice the baseline's value if minimised)."
        )
    return " ".join(words)


def comparison_page(comparison: Comparison) -> str:
    """The whole page, self-contained; everything from the studies is escaped."""
    names = ", ".join(run.name for run in comparison.runs)
    sections = [_fronts(comparison), _verdicts(comparison), _differences(comparison), _reproduce(comparison)]
    footer = "Generated from the studies of these runs by <code>python -m gamsearch compare</code>."
    return theme.document(f"{names} · gamsearch compare", _header(comparison, names), sections, footer)


def _header(comparison: Comparison, names: str) -> str:
    comparable = comparison.runs if comparison.same_data else ()
    volumes = [(run.name, _volume(comparison, run) or "unknown") for run in comparable]
    facts = "".join(f"<div><dt>{escape(n)}</dt><dd>{v}<small>hypervolume</small></dd></div>" for n, v in volumes)
    return (
        f"<h1><b>{escape(names)}</b> · compared</h1>"
        f'<p class="verdict">{formatting.typeset(escape(comparison.verdict()))}</p><dl class="facts">{facts}</dl>'
        "<noscript><p>The figure needs JavaScript. The tables do not, and compare.png in the same folder shows the "
        "fronts.</p></noscript>"
    )


def _fronts(comparison: Comparison) -> str:
    """The fronts as a figure; the runs and the members of their fronts as tables."""
    head = f'<h2>Pareto fronts</h2><p class="note">{formatting.typeset(escape(basis(comparison)))}</p>'
    runs = html_table(_run_columns(comparison), comparison.runs, "The runs")
    members = "".join(_members(comparison, run) for run in comparison.runs)
    figure = fronts_figure(comparison)
    if figure is None:
        return f'{head}<p class="note">No run has a front yet.</p>{runs}'
    figure.update_layout(legend={"y": -0.2, "yanchor": "top"})  # the mode bar is above
    return f"{head}{theme.chart(figure, 'figure-fronts', 'Pareto fronts')}{runs}{members}"


def _run_columns(comparison: Comparison) -> list[Column]:
    first = comparison.objectives[0]
    return [
        Column("run", lambda run: run.name, numeric=False),
        Column("candidates", lambda run: f"{run.record.counts.candidates}"),
        Column("complete", lambda run: f"{run.record.counts.complete}"),
        Column("on front", lambda run: f"{run.record.counts.on_front}"),
        Column(f"baseline {comparison.task.title(first)}", partial(_baseline_text, first)),
        Column("best gain", _best_gain),
        Column("hypervolume", partial(_volume, comparison)),
        Column("baseline only", lambda run: _number(comparison.baseline_hypervolume(run))),
    ]


def _members(comparison: Comparison, run: ComparedRun) -> str:
    rows = [(run, position) for position in range(len(run.record.front))]
    return html_table(_member_columns(comparison), rows, f"The front of {run.name}") if rows else ""


def _member_columns(comparison: Comparison) -> list[Column]:
    """Columns of `(run, position on its front)`."""
    columns = [
        Column("#", lambda member: f"{_member(member)['number']}"),
        Column("architecture", lambda member: formatting.breakable(_member(member)["label"]), numeric=False),
    ]
    for index, metric in enumerate(comparison.objectives):
        columns.append(Column(formatting.heading(metric, comparison.task), partial(_member_value, metric)))
        if comparison.relative:
            title = "gain" if metric.maximise else "ratio"
            columns.append(Column(title, partial(_member_relative, comparison, index)))
    return columns


def _member(member: tuple[ComparedRun, int]) -> Any:
    return member[0].record.front.iloc[member[1]]


def _member_value(metric: Metric, member: tuple[ComparedRun, int]) -> str:
    return formatting.value(metric, _member(member)[metric.name])


def _member_relative(comparison: Comparison, index: int, member: tuple[ComparedRun, int]) -> str:
    run, position = member
    return value_text(comparison, comparison.objectives[index], comparison.front(run)[position, index])


def _baseline_text(metric: Metric, run: ComparedRun) -> str:
    baseline = run.record.baseline
    return "" if baseline is None else formatting.value(metric, baseline[metric.name])


def _best_gain(run: ComparedRun) -> str:
    gains = run.record.candidates[run.record.task.gain]
    return "" if gains.empty else formatting.signed(gains.iloc[0])


def _volume(comparison: Comparison, run: ComparedRun) -> str:
    return _number(comparison.hypervolume(run))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:#.5g}"


def _verdicts(comparison: Comparison) -> str:
    """Each run's own verdict."""
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
    return head + html_table(columns, rows, "Settings and environment that are not the same in all runs")


def _setting(index: int, row: tuple[str, tuple[str, ...]]) -> str:
    return row[1][index] or "\N{EN DASH}"


def _reproduce(comparison: Comparison) -> str:
    commands = [(run.name, masked(str(run.record.settings.get("command", "")))) for run in comparison.runs]
    blocks = [f"<h3>{escape(n)}</h3><pre><code>{escape(c)}</code></pre>" for n, c in commands if c]
    return "<h2>How to reproduce</h2>" + "".join(blocks) if blocks else ""
