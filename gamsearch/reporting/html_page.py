"""report.html: one page that needs nothing but itself; everything from the study is escaped."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from types import MappingProxyType
from typing import Any

import pandas as pd
from plotly.offline import get_plotlyjs

from gamsearch.architecture import Architecture
from gamsearch.errors import GamsearchError
from gamsearch.reporting import (
    architecture_svg,
    effects,
    figures,
    formatting,
    plot_data,
    provenance_section,
    theme,
    verification_rows,
    verification_section,
)
from gamsearch.reporting.chart import chart
from gamsearch.reporting.effects import Effect
from gamsearch.reporting.tables import Column, html_table, rows_of, trial_columns
from gamsearch.space.detector import Detector
from gamsearch.study.record import Record

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"


def page(record: Record, manifest: Mapping[str, Any] = MappingProxyType({})) -> str:
    """The whole report; the same record gives the same text. `manifest` tells where the run took place, if known."""
    sections = [verification_section.section, _front, _effects, _best, _curves, _hypervolume, _trials]
    sections.append(partial(provenance_section.section, manifest=manifest))
    body = "\n".join(f"<section>{text}</section>" for text in (section(record) for section in sections) if text)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(record.name)} · gamsearch</title><style>{theme.CSS}</style>"
        f"<script>{get_plotlyjs()}</script></head>\n<body>{_header(record)}\n<main>{body}</main>\n"
        "<footer>Derived from the study in this folder by gamsearch; "
        "<code>python -m gamsearch report</code> rebuilds it.</footer></body></html>\n"
    )


def _header(record: Record) -> str:
    facts = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in _facts(record))
    searched = f"The search alone, in brief training: {record.search_verdict()}" if record.verified else ""
    return (
        f"<header><h1><b>{escape(record.name)}</b> · {escape(record.detector_name)}</h1>"
        f'<p class="verdict">{formatting.typeset(escape(record.verdict()))}</p>'
        f"{f'<p class=note>{formatting.typeset(escape(searched))}</p>' if searched else ''}"
        f'<dl class="facts">{facts}</dl>'
        "<noscript><p>The figures need JavaScript; the tables do not, and pareto.png beside this file shows the front."
        "</p></noscript></header>"
    )


def _facts(record: Record) -> list[tuple[str, str]]:
    """Name and HTML of the few numbers at the top of the page."""
    facts = _verified_facts(record)
    brief = ", brief" if facts else ""
    if record.baseline is not None:
        facts.append(
            (f"Baseline mAP50-95{brief}", formatting.plain(record.baseline["map50_95"], 4) + _small("trial 0"))
        )
    if not record.candidates.empty:
        top = record.candidates.iloc[0]
        facts.append(
            (f"Best gain{brief}", formatting.typeset(formatting.signed(top["map50_95_gain"])) + _small(top["label"]))
        )
    noise = record.noise
    text = f"± {noise.half_width():.4f}" + _small(f"95 %, {noise.seeds} seeds") if noise else "not measured"
    facts.append((f"Noise of one difference{brief}", text))
    confirmed = record.confirmation
    if confirmed is not None:
        again = formatting.typeset(f"{formatting.signed(confirmed.mean)} ± {confirmed.half_width:.4f}")
        facts.append(("Same, at other seeds", again + _small(f"95 %, {len(confirmed.gains)} paired seeds")))
    total, spent = len(record.trials), record.trials["seconds"].sum()
    facts.append(("Trials", f"{total}" + _small(record.tally())))
    if spent > 0:
        facts.append(("Time in trials", formatting.duration(spent)))
    return facts


def _verified_facts(record: Record) -> list[tuple[str, str]]:
    """The baseline and the best finalist at full budget, if they can be judged."""
    best = record.verification.best
    if best is None:
        return []
    baseline = verification_rows.rows(record.verification)[0]
    gain = formatting.typeset(verification_rows.spread(best.gain))
    return [
        (
            "Baseline mAP50-95, verified",
            formatting.plain(baseline.map50_95.mean, 4) + _small(f"{baseline.seeds} seeds"),
        ),
        ("Best gain, verified", gain + _small(f"{verification_rows.name(best)}{best.price}")),
    ]


def _small(text: str) -> str:
    return f"<small>{escape(text)}</small>"


def _front(record: Record) -> str:
    """The Pareto front as a figure and a table, or why there is none."""
    head = "<h2>Pareto front</h2>"
    if plot_data.plotted(record).empty:
        return f'{head}<p class="note">No trial has been completed, so there is no front to draw.</p>'
    columns = [c for c in trial_columns(record) if c.title not in ("epochs", "time")]
    table = html_table(columns, rows_of(record.front), "Members of the front, best first objective first")
    drawn = chart(figures.pareto_figure(record), "figure-pareto", _front_text(record))
    return f'{head}<p class="note">{escape(_front_note(record))}</p>{drawn}{table}'


def _front_text(record: Record) -> str:
    """What the figure shows, for who does not see it."""
    return f"Pareto front: {len(record.front)} of {len(record.complete)} trials, listed in the table below"


def _front_note(record: Record) -> str:
    """How to read the Pareto figure."""
    words = ["Each point is one architecture after its brief training; the star is the baseline."]
    if len(record.objectives) > 1:
        words.append("Along the blue line nothing is better in one objective without being worse in the other.")
    noise = record.noise
    if noise and plot_data.noise_band(record):
        words.append(
            f"Within the grey band (± {noise.half_width():.4f}, 95 %, {noise.seeds} baseline seeds, sd {noise.sd:.4f}) "
            "a single run cannot be told from the baseline; runs are taken as independent, which is cautious for "
            "pairs with the same seed."
        )
        count = len(record.candidates)
        if count > 1 and record.confirmation is None:
            words.append(f"To be the best of {count} beyond chance takes {noise.half_width(count):.4f} (Bonferroni).")
    elif record.noise is None:
        words.append("The noise was not measured, so small differences may be chance.")
    return " ".join([*words, plot_data.size_note(record.objectives)]).strip()


def _effects(record: Record) -> str:
    """What each site and each rate does, as figures and tables."""
    sites, rates = effects.site_effects(record), effects.rate_effects(record)
    if not sites:
        return ""
    detector, span = _detector(record), effects.span([*sites, *rates])
    parts = [
        "<h2>Where attention helps</h2>",
        '<p class="note">Effect of a placement on mAP50-95 in a linear model of all completed trials, with single 95 % '
        "intervals. Hollow dots are plain differences of means where there are too few trials for an interval. "
        "Brackets count the trials; interactions are not modelled.</p>",
        '<div class="split">',
        _effect_block("Site", sites, span, lambda site: _site_name(site, detector)),
        _effect_block("Rate", rates, span, effects.rate_name),
        "</div>",
    ]
    return "".join(parts)


def _effect_block(
    title: str, found: Sequence[Effect], span: tuple[float, float], readable: Callable[[Any], str]
) -> str:
    columns = [
        Column(title.lower(), lambda e: readable(e.level), numeric=False),
        Column("n", lambda e: f"{e.count}"),
        Column("mean with", lambda e: formatting.signed(e.mean_with)),
        Column("without", lambda e: formatting.signed(e.mean_without)),
        Column("effect", lambda e: formatting.signed(e.effect)),
        Column("±", lambda e: formatting.plain(e.half_width, 4)),
    ]
    table = html_table(columns, found, f"Gain in mAP50-95 by {title.lower()}; n counts the trials with it")
    drawn = chart(
        figures.effects_figure(found, readable, span), f"figure-{title.lower()}", f"Effect of each {title.lower()}"
    )
    return f"<div><h3>{title}</h3>{drawn}<details><summary>Numbers</summary>{table}</details></div>"


def _site_name(site: int, detector: Detector | None) -> str:
    """`4 · backbone P3`, or the number alone where the detector is not known."""
    if detector is None or not 0 <= site < len(detector.rows):
        return f"{site}"
    row = detector.rows[site]
    return f"{site} · {row.part} {architecture_svg.level(row.stride)}"


def _detector(record: Record) -> Detector | None:
    """The stock detector, or None if the record's YAML cannot be read; the rest of the report does not need it."""
    try:
        return Detector.from_yaml(record.detector_name, record.detector_yaml)
    except GamsearchError:
        return None


def _best(record: Record) -> str:
    """The drawing of the best architecture and what is placed where."""
    found, detector = _winner(record), _detector(record)
    if found is None or detector is None:
        return ""
    form, number, what, why = found
    try:
        architecture = Architecture.from_dict(form)
        picture, lines = (
            architecture_svg.drawing(detector, architecture),
            architecture_svg.descriptions(detector, architecture),
        )
    except (GamsearchError, KeyError):
        return ""
    what = "the baseline itself: no attention" if architecture.is_baseline else what
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    export = f"python -m gamsearch export {provenance_section.place(record)} --trial {number}"
    return (
        f"<h2>The best architecture</h2><p>{formatting.typeset(escape(why))}: trial {number}, "
        f"{escape(what)}.</p>{f'<ul>{items}</ul>' if items else ''}"
        f'<div class="scroll" tabindex="0" role="region" aria-label="Drawing of the architecture">{picture}</div>'
        f'<p class="note">Stock rows keep their numbers; the number at the right is the width in channels. '
        f"To take it away: <code>{escape(export)}</code></p>"
    )


def _winner(record: Record) -> tuple[Mapping[str, Any], int | None, str, str] | None:
    """Architecture, trial, label of the best, and by what it is: the verification's judgement, else the search's."""
    chosen, best = record.verification.best, record.best
    if chosen is not None:
        gain, claim = verification_rows.spread(chosen.gain), verification_rows.claim(chosen.gain)
        why = f"Largest verified gain in mAP50-95 ({gain}, {claim})"
        return chosen.architecture, chosen.number, chosen.label, why
    if best is None:
        return None
    why = f"Best {formatting.title(record.objectives[0])} on the front"
    return best["architecture"], best["number"], best["label"], why


def _curves(record: Record) -> str:
    drawn = chart(figures.curves_figure(record), "figure-curves", "Learning curves")
    if not drawn:
        return ""
    return (
        '<h2>Learning curves</h2><p class="note">mAP50-95 after each epoch of the brief training, and its '
        f"difference to the baseline at the same epoch and seed. Members of the front are coloured.</p>{drawn}"
    )


def _hypervolume(record: Record) -> str:
    drawn = chart(figures.hypervolume_figure(record), "figure-hypervolume", "Hypervolume over trials")
    if not drawn or record.reference_point is None:
        return ""
    corner = ", ".join(
        f"{formatting.heading(m)} {formatting.value(m, v)}"
        for m, v in zip(record.objectives, record.reference_point, strict=True)
    )
    return (
        '<h2>Hypervolume</h2><p class="note">How much of the objective space the trials so far dominate, measured from '
        f"the reference point {escape(corner)}, which was fixed when the study began. A flat end means that more "
        f"trials found nothing new.</p>{drawn}"
    )


def _trials(record: Record) -> str:
    if record.trials.empty:
        return ""
    rows, pieces = rows_of(record.shown), len(record.trials) - len(record.shown)
    joined = f" ({pieces} pieces of trainings that were paused and went on are joined)" if pieces else ""
    caption = f"All {len(record.trials)} trials in order{joined}; the front is bold"
    said = "".join(
        f"<p>{escape(text)}</p>" for text in (record.transfer(), record.economy(), record.prediction_error()) if text
    )
    return "<h2>All trials</h2>" + said + html_table(trial_columns(record), rows, caption, _kind)


def _kind(trial: pd.Series) -> str:
    """Class of a trial's row: on the front, or not evaluated by itself."""
    if trial["on_front"]:
        return "marked"
    return "faint" if trial["state"] != "complete" or pd.notna(trial["recalled_from"]) else ""
