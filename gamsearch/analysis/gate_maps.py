"""What an attention module does to the map that it receives: how far from the identity, where, and by which factors.

A module turns a map x into y of the same shape. Its change d = y - x says all of it without knowing the module and is
zero for the exact identity. Per position, |d| / |x| over the channels is the gate map; over the whole map it is the
distance from the identity. The shares say how much of the squared change remains explained if d is fitted by x times
one factor, one factor per channel, or one factor per position (least squares): 1 for a gate of exactly that kind.
"""

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gamsearch.analysis.significance import estimate

MOST_CELLS = 40
"""Of a gate map along each side; finer ones are averaged."""
DIGITS = 6
MULTIPLE = 10
"""The change from which it is written as a multiple of the map."""

Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GateEffect:
    """What one module did to the map of one image.

    Attributes:
        change: The gate map, `h x w`, as fractions.
        distance: |d| / |x| over the whole map.
        factor: The factor that, for the whole map, comes closest to y.
        shares: Of the squared change, what one factor explains, one per channel, and one per position.
    """

    change: Map
    distance: float
    factor: float
    shares: tuple[float, float, float]


def summary(
    effects: Sequence[GateEffect], boxes: Sequence[NDArray[np.float64]], shown: Sequence[int]
) -> dict[str, Any]:
    """Sum up what one module did to all images, ready for JSON.

    Args:
        effects: One per image.
        boxes: The labelled boxes of each image, `n x 4`: left, top, width, height as fractions of its sides.
        shown: Positions of the images whose gate maps are kept.

    Returns:
        `distance` and, over 90 % of the images, `range`; `factor`, `shares`, `objects` (see `at_objects`); `mean`, the
        mean gate map, and `maps` of the images shown, packed. Maps are left out where nothing changes.

    Raises:
        ValueError: A figure is not finite.
    """
    distances = np.array([one.distance for one in effects])
    figures = {
        "distance": float(distances.mean()),
        "range": np.quantile(distances, [0.05, 0.95]).tolist(),
        "factor": float(np.mean([one.factor for one in effects])),
        "shares": np.mean([one.shares for one in effects], axis=0).tolist(),
    }
    if not np.isfinite([figures["distance"], figures["factor"], *figures["shares"]]).all():
        raise ValueError("an attention module returns values that are not finite")
    figures = {name: np.round(value, DIGITS).tolist() for name, value in figures.items()}
    if not distances.any():
        return {**figures, "objects": None, "mean": None, "maps": []}
    mean, chosen = mean_map([one.change for one in effects]), [effects[i].change for i in shown]
    top = max((_top(one) for one in chosen), default=0.0)
    maps = [packed(one, top) for one in chosen]
    return {**figures, "objects": at_objects(effects, boxes), "mean": packed(mean, _top(mean)), "maps": maps}


def _top(change: Map) -> float:
    """The change that has the full colour: single outliers do not make the rest pale."""
    return float(np.quantile(change, 0.99))


def mean_map(maps: Sequence[Map]) -> Map:
    """Average gate maps; those of other shapes are brought to the most frequent one.

    Args:
        maps: At least one map.

    Returns:
        The mean.
    """
    height, width = Counter(one.shape for one in maps).most_common(1)[0][0]
    total = np.zeros((height, width))
    for one in maps:
        if one.shape != (height, width):
            one = np.asarray(Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR))
        total += one
    return (total / len(maps)).astype(np.float32)


def at_objects(
    effects: Sequence[GateEffect], boxes: Sequence[NDArray[np.float64]]
) -> tuple[float, float, float] | None:
    """Compare the change where objects are labelled with that elsewhere.

    Args:
        effects: One per image.
        boxes: The labelled boxes of each image, as in `summary`.

    Returns:
        The ratio (geometric mean over the images) with its 95 % interval; None with fewer than two images that show
        both objects and something else.
    """
    logs = []
    for effect, labelled in zip(effects, boxes, strict=True):
        inside = touched(effect.change.shape, labelled)
        if inside.any() and not inside.all():
            at, elsewhere = (float(effect.change[mask].mean()) for mask in (inside, ~inside))
            if at > 0 and elsewhere > 0:
                logs.append(log(at / elsewhere))
    found = estimate(logs)
    if not isfinite(found.low):
        return None
    ratio, low, high = (round(exp(value), 4) for value in (found.mean, found.low, found.high))
    return ratio, low, high


def touched(shape: tuple[int, ...], boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the cells of a map that a box touches.

    Args:
        shape: Height and width of the map.
        boxes: `n x 4`: left, top, width, height as fractions of its sides.

    Returns:
        `h x w`.
    """
    height, width = shape
    inside = np.zeros((height, width), dtype=bool)
    for left, top, wide, high in boxes:
        rows = slice(max(0, int(top * height)), int(np.ceil((top + high) * height)))
        inside[rows, max(0, int(left * width)) : int(np.ceil((left + wide) * width))] = True
    return inside


def packed(change: Map, top: float) -> dict[str, Any]:
    """Write a gate map in 8 bits per cell.

    Args:
        change: The map.
        top: The change that the largest level stands for.

    Returns:
        Its `size` (height, width), `top`, `mean`, and `cells` in base64.
    """
    levels = np.round(255 * np.clip(change / top if top > 0 else np.zeros_like(change), 0, 1)).astype(np.uint8)
    return {
        "size": list(change.shape),
        "top": round(top, DIGITS),
        "mean": round(float(change.mean()), DIGITS),
        "cells": b64encode(levels.tobytes()).decode(),
    }


def unpacked(form: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Read the levels of a map that `packed` wrote; the file may come from anywhere.

    Args:
        form: What `packed` returned.

    Returns:
        `h x w`, 255 where the change is `top` or more.

    Raises:
        ValueError: It is something else.
    """
    height, width = (int(side) for side in form["size"])
    cells = b64decode(str(form["cells"])[: 2 * MOST_CELLS**2], validate=True)
    if not (1 <= height <= MOST_CELLS and 1 <= width <= MOST_CELLS and len(cells) == height * width):
        raise ValueError("a gate map has another size than it says")
    return np.frombuffer(cells, dtype=np.uint8).reshape(height, width)


def amount(change: float) -> str:
    """Write a change in per cent, a huge one as a multiple.

    Args:
        change: It, as a fraction.

    Returns:
        E.g. `under 0.01 %`, `0.04 %`, `3.2 %`, `12 %` or `182 times`.
    """
    value = 100 * change
    if 0 < value < 0.01:
        return "under 0.01 %"
    if change >= MULTIPLE:
        return f"{change:.0f} times"
    return f"{value:.{0 if value >= 10 or value == 0 else 1 if value >= 1 else 2}f} %"
