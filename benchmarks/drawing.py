"""The plot of the search benchmark as PNG and HTML: hypervolume found over epochs, one curve per arm."""

import warnings
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from truth import at, quartiles

from gamsearch.reporting import theme
from gamsearch.reporting.pareto_png import frame

X_TITLE = "epochs spent on candidates"
Y_TITLE = "hypervolume found (0 baseline only, 1 the whole front)"
LINES = {"solid": "-", "dash": "--", "dot": ":"}
Band = tuple[list[float], list[float], list[float]]


def draw(runs: list[dict[str, Any]], title: str, path: Path) -> None:
    """Write `path`.png and `path`.html: medians over seeds, with bands between the quartiles."""
    epochs = [int(e) for e in np.linspace(0, max(run["found"][-1][0] for run in runs), 400)]
    bands = {arm: band(runs, arm, epochs) for arm in dict.fromkeys(run["arm"] for run in runs)}
    _write_png(bands, epochs, title, path.with_suffix(".png"))
    _write_html(bands, epochs, title, path.with_suffix(".html"))


def band(runs: list[dict[str, Any]], arm: str, epochs: list[int]) -> Band:
    """Lower quartile, median and upper quartile, over seeds, of the share found after each of `epochs`."""
    traces = [run["found"] for run in runs if run["arm"] == arm]
    low, middle, high = zip(*(quartiles([at(trace, e) for trace in traces]) for e in epochs), strict=True)
    return list(low), list(middle), list(high)


def _write_png(bands: dict[str, Band], epochs: list[int], title: str, path: Path) -> None:
    """Write 1600 x 1000 pixels."""
    with matplotlib.rc_context({"font.family": "sans-serif", "font.size": 10}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(10, 6.25), dpi=160, facecolor=theme.PAPER)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.075, 0.1, 0.9, 0.74))
        figure.text(0.03, 0.955, title, fontsize=13, fontweight="bold", color=theme.INK, va="center")
        for index, (arm, (low, middle, high)) in enumerate(bands.items()):
            color, dash = theme.series(index)
            pen: dict[str, Any] = {
                "color": color,
                "linestyle": LINES[dash],
                "linewidth": 1.8,
                "drawstyle": "steps-post",
            }
            axes.plot(epochs, middle, label=arm, **pen)
            axes.fill_between(epochs, low, high, color=color, alpha=0.07, linewidth=0, step="post")
        _finish(axes)
        figure.savefig(path, metadata={"Software": None})


def _finish(axes: Axes) -> None:
    """The look of the report, and the legend in one line below the title."""
    axes.set(xlabel=X_TITLE, ylabel=Y_TITLE, ylim=(0, 1.02))
    axes.margins(x=0)
    frame(axes)
    look: dict[str, Any] = {"frameon": False, "fontsize": 8.5, "labelcolor": theme.INK, "columnspacing": 1.2}
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=9, handlelength=1.8, handletextpad=0.4, **look)


def _write_html(bands: dict[str, Band], epochs: list[int], title: str, path: Path) -> None:
    """Write the interactive version; the legend toggles a curve together with its band."""
    figure = go.Figure()
    for index, (arm, (low, middle, high)) in enumerate(bands.items()):
        color, dash = theme.series(index)
        pen = {"color": color, "dash": dash, "width": 2, "shape": "hv"}
        context = {"x": [*epochs, *epochs[::-1]], "y": [*high, *low[::-1]], "fill": "toself", "fillcolor": color}
        quiet: dict[str, Any] = {"opacity": 0.08, "hoverinfo": "skip", "showlegend": False, "mode": "none"}
        figure.add_scatter(**context, **quiet, legendgroup=arm)
        figure.add_scatter(x=epochs, y=middle, mode="lines", line=pen, name=arm, legendgroup=arm)
    figure.update_layout(template="none", title=title, height=560, hovermode="x unified", font={"color": theme.INK})
    figure.update_xaxes(title=X_TITLE, showgrid=False, color=theme.MUTED)
    figure.update_yaxes(title=Y_TITLE, gridcolor=theme.HAIRLINE, color=theme.MUTED, range=[0, 1.02])
    path.write_text(figure.to_html(include_plotlyjs="cdn"), encoding="utf-8")
