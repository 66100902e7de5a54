"""A plotly figure as a piece of the page, with its text alternative."""

from html import escape

import plotly.graph_objects as go

CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "modeBarButtons": [["zoom2d", "resetScale2d", "toImage"]],
}
ZOOMABLE = ("figure-pareto", "figure-curves")


def chart(figure: go.Figure | None, name: str, text: str) -> str:
    """One figure with its text alternative, drawn by the script that is already in the page; nothing for None."""
    if figure is None:
        return ""
    config = CONFIG | {"displayModeBar": "hover" if name in ZOOMABLE else False}
    drawn = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=config)
    return f'<figure role="group" aria-label="{escape(text)}">{drawn}</figure>'
