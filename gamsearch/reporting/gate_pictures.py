"""Pictures of gate maps: the mean, and those of a few validation images over the images themselves."""

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from io import BytesIO
from math import isfinite
from typing import Any

import numpy as np
from PIL import Image

from gamsearch.analysis.gate_maps import amount, unpacked
from gamsearch.reporting import formatting

COLOUR = (213, 94, 0)
"""That of the largest change; smaller ones are more transparent."""
MOST_SHOWN = 3
PLACES = (("top left", "top", "top right"), ("left", "middle", "right"), ("bottom left", "bottom", "bottom right"))


def row(content: Mapping[str, Any], form: Mapping[str, Any]) -> str:
    """The pictures of one placement; empty where it changes nothing.

    Args:
        content: What `predictions_section.read` returned; its images are drawn in the section of predictions.
        form: What the run kept of the placement.

    Returns:
        The HTML of one figure.
    """
    if not form["mean"]:
        return ""
    label, shown = str(form["label"]), list(zip(content["shown"], form["maps"], strict=False))[:MOST_SHOWN]
    sizes = [one["size"] for one, _ in shown]
    drawn = [_drawing(label, "mean of all images", form["mean"], sizes[0] if sizes else None, "")]
    for number, (one, change) in enumerate(shown):
        drawn.append(_drawing(label, str(one["name"]), change, one["size"], f'<use href="#validation-{number}"/>'))
    return f'<figure class="gates">{"".join(drawn)}</figure>'


def _drawing(label: str, name: str, change: Mapping[str, Any], size: Any, picture: str) -> str:
    levels, top, mean = unpacked(change), float(change["top"]), float(change["mean"])
    if not (isfinite(top) and isfinite(mean)):
        raise ValueError
    width, height = (int(side) for side in size or (10 * levels.shape[1], 10 * levels.shape[0]))
    scale = f"mean {amount(mean)}, full colour {amount(top)}"
    text = f"{label}, {name}: {scale}, largest at the {_place(levels)}"
    return (
        f'<div><svg class="gate" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(text)}">{picture}'
        f'<image href="{_source(levels)}" width="{width}" height="{height}" preserveAspectRatio="none"/></svg>'
        f"<small>{escape(name)}<br>{formatting.typeset(escape(scale))}</small></div>"
    )


def _source(levels: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    """A PNG in one colour, as transparent as the change is small."""
    pixels = np.empty((*levels.shape, 4), dtype=np.uint8)
    pixels[..., :3], pixels[..., 3] = COLOUR, np.round(0.85 * levels)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()


def _place(levels: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    """In which ninth of the map the change is largest."""
    parts = [np.array_split(band, 3, axis=1) for band in np.array_split(levels, 3, axis=0)]
    means = [[part.mean() if part.size else 0.0 for part in band] for band in parts]
    vertical, horizontal = divmod(int(np.argmax(means)), 3)
    return PLACES[vertical][horizontal]
