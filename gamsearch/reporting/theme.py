"""The look of every page and figure: colours, the base of a plotly figure, the style sheet, and the HTML document."""

import html
from functools import partial
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

INK = "#1d2329"
MUTED = "#5d6772"
HAIRLINE = "#e3e7eb"
FAINT = "#d5dade"
REST = "#a9b1ba"
PAPER = "#ffffff"

BASELINE = "#000000"
FRONT = "#0072B2"
ATTENTION = "#E69F00"
BAND = "#e8ecf0"
WORSE = "#D55E00"
CONTROL = "#009E73"

SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that remain distinct with any type of colour vision (Okabe and Ito, 2008)."""
DASHES = ("solid", "dash", "dot")
FONT = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'

CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "modeBarButtons": [["zoom2d", "resetScale2d", "toImage"]],
}
ZOOMABLE = ("figure-pareto", "figure-curves", "figure-fronts", "figure-precision")
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

escape = partial(html.escape, quote=False)  # plotly decodes &lt; &gt; &amp; but displays &quot; verbatim


def series(index: int) -> tuple[str, str]:
    """Colour and dash of the `index`-th curve; a colour repeats only with another dash."""
    return SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)]


def base_figure(height: int, x_title: str, y_title: str, figure: go.Figure | None = None) -> go.Figure:
    """A plain figure: hairline grid, muted axes, legend on top, no accidental zooming on a phone."""
    figure = figure or go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        autosize=True,
        margin={"l": 64, "r": 16, "t": 16, "b": 56},
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemclick": False},
        hoverlabel={"bgcolor": PAPER, "bordercolor": MUTED, "align": "left", "font": {"size": 13}},
        dragmode=False,
        hovermode="closest",
    )
    axis = {"gridcolor": HAIRLINE, "linecolor": MUTED, "zeroline": False, "automargin": True}
    label = {"color": MUTED, "size": 13}
    figure.update_xaxes(**axis, title={"text": escape(x_title), "font": label}, showgrid=False, ticks="outside")
    figure.update_yaxes(**axis, title={"text": escape(y_title), "font": label, "standoff": 16}, showline=False)
    figure.update_xaxes(tickcolor=MUTED, tickfont={"color": MUTED})
    figure.update_yaxes(tickfont={"color": MUTED}, ticklabelstandoff=6)
    return figure


def chart(figure: go.Figure | None, name: str, text: str) -> str:
    """A figure as HTML with `text` as its alternative text; empty for None. The page already holds plotly.js."""
    if figure is None:
        return ""
    config: dict[str, Any] = CONFIG | {"displayModeBar": "hover" if name in ZOOMABLE else False}
    plot = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=config)
    return f'<figure role="group" aria-label="{html.escape(text)}">{plot}</figure>'


def document(title: str, header: str, sections: list[str], footer: str) -> str:
    """A self-contained HTML page that loads nothing; empty sections are left out.

    Args:
        title: Title of the window; escaped here.
        header: HTML of the `<header>`.
        sections: HTML of each section.
        footer: HTML of the footer.

    Returns:
        The page, plotly.js and the style sheet included.
    """
    body = "\n".join(f"<section>{text}</section>" for text in sections if text)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{CSS}</style>"
        f"<script>{get_plotlyjs()}</script></head>\n<body><header>{header}</header>\n<main>{body}</main>\n"
        f"<footer>{footer}</footer></body></html>\n"
    )


VARIABLES = f"""
:root {{ color-scheme: light; --ink: {INK}; --muted: {MUTED}; --line: {HAIRLINE}; --accent: {FRONT}; --tint: #f6f7f8;
  --font: {FONT}; }}
"""
CSS = (
    VARIABLES
    + """* { box-sizing: border-box; }
html { overflow-y: scroll; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: #fff; color: var(--ink); line-height: 1.6; font-size: 1rem; font-family: var(--font); }
main, header, footer { max-width: 66rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 4.5rem; }
h1, h2, h3 { line-height: 1.2; font-weight: 600; letter-spacing: -0.012em; overflow-wrap: anywhere; }
h1 { font-size: 1rem; font-weight: 500; letter-spacing: 0; color: var(--muted); margin: 0 0 1.25rem; }
h1 b { color: var(--ink); font-weight: 600; }
h2 { font-size: 1.5rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 2.25rem 0 .25rem; }
.verdict { font-size: clamp(1.35rem, 1.05rem + 1.5vw, 2rem); line-height: 1.32; letter-spacing: -0.015em;
  margin: 0; max-width: 46rem; text-wrap: pretty; overflow-wrap: anywhere; }
.verdict + .note { margin-top: 1rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0 2rem;
  margin: 3rem 0 0; padding: 1.5rem 0 0; border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.facts > div { display: grid; grid-row: span 2; grid-template-rows: subgrid; padding-bottom: 1.5rem; }
.facts dt { align-self: end; color: var(--muted); font-size: .85rem; }
.facts dd { margin: .1rem 0 0; font-size: 1.4rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.facts dd small { display: block; color: var(--muted); font-size: .85rem; line-height: 1.4; margin-top: .2rem; }
section { margin: 4.5rem 0 0; }
p { max-width: 44rem; margin: .5rem 0; }
.note { color: var(--muted); font-size: .95rem; }
figure { margin: 1.25rem 0 0; }
.split { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 2.5rem; }
.split > * { min-width: 0; }
.scroll { overflow-x: auto; margin: 1.5rem 0 0; }
.scroll:focus-visible, pre:focus-visible, summary:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 4px; }
.missing { border-left: 3px solid var(--line); padding: .1rem 0 .1rem 1rem; margin: 1rem 0; }
.missing ul { margin: .25rem 0; }
.split > div > figure { margin-top: .75rem; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; line-height: 1.4;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); padding: 0 0 .5rem; font-size: .875rem; }
th, td { text-align: left; padding: .5rem .9rem .5rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
th { font-weight: 500; color: var(--muted); border-bottom-color: #b9c1c9; vertical-align: bottom; }
th.number, td.number { text-align: right; }
td.text { white-space: normal; min-width: 11rem; overflow-wrap: anywhere; }
th:last-child, td:last-child { padding-right: 0; }
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: center; margin: 1.25rem 0 0;
  font-size: .9rem; }
.controls[hidden] { display: none; }
.controls input, .controls select { font: inherit; color: inherit; padding: .35rem .5rem; max-width: 100%;
  border: 1px solid #8a949e; border-radius: .3rem; background: #fff; }
.controls output { color: var(--muted); }
th button { all: unset; cursor: pointer; padding: .25rem 0; }
th button::after { content: "\\2195"; opacity: .55; padding-left: .25em; }
th[aria-sort] button { color: var(--ink); }
th[aria-sort="ascending"] button::after { content: "\\2191"; opacity: 1; }
th[aria-sort="descending"] button::after { content: "\\2193"; opacity: 1; }
th button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.settings th:first-child { width: 16rem; }
tr.marked td { font-weight: 600; }
tr.faint td { color: var(--muted); }
.drawing { display: block; height: auto; min-width: 660px; max-width: 100%; margin: 0 auto; }
.drawing text { font-size: 13px; fill: var(--ink); font-family: inherit; }
.drawing .small, .drawing .index { font-size: 11px; fill: var(--muted); }
.drawing .channels { text-anchor: end; font-size: 11px; fill: var(--muted); font-variant-numeric: tabular-nums; }
.drawing .level { font-weight: 600; }
.drawing .heading { text-anchor: middle; fill: var(--muted); }
.drawing .attention { font-weight: 700; fill: var(--ink); }
.pairs { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 2.5rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .25rem .5rem; align-items: start; }
.pair figcaption { grid-column: 1 / -1; font-size: .85rem; overflow-wrap: anywhere; }
.pair small { display: block; color: var(--muted); font-size: .8rem; line-height: 1.35; overflow-wrap: anywhere; }
.predictions { display: block; width: 100%; height: auto; }
.predictions rect { fill: none; vector-effect: non-scaling-stroke; pointer-events: all; }
.predictions .shared { stroke: #fff; stroke-width: 1; opacity: .75; }
.predictions .right { stroke: var(--accent); stroke-width: 2.5; }
.predictions .wrong { stroke: #D55E00; stroke-width: 2.5; stroke-dasharray: 6 3; }
.gates { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: .75rem 1rem; margin: .75rem 0 2rem; }
.gates small { display: block; color: var(--muted); font-size: .8rem; line-height: 1.35; overflow-wrap: anywhere;
  margin-top: .25rem; }
.gate { display: block; width: 100%; height: auto; outline: 1px solid var(--line); }
.gate use { filter: grayscale(1); }
pre { background: var(--tint); padding: 1rem 1.1rem; border-radius: .4rem; overflow-x: auto; font-size: .875rem;
  line-height: 1.5; margin: 1rem 0; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
pre > code { white-space: pre-wrap; overflow-wrap: anywhere; }
p code { background: var(--tint); padding: .1em .3em; border-radius: .25em; font-size: .9em; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--muted); font-size: .9rem; }
details { margin: .75rem 0 0; }
footer { margin-top: 5rem; padding-bottom: 3rem; color: var(--muted); font-size: .85rem; }
@media (max-width: 40rem) {
  main, header, footer { padding-left: 1.1rem; padding-right: 1.1rem; }
  header { padding-top: 2.25rem; }
  .split, .pairs { grid-template-columns: minmax(0, 1fr); }
  .gates { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .facts { grid-template-columns: 1fr 1fr; gap: 0 1rem; margin-top: 2rem; }
  .facts dd { font-size: 1.15rem; }
  section { margin-top: 3.25rem; }
  td.text { min-width: 8rem; }
}
@media print {
  @page { margin: 16mm; }
  body { font-size: 10pt; }
  main, header, footer { max-width: none; padding: 0; }
  header { padding-top: 0; }
  section { margin-top: 2.5rem; }
  h2, h3, caption { break-after: avoid; }
  figure, tr, .facts { break-inside: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 7.5pt; }
  th, td.text { white-space: normal; }
  th, td { padding-right: .5rem; }
  p { break-inside: avoid; break-after: avoid; }
  .modebar, .controls { display: none; }
  .drawing { min-width: 0; width: 100%; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
}
"""
)
