"""The section of the page that tells the verification: forest plot, table, verified front, short against long."""

from collections.abc import Sequence
from functools import partial
from html import escape
from math import isfinite

from gamsearch.analysis.finalist import Compared
from gamsearch.analysis.significance import BETTER
from gamsearch.analysis.verification import Verification
from gamsearch.reporting import formatting, snippets, verification_figures, verification_rows
from gamsearch.reporting.chart import chart
from gamsearch.reporting.tables import Column, html_table
from gamsearch.study.record import Record

SIZES = ("small", "medium", "large")


def section(record: Record) -> str:
    """Everything about the verification, or nothing if no finalist was chosen."""
    verification = record.verification
    if not verification.finalists:
        return ""
    parts = ["<h2>Verified at full budget</h2>", _small(_note(record)), _missing(verification), _forest(verification)]
    parts += [_table(record), _front_and_agreement(verification), _exploratory(verification), _images(verification)]
    return "".join([*parts, _blocks(record)])


def _small(text: str) -> str:
    """A paragraph of explanation."""
    return f'<p class="note">{formatting.typeset(escape(text))}</p>'


def _note(record: Record) -> str:
    """What was done, and how to read the forest plot."""
    verification = record.verification
    count = len(verification.finalists)
    who = f"The {count} finalists of the search" if count > 1 else "The finalist of the search"
    grown = f"{verification.scale_up.label} without attention" if verification.scale_up else ""
    whom = f"{who}, the baseline and {grown}" if grown else f"{who} and the baseline"
    together = f", Holm-corrected so that all {count} hold together" if count > 1 else ""
    return (
        f"{whom} were trained anew: {verification_rows.conditions(record)}. At each seed all saw the "
        f"same data in the same order, so differences are paired. Bars are 95 % intervals{together}: one that leaves "
        "out zero is a difference that seeds alone do not explain."
    )


def _missing(verification: Verification) -> str:
    """What is still to be trained, as a list."""
    left = verification_rows.missing(verification)
    if not left:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in left)
    return (
        f'<div class="missing"><p><b>Incomplete.</b> Still missing:</p><ul>{items}</ul>'
        "<p>The command at the end of this page goes on where it stopped.</p></div>"
    )


def _forest(verification: Verification) -> str:
    """The forest plot, the noise floor and what growth would have given."""
    shown = verification_figures.entries(verification)
    each = "; ".join(
        f"{verification_rows.name(one)} {verification_rows.spread(one.gain)}, {verification_rows.claim(one.gain)}"
        for one in shown
    )
    text = f"Forest plot of the paired differences in mAP50-95: {each}"
    drawn = chart(verification_figures.forest_figure(verification), "figure-forest", text)
    said = "".join(
        f"<p>{formatting.typeset(escape(words))}</p>"
        for words in (verification.against_growth(), _floor(verification))
        if words
    )
    return f"{drawn}{said}"


def _floor(verification: Verification) -> str:
    """The baseline's spread from seed to seed, in words."""
    floor = verification.noise_floor
    if floor is None:
        return ""
    return (
        f"Noise floor (grey band): from seed to seed the baseline's own mAP50-95 varies with a standard deviation of "
        f"{floor.sd:.4f} (95 % interval {floor.low:.4f} to {floor.high:.4f}, {floor.seeds} seeds). A gain in a single "
        "run says little unless it is several times that."
    )


def _table(record: Record) -> str:
    best = record.verification.best
    marked = best.key if best and best.gain.claim == BETTER else None
    rows = verification_rows.rows(record.verification)
    table = html_table(
        verification_rows.columns(), rows, "Finalists and controls", lambda row: "marked" if row.key == marked else ""
    )
    return table + _small(f"{verification_rows.statistics(record)} {verification_rows.needed()}")


def _front_and_agreement(verification: Verification) -> str:
    """The verified front beside brief against verified gains."""
    front, short = _front(verification), _agreement(verification)
    return f'<div class="split">{front}{short}</div>' if front and "<figure" in short else f"{front}{short}"


def _front(verification: Verification) -> str:
    shown = [one for one in verification_figures.entries(verification) if isfinite(one.latency.mean)]
    each = "; ".join(f"{verification_rows.name(one)} {verification_rows.spread(one.gain)}{one.price}" for one in shown)
    drawn = chart(
        verification_figures.front_figure(verification), "figure-verified", f"Verified mAP50-95 against latency: {each}"
    )
    if not drawn:
        return ""
    growth = " Along the dashed line plain growth buys accuracy with latency." if verification.beyond_growth else ""
    return (
        '<div><h3>Verified front</h3><p class="note">Mean over the seeds against latency. Bars up and down are the '
        f"intervals of the paired differences, so one that leaves out the dotted line is a claim.{growth}</p>"
        f"{drawn}</div>"
    )


def _agreement(verification: Verification) -> str:
    """Whether the brief trainings ranked as the long ones do."""
    found = verification.agreement
    known = sum(isfinite(one.gain.mean + one.search_gain) for one in verification.finalists)
    if found is not None:
        grounds = f"p = {found.p:.2f}, {found.count} finalists"
        said = f"Kendall's tau between brief and verified gains is {found.tau:+.2f} ({grounds})."
    elif known >= 3:
        said = "All gains on one side are equal, so there is no order to compare."
    else:
        said = f"A rank correlation (Kendall's tau) needs three verified finalists; there {_are(known)} so far."
    drawn = chart(
        verification_figures.agreement_figure(verification), "figure-agreement", f"Brief against verified gain. {said}"
    )
    chosen = "Finalists were chosen for their brief gains, so those are flattered by chance."
    return (
        f"<div><h3>Short against long</h3><p>{formatting.typeset(escape(said))}</p>"
        f'<p class="note">{chosen}</p>{drawn}</div>'
    )


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"


def _exploratory(verification: Verification) -> str:
    """Differences per class and per object size, folded away."""
    shown = verification_figures.entries(verification)
    parts = [
        _breakdown("class", list(dict.fromkeys(name for one in shown for name in one.per_class)), shown),
        _breakdown("object size", [size for size in SIZES if any(size in one.per_size for one in shown)], shown),
    ]
    text = "".join(parts)
    if not text:
        return ""
    return (
        "<details><summary>By class and by object size (exploratory)</summary>"
        + _small(
            "Paired differences in mAP50-95 with plain 95 % intervals. Nothing here is corrected for the many "
            "comparisons: among twenty, one leaves out zero by chance."
        )
        + f"{text}</details>"
    )


def _breakdown(what: str, names: Sequence[str], shown: Sequence[Compared]) -> str:
    columns = [Column(what, lambda name: name, numeric=False)]
    columns += [Column(verification_rows.name(one), partial(_part, what, one)) for one in shown]
    known = [name for name in names if any(column.text(name) for column in columns[1:])]
    return html_table(columns, known, f"Difference in mAP50-95 by {what}") if known else ""


def _part(what: str, one: Compared, name: str) -> str:
    found = one.per_class.get(name, {}).get("map50_95") if what == "class" else one.per_size.get(name)
    return verification_rows.spread(found) if found else ""


def _images(verification: Verification) -> str:
    """The bootstrap over validation images, folded away."""
    shown = [one for one in verification.finalists if one.bootstrap]
    if not shown:
        return ""
    first = shown[0].bootstrap
    columns = [
        Column("finalist", verification_rows.name, numeric=False),
        Column("mAP50-95 difference", lambda one: _resampled(one, "map50_95")),
        Column("mAP50 difference", lambda one: _resampled(one, "map50")),
    ]
    caption = (
        f"Paired bootstrap over the validation images, seed {first.get('seed')} alone, {first.get('resamples')} "
        "resamples, 95 %"
    )
    return (
        "<details><summary>How much hangs on the validation images</summary>"
        '<p class="note">The same two trainings, validated on resampled images. This leaves out the noise between '
        f"seeds and says nothing about other trainings.</p>{html_table(columns, shown, caption)}</details>"
    )


def _resampled(one: Compared, metric: str) -> str:
    """E.g. `+0.0101 [-0.0020, +0.0221]`."""
    found = one.bootstrap.get(metric) or {}
    if not {"difference", "low", "high"} <= found.keys():
        return ""
    difference, low, high = (formatting.signed(found[name]) for name in ("difference", "low", "high"))
    return f"{difference} [{low}, {high}]"


def _blocks(record: Record) -> str:
    """The tables for pasting, as they stand in the files beside the page."""
    blocks = [("Markdown", "verdict.md", snippets.markdown(record)), ("LaTeX", "verdict.tex", snippets.latex(record))]
    return "".join(
        f"<details><summary>Table for pasting: {kind} ({name})</summary>"
        f'<pre tabindex="0" aria-label="{name}">{escape(text)}</pre></details>'
        for kind, name, text in blocks
    )
