"""The section of the page on the verification: forest plot, table, verified front, short against full training."""

from collections.abc import Sequence
from functools import partial
from html import escape
from math import isfinite

from gamsearch.analysis.finalist import Compared
from gamsearch.analysis.significance import BETTER
from gamsearch.analysis.verification import Verification
from gamsearch.reporting import formatting, snippets, theme, verification_figures, verification_rows
from gamsearch.reporting.tables import Column, html_table
from gamsearch.study.record import Record
from gamsearch.tasks import DETECT, Task

SIZES = ("small", "medium", "large")


def section(record: Record) -> str:
    """The whole section; empty if no finalist was chosen."""
    verification = record.verification
    if not verification.finalists:
        return ""
    parts = [
        "<h2>Verified at full budget</h2>",
        _note(_conditions(record)),
        _missing(verification),
        _forest(verification),
    ]
    parts += [_table(record), _front_and_agreement(verification), _exploratory(verification), _images(verification)]
    return "".join([*parts, _blocks(record)])


def _note(text: str) -> str:
    """An explanatory paragraph."""
    return f'<p class="note">{formatting.typeset(escape(text))}</p>'


def _conditions(record: Record) -> str:
    """How the arms were trained and how to read the forest plot."""
    verification = record.verification
    count = len(verification.finalists)
    finalists = f"The {count} finalists of the search" if count > 1 else "The finalist of the search"
    larger = f"{verification.scale_up.label} without attention" if verification.scale_up else ""
    arms = f"{finalists}, the baseline and {larger}" if larger else f"{finalists} and the baseline"
    joint = ", Holm-corrected so that they hold jointly" if count > 1 else ""
    return (
        f"{arms} were trained from the original weights: {verification_rows.conditions(record)}. At each seed all of "
        f"them saw the same data in the same order, so differences are paired. Bars are 95 % intervals{joint}; an "
        "interval that excludes zero is a difference that the seeds alone do not explain."
    )


def _missing(verification: Verification) -> str:
    """The trainings that are still to be done, as a list."""
    left = verification_rows.missing(verification)
    if not left:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in left)
    return (
        f'<div class="missing"><p><b>Incomplete.</b> Still missing:</p><ul>{items}</ul>'
        "<p>The verify command at the end of this page resumes where it stopped.</p></div>"
    )


def _forest(verification: Verification) -> str:
    """The forest plot, the comparison with scaling up, and the noise floor."""
    shown = verification_figures.entries(verification)
    each = "; ".join(
        f"{verification_rows.name(one)} {verification_rows.spread(one.gain)}, {verification_rows.claim(one.gain)}"
        for one in shown
    )
    text = f"Forest plot of the paired differences in {verification.task.primary_title}: {each}"
    plot = theme.chart(verification_figures.forest_figure(verification), "figure-forest", text)
    sentences = "".join(
        f"<p>{formatting.typeset(escape(words))}</p>"
        for words in (verification.against_growth(), _floor(verification))
        if words
    )
    return f"{plot}{sentences}"


def _floor(verification: Verification) -> str:
    """The standard deviation of the baseline over seeds, in words."""
    floor = verification.noise_floor
    if floor is None:
        return ""
    return (
        f"Noise floor (grey band): the baseline's own {verification.task.primary_title} varies from seed to seed with "
        f"a standard deviation of {floor.sd:.4f} (95 % interval {floor.low:.4f} to {floor.high:.4f}, {floor.seeds} "
        "seeds). A gain in a single run means little unless it is several times as large."
    )


def _table(record: Record) -> str:
    """The table of all arms, the best finalist bold if it is better than the baseline."""
    best = record.verification.best
    marked = best.key if best and best.gain.claim == BETTER else None
    rows = verification_rows.rows(record.verification)
    table = html_table(
        verification_rows.columns(record.task),
        rows,
        "Finalists and controls",
        lambda row: "marked" if row.key == marked else "",
    )
    return table + _note(f"{verification_rows.statistics(record)} {verification_rows.needed()}")


def _front_and_agreement(verification: Verification) -> str:
    """The verified front and, beside it, the agreement of short and full trainings."""
    front, short = _front(verification), _agreement(verification)
    return f'<div class="split">{front}{short}</div>' if front and "<figure" in short else f"{front}{short}"


def _front(verification: Verification) -> str:
    """The verified primary metric against latency; empty if no latency is known."""
    shown = [one for one in verification_figures.entries(verification) if isfinite(one.latency.mean)]
    each = "; ".join(f"{verification_rows.name(one)} {verification_rows.spread(one.gain)}{one.price}" for one in shown)
    text = f"Verified {verification.task.primary_title} against latency: {each}"
    plot = theme.chart(verification_figures.front_figure(verification), "figure-verified", text)
    if not plot:
        return ""
    growth = " The dashed line shows what scaling up gains for its latency." if verification.beyond_growth else ""
    return (
        '<div><h3>Verified front</h3><p class="note">Mean over the seeds against latency. Vertical bars are the '
        "intervals of the paired differences; a bar that excludes the dotted line differs from the "
        f"baseline.{growth}</p>{plot}</div>"
    )


def _agreement(verification: Verification) -> str:
    """Whether short trainings rank the finalists as full trainings do."""
    found = verification.agreement
    known = sum(isfinite(one.gain.mean + one.search_gain) for one in verification.finalists)
    if found is not None:
        p_value = f"p = {found.p:.2f}, {found.count} finalists"
        sentence = f"Kendall's tau between short-training and verified gains is {found.tau:+.2f} ({p_value})."
    elif known >= 3:
        sentence = "All short-training gains or all verified gains are equal, so there is no ranking to compare."
    else:
        sentence = f"A rank correlation (Kendall's tau) needs three verified finalists; there {_are(known)} so far."
    text = f"Verified gain against the gain in short training. {sentence}"
    plot = theme.chart(verification_figures.agreement_figure(verification), "figure-agreement", text)
    bias = "The finalists were selected by their short-training gains, so these gains are biased upwards."
    return (
        f"<div><h3>Short versus full training</h3><p>{formatting.typeset(escape(sentence))}</p>"
        f'<p class="note">{bias}</p>{plot}</div>'
    )


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"


def _exploratory(verification: Verification) -> str:
    """Differences by class and by object size, folded."""
    shown, task = verification_figures.entries(verification), verification.task
    parts = [
        _breakdown(task, "class", list(dict.fromkeys(name for one in shown for name in one.per_class)), shown),
        _breakdown(task, "object size", [size for size in SIZES if any(size in one.per_size for one in shown)], shown),
    ]
    text = "".join(parts)
    if not text:
        return ""
    return (
        f"<details><summary>By class{' and by object size' if task is DETECT else ''} (exploratory)</summary>"
        + _note(
            f"Paired differences in {task.primary_title} with 95 % intervals. They are not corrected for multiple "
            "comparisons: about one interval in twenty excludes zero by chance."
        )
        + f"{text}</details>"
    )


def _breakdown(task: Task, what: str, names: Sequence[str], shown: Sequence[Compared]) -> str:
    columns = [Column(what, lambda name: name, numeric=False)]
    columns += [Column(verification_rows.name(one), partial(_part, task, what, one)) for one in shown]
    known = [name for name in names if any(column.text(name) for column in columns[1:])]
    return html_table(columns, known, f"Difference in {task.primary_title} by {what}") if known else ""


def _part(task: Task, what: str, one: Compared, name: str) -> str:
    found = one.per_class.get(name, {}).get(task.primary) if what == "class" else one.per_size.get(name)
    return verification_rows.spread(found) if found else ""


def _images(verification: Verification) -> str:
    """The bootstrap over validation images, folded."""
    shown = [one for one in verification.finalists if one.bootstrap]
    if not shown:
        return ""
    first, task = shown[0].bootstrap, verification.task
    columns = [
        Column("finalist", verification_rows.name, numeric=False),
        *(
            Column(f"{title} difference", partial(_resampled, metric))
            for title, metric in ((task.primary_title, task.primary), (task.secondary_title, task.secondary))
        ),
    ]
    caption = (
        f"Paired bootstrap over the validation images at seed {first.get('seed')}, {first.get('resamples')} resamples, "
        "95 % intervals"
    )
    return (
        "<details><summary>How much depends on the validation images</summary>"
        '<p class="note">The same two trainings, validated on resampled images. The intervals do not include the '
        "variation between seeds, so they do not apply to other trainings.</p>"
        f"{html_table(columns, shown, caption)}</details>"
    )


def _resampled(metric: str, one: Compared) -> str:
    """E.g. `+0.0101 [-0.0020, +0.0221]`."""
    found = one.bootstrap.get(metric) or {}
    if not {"difference", "low", "high"} <= found.keys():
        return ""
    difference, low, high = (formatting.signed(found[name]) for name in ("difference", "low", "high"))
    return f"{difference} [{low}, {high}]"


def _blocks(record: Record) -> str:
    """The contents of verdict.md and verdict.tex, folded."""
    blocks = [("Markdown", "verdict.md", snippets.markdown(record)), ("LaTeX", "verdict.tex", snippets.latex(record))]
    return "".join(
        f"<details><summary>Table in {kind} ({name})</summary>"
        f'<pre tabindex="0" aria-label="{name}">{escape(text)}</pre></details>'
        for kind, name, text in blocks
    )
