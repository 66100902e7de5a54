"""The section of the page on predictions: both detectors side by side on validation images, and their curves."""

import base64
from collections.abc import Mapping
from functools import partial
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from gamsearch.analysis.prediction_comparison import FILE, RECALLS
from gamsearch.errors import plural
from gamsearch.files import UnreadableError, read_json, read_regular
from gamsearch.reporting import formatting, theme
from gamsearch.reporting.tables import Column, html_table
from gamsearch.study.record import Record
from gamsearch.tasks import Task

MOST_BYTES, MOST_IMAGES, MOST_CLASSES = 120_000, 8, 40
"""Of a copy of an image; of images; and rows of the table of classes: the page stays small."""
HEAD = "<h2>Predictions, baseline and best candidate</h2>"


def read(folder: Path) -> dict[str, Any]:
    """What a run kept for this section, with the images as data URLs; empty if there is nothing that can be used.

    Args:
        folder: The run's folder.

    Returns:
        The content of `report/predictions.json`; each entry of `shown` has its image under `source`.
    """
    try:
        content: dict[str, Any] = read_json(folder / FILE)
        for one in content["shown"][:MOST_IMAGES]:
            data = read_regular((folder / FILE).parent / Path(str(one["file"])).name, MOST_BYTES)
            if not data.startswith(b"\xff\xd8"):
                raise ValueError
            one["source"] = "data:image/jpeg;base64," + base64.b64encode(data).decode()
        return content
    except (UnreadableError, OSError, ValueError, KeyError, TypeError):
        return {}


def section(record: Record, content: Mapping[str, Any]) -> str:
    """The pictures, the curves and the table by class, or one sentence on why they are missing.

    Args:
        record: The run.
        content: What `read` returned.

    Returns:
        The HTML; empty while no candidate has been completed, and for classification, which finds no objects.
    """
    if not content:
        none = record.candidates.empty or record.task.name == "classify"
        return "" if none else f'{HEAD}<p class="note">{_why_missing(record)}</p>'
    try:
        return HEAD + _note(content) + _pictures(content) + _curves(content, record.task)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError):
        return f'{HEAD}<p class="note">{escape(FILE)} in the run\'s folder is damaged, so no predictions are shown.</p>'


def _why_missing(record: Record) -> str:
    if record.settings.get("evaluator") == "replay":
        return "This run replayed a table and trained nothing, so there are no predictions to compare."
    return (
        "The predictions were not kept with this record: they are compared when a search or a verification ends, which "
        "takes its weights and its data."
    )


def _note(content: Mapping[str, Any]) -> str:
    trained = "at full budget" if content["verified"] else "in the short training"
    limits = [float(one["threshold"]) for one in content["curves"]]
    differing = sum(bool(box[-1]) for one in content["shown"] for side in one["boxes"] for box in side)
    text = (
        f"Both were trained {trained} with seed {int(content['seed'])} and ran on all {int(content['images'])} "
        f"validation images. Shown are those on which {content['label']} differs most from the baseline in right "
        "minus wrong boxes, upwards and downwards in turn, so they are not typical. Boxes have at least the confidence "
        f"of the best F1 ({limits[0]:.2f} and {limits[1]:.2f}). White boxes are predicted by both; {differing} have "
        "no counterpart in the other model (same class, IoU 0.50): blue if they match a label, dashed orange if not."
    )
    return f'<p class="note">{formatting.typeset(escape(text))}</p>'


def _pictures(content: Mapping[str, Any]) -> str:
    """A row per image: its copy once as an image, and used again under the second model's boxes."""
    rows = []
    for number, one in enumerate(content["shown"][:MOST_IMAGES]):
        width, height = (int(v) for v in one["size"])
        copy = f'<image id="validation-{number}" href="{one["source"]}" width="{width}" height="{height}"/>'
        again = f'<use href="#validation-{number}"/>'
        drawn = [
            _drawing(content, one, side, picture, name)
            for side, (picture, name) in enumerate([(copy, "baseline"), (again, str(content["label"]))])
        ]
        caption = f"{one['name']}, {plural(int(one['objects']), 'labelled object')}"
        rows.append(f'<figure class="pair"><figcaption>{escape(caption)}</figcaption>{"".join(drawn)}</figure>')
    return f'<div class="pairs">{"".join(rows)}</div>'


def _drawing(content: Mapping[str, Any], one: Mapping[str, Any], side: int, picture: str, name: str) -> str:
    width, height = (int(v) for v in one["size"])
    boxes = [_Box(content, form) for form in one["boxes"][side]]
    only = [box for box in boxes if box.only]
    right = sum(box.right for box in only)
    text = (
        f"{name}: {plural(len(boxes), 'box', 'boxes')}, {len(only)} without a counterpart "
        f"({right} right, {len(only) - right} wrong)"
    )
    shapes = "".join(box.svg() for box in sorted(boxes, key=lambda box: box.only))
    return (
        f'<div><svg class="predictions" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(text)}">'
        f"{picture}{shapes}</svg><small>{escape(text)}</small></div>"
    )


class _Box:
    """One predicted box: left, top, width, height, class, confidence, whether it is right, and whether it is alone."""

    def __init__(self, content: Mapping[str, Any], form: Any):
        *place, self.cls, self.conf, self.right, self.only = form
        self.x, self.y, self.w, self.h = (float(v) for v in place)
        if not all(map(isfinite, (self.x, self.y, self.w, self.h))):
            raise ValueError
        self.name = f"{content['names'].get(str(self.cls), self.cls)} {float(self.conf):.2f}"

    def svg(self) -> str:
        """The box; one without a counterpart is coloured and names itself on hovering."""
        kind = ("right" if self.right else "wrong") if self.only else "shared"
        place = f'x="{self.x:.1f}" y="{self.y:.1f}" width="{self.w:.1f}" height="{self.h:.1f}"'
        title = f"{self.name}, {'right' if self.right else 'wrong'}"
        return f'<rect class="{kind}" {place}><title>{escape(title)}</title></rect>'


def _curves(content: Mapping[str, Any], task: Task) -> str:
    """The figure of both curves and the table by class."""
    both, names = content["curves"], content["names"]
    if not both[0]["classes"]:
        return ""
    plot = theme.chart(curves_figure(content), "figure-precision", "Precision against recall of both models")
    rows = [
        (str(names.get(str(number), number)), *(one[m][i] for m in ("map50", "map50_95") for one in both))
        for i, number in enumerate(both[0]["classes"])
    ]
    means = [float(np.mean(one[m])) for m in ("map50", "map50_95") for one in both]
    rows = [("all classes", *means), *rows][: MOST_CLASSES + 1]
    label = str(content["label"])
    columns = [Column("class", lambda row: row[0], numeric=False)]
    for title, i in ((task.secondary_title, 1), (task.primary_title, 3)):
        columns += [
            Column(f"{title} baseline", partial(_cell, i)),
            Column(f"{title} {label}", partial(_cell, i + 1)),
            Column("difference", partial(_difference, i)),
        ]
    measure = "key-point similarity" if task.name == "pose" else "IoU"
    table = html_table(columns, rows, "Average precision by class of these two models, one seed")
    return (
        f'<h3>Precision and recall</h3><p class="note">Mean over the classes at {measure} 0.50; thin lines are single '
        f"classes. A curve further to the right and up is better.</p>{plot}"
        f"<details><summary>Numbers</summary>{table}</details>"
    )


def _cell(place: int, row: Any) -> str:
    return formatting.plain(row[place], 4)


def _difference(place: int, row: Any) -> str:
    return formatting.signed(row[place + 1] - row[place])


def curves_figure(content: Mapping[str, Any]) -> go.Figure:
    """Precision against recall: the mean of each model over the classes, and its classes as thin lines."""
    figure = theme.base_figure(420, "recall", "precision")
    looks = (("baseline", theme.BASELINE, "dash"), (theme.escape(str(content["label"])), theme.FRONT, "solid"))
    for (name, color, dash), one in zip(looks, content["curves"], strict=True):
        rows = np.asarray(one["precision"], dtype=float).reshape(-1, len(RECALLS))
        if 1 < len(rows) <= MOST_CLASSES // 4:
            for number, row in zip(one["classes"], rows, strict=True):
                title = theme.escape(f"{content['names'].get(str(number), number)}")
                pen = {"color": color, "width": 1, "dash": dash}
                hover = f"{name}, {title}<br>recall %{{x:.2f}}, precision %{{y:.3f}}<extra></extra>"
                figure.add_scatter(
                    x=RECALLS, y=row, mode="lines", line=pen, opacity=0.35, showlegend=False, hovertemplate=hover
                )
        pen = {"color": color, "width": 2.5, "dash": dash}
        hover = f"{name}<br>recall %{{x:.2f}}, precision %{{y:.3f}}<extra></extra>"
        figure.add_scatter(x=RECALLS, y=rows.mean(axis=0), mode="lines", line=pen, name=name, hovertemplate=hover)
    figure.update_xaxes(range=[0, 1.01])
    figure.update_yaxes(range=[0, 1.03])
    return figure
