"""The section of the page on what attention does in each finalist: where its gate acts, and which classes gain."""

from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from math import isfinite
from typing import Any

from gamsearch.analysis.gate_maps import amount
from gamsearch.analysis.prediction_comparison import FILE
from gamsearch.analysis.significance import Estimate
from gamsearch.errors import plural
from gamsearch.reporting import formatting, gate_pictures, verification_rows
from gamsearch.reporting.tables import Column, html_table
from gamsearch.study.record import Record

HEAD = "<h2>What attention does in the finalists</h2>"
MOST_FINALISTS, MOST_PLACEMENTS, MOST_CLASSES, MOST_NAMED = 3, 12, 40, 3
"""What a page shows of a file that may come from anywhere; and the classes named at either end."""
MOVED = ((0.01, "has hardly moved"), (0.1, "has moved a little"), (0.5, "has moved clearly"), (1.0, "has moved far"))
"""Words for the distance from the identity, by the distance below which they hold."""
SAME = 5e-6
"""A change that rounding explains."""
ALIKE = 0.05
"""A difference between objects and elsewhere, as a share, that is not worth naming."""
MOSTLY = 0.5
"""The share of a change from which it counts as mostly explained."""


def section(record: Record, content: Mapping[str, Any]) -> str:
    """Pictures, distances and one sentence per placement; empty if the run kept none.

    Args:
        record: The run.
        content: What `predictions_section.read` returned.

    Returns:
        The HTML.
    """
    if not content.get("finalists"):
        return ""
    try:
        shown = content["finalists"][:MOST_FINALISTS]
        gains = [_verified_gains(record, one) for one in shown]
        metric = record.task.primary_title
        parts = [_finalist(content, one, text, metric) for one, text in zip(shown, gains, strict=True)]
        notes = [_how(content), _intervals(record, shown, gains)]
        return HEAD + "".join(map(_note, notes)) + "".join(parts)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError):
        return f"{HEAD}{_note(f'What {FILE} in the folder of the run says of the finalists is damaged: not shown.')}"


def _note(text: str) -> str:
    return f'<p class="note">{formatting.typeset(escape(text))}</p>'


def _how(content: Mapping[str, Any]) -> str:
    return (
        "A module receives a map x and returns y. The colour is its change at each position, |y − x| / |x| over the "
        "channels; without colour it returns what it receives. The first picture is the mean over all "
        f"{int(content['images'])} validation images, the others are the first images of the section above. They show "
        "what one training made of a module, not that it helps: that is for the interval of its gain to say."
    )


def _intervals(record: Record, shown: Sequence[Mapping[str, Any]], gains: Sequence[str]) -> str:
    """What the gains by class and size can be trusted for."""
    words = []
    if any(gains):
        words.append(
            "Intervals of classes and sizes are 95 %, not corrected: about one in twenty excludes zero by chance."
        )
    if not all(gains):
        words.append("Gains by class and size without an interval are of one training each and may not repeat.")
        if record.noise is not None and not any(one["verified"] for one in shown):
            words.append(
                f"Even the mean over the classes is uncertain by ± {record.noise.half_width():.4f} "
                f"({record.noise.basis}), single classes by more."
            )
    return " ".join(words)


def _finalist(content: Mapping[str, Any], one: Mapping[str, Any], gains: str, metric: str) -> str:
    """One finalist: what gains, then each of its placements."""
    placements = one["placements"][:MOST_PLACEMENTS]
    each = "".join(
        f"<p>{formatting.typeset(escape(sentence(form)))}</p>{gate_pictures.row(content, form)}" for form in placements
    )
    return (
        f"<h3>{escape(str(one['label']))}</h3><p>{formatting.typeset(escape(gains or _gains(one, metric)))}</p>{each}"
        f"<details><summary>Numbers</summary>{_table(placements)}{'' if gains else _gains_table(one, metric)}</details>"
    )


# which classes and sizes gain ----------------------------------------------------------------------------------------
def _verified_gains(record: Record, one: Mapping[str, Any]) -> str:
    """By class and size over the seeds of the verification; empty without intervals."""
    compared = next((each for each in record.verification.finalists if each.key == one["key"]), None)
    if compared is None or not one["verified"]:
        return ""
    primary, metric = record.task.primary, record.task.primary_title
    by_class = {name: found[primary] for name, found in compared.per_class.items() if primary in found}
    texts = [
        {name: verification_rows.spread(found) for name, found in _ranked(estimates) if isfinite(found.half_width)}
        for estimates in (by_class, compared.per_size)
    ]
    if not any(texts):
        return ""
    seeds = plural(compared.gain.count, "seed")
    return f"Change in {metric} over {seeds}: {verification_rows.spread(compared.gain)}. {_by_class_and_size(texts)}"


def _ranked(estimates: Mapping[str, Estimate]) -> list[tuple[str, Estimate]]:
    return sorted(estimates.items(), key=lambda pair: -pair[1].mean)


def _gains(one: Mapping[str, Any], metric: str) -> str:
    """By class and size of the one training that was kept."""
    found = []
    for name in ("per_class", "per_size"):
        gains = {str(key): float(value[1]) - float(value[0]) for key, value in one[name].items()}
        found.append({key: gains[key] for key in sorted(gains, key=lambda key: -gains[key])})
    total = formatting.signed(sum(found[0].values()) / max(1, len(found[0])))
    texts = [{key: formatting.signed(gain) for key, gain in gains.items()} for gains in found]
    return f"Change in {metric} in one training (seed {int(one['seed'])}): {total}. {_by_class_and_size(texts)}"


def _by_class_and_size(texts: Sequence[Mapping[str, str]]) -> str:
    named = zip(("By class", "By object size"), texts, strict=True)
    return " ".join(f"{what}: {_ends(found)}." for what, found in named if found)


def _ends(texts: Mapping[str, str]) -> str:
    """All of them, from the largest, or those at both ends where there are many."""
    names = list(texts)
    hidden = len(names) - 2 * MOST_NAMED
    if hidden <= 1:
        return ", ".join(f"{name} {texts[name]}" for name in names)
    first, last = (
        ", ".join(f"{name} {texts[name]}" for name in part) for part in (names[:MOST_NAMED], names[-MOST_NAMED:])
    )
    return f"{first}; {hidden} others between; {last}"


def _gains_table(one: Mapping[str, Any], metric: str) -> str:
    known = [*list(one["per_class"].items())[:MOST_CLASSES], *one["per_size"].items()]
    rows = [(str(name), *map(float, value)) for name, value in known]
    columns = [
        Column("class or size", lambda row: row[0], numeric=False),
        Column(f"{metric} baseline", lambda row: formatting.plain(row[1], 4)),
        Column(f"{metric} {one['label']}", lambda row: formatting.plain(row[2], 4)),
        Column("difference", lambda row: formatting.signed(row[2] - row[1])),
    ]
    what = "class and object size" if one["per_size"] else "class"
    return html_table(columns, rows, f"{metric} by {what}, one training each, seed {int(one['seed'])}")


# what each placement does --------------------------------------------------------------------------------------------
def sentence(form: Mapping[str, Any]) -> str:
    """How far a placement moved from the identity, by which factors, and whether more at objects.

    Args:
        form: What the run kept of it.

    Returns:
        The sentence.
    """
    distance, label = _number(form["distance"]), str(form["label"])
    if distance < SAME:
        return f"{label} is still the identity: it returns what it receives."
    words = next((text for limit, text in MOVED if distance < limit), "")
    moved = f"{words} from the identity: it changes its map by" if words else "drowns its map by a change of"
    low, high = (amount(_number(value)) for value in form["range"])
    at = _at_objects(form["objects"])
    return (
        f"{label} {moved} {amount(distance)} (from {low} to {high} in 90 % of the images), "
        f"{_character(form)}{f'; {at}' if at else ''}."
    )


def _number(value: Any) -> float:
    found = float(value)
    if not isfinite(found):
        raise ValueError
    return found


def _character(form: Mapping[str, Any]) -> str:
    """By which factors a placement changes its map: one, one per channel, one per position."""
    whole, channel, position = (_number(share) for share in form["shares"])
    factor = _number(form["factor"])
    left = 1 - whole
    if left < 0.1:
        return f"almost only by one factor for the whole map ({factor:.2f}), which the next layer can absorb"
    by_channel, by_position = (channel - whole) / left, (position - whole) / left
    first = f"in part by one factor for the whole map ({factor:.2f}), otherwise " if whole >= MOSTLY else ""
    if max(by_channel, by_position) < MOSTLY:
        return f"{first}not by factors of whole channels or positions"
    if abs(by_channel - by_position) < 0.1:
        return f"{first}by channel as much as by position"
    return f"{first}mostly by {'channel' if by_channel > by_position else 'position'}"


def _at_objects(found: Sequence[Any] | None) -> str:
    if found is None:
        return ""
    ratio, low, high = (_number(value) for value in found)
    interval = f"95 % over the images: {low:.2f} to {high:.2f}"
    if low <= 1 <= high or abs(ratio - 1) < ALIKE:
        return f"at labelled objects about as much as elsewhere ({ratio:.2f} times, {interval})"
    return f"at labelled objects {ratio:.2f} times as much as elsewhere ({interval})"


def _table(placements: Sequence[Mapping[str, Any]]) -> str:
    columns = [
        Column("placement", lambda form: str(form["label"]), numeric=False),
        Column("change", lambda form: amount(_number(form["distance"]))),
        Column("factor", lambda form: formatting.plain(_number(form["factor"]), 3)),
        *(
            Column(title, partial(_share, place))
            for place, title in enumerate(("by one factor", "by channel", "by position"))
        ),
        Column("at objects", lambda form: f"{_number(form['objects'][0]):.2f}×" if form["objects"] else ""),
    ]
    caption = "Shares of the squared change that such factors alone explain; they overlap"
    return html_table(columns, placements, caption)


def _share(place: int, form: Mapping[str, Any]) -> str:
    return f"{100 * _number(form['shares'][place]):.0f} %"
