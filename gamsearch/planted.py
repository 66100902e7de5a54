"""A data set with a planted effect, made offline: a marker at a distance decides the class, so reach decides the mAP.

Every picture holds one square marker and up to three handwritten digits on plain ground. The digits are the objects,
and which digit one shows means nothing: all of them have the class of the marker's colour. A detector whose receptive
field ends before the marker can only guess, and whatever extends it solves the objects up to there; how many of the six
colours it tells apart depends on how many channels carry them. The digits are those of `gamsearch.drawn`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gamsearch import drawn
from gamsearch.drawn import Box, Floats

COLOURS = {
    "red": (0.9, 0.1, 0.1),
    "green": (0.1, 0.75, 0.1),
    "blue": (0.15, 0.25, 0.95),
    "yellow": (0.9, 0.85, 0.1),
    "magenta": (0.9, 0.1, 0.85),
    "cyan": (0.1, 0.85, 0.9),
}
"""The classes in their order and the colour of their marker (red, green, blue in 0..1)."""

DISTANCE = (14, 72)
"""Least and largest distance from the centre of the marker to the centre of an object, in px; drawn evenly."""


@dataclass(frozen=True)
class Size:
    """How many pictures of which side (px) are drawn."""

    train: int = 600
    val: int = 120
    imgsz: int = 96


SIZE = Size()
AUGMENTATION: dict[str, float] = {
    "cls": 2.0,  # the class is what is hard
    "hsv_h": 0.0,  # the hue of the marker is the class
    "hsv_s": 0.2,
    "hsv_v": 0.2,
    "translate": 0.0,  # it could push the marker out of the picture
    "scale": 0.0,
    "flipud": 0.5,
}
"""Ultralytics training arguments that leave the distance and the colour of the marker as they are."""

FORM = 1
OBJECTS = 3
HEIGHT = (13, 17)
MARKER = 10
GREY = (0.3, 0.7)
GRAIN = 0.02
DISTANCES, ANGLES = 20, 24


def make_planted(folder: Path, size: Size = SIZE, seed: int = 0) -> Path:
    """Return the data YAML of the planted data set in `folder`; see `drawn.make`."""
    parameters = {"planted": FORM, "train": size.train, "val": size.val, "imgsz": size.imgsz, "seed": seed}
    return drawn.make(folder, parameters, list(COLOURS), _picture)


def _picture(side: int, scans: drawn.Scans, rng: np.random.Generator) -> tuple[Floats, list[tuple[int, Box]]]:
    label = int(rng.integers(len(COLOURS)))
    canvas = _ground(side, rng)
    x, y = (int(corner) for corner in rng.integers(0, side - MARKER + 1, 2))
    marker = (x, y, x + MARKER, y + MARKER)
    boxes: list[Box] = []
    for _ in range(OBJECTS):
        mask = _small(next(scans)[0], rng)
        box = _place_at_distance(mask.shape, marker, side, [marker, *boxes], rng)
        if box is None:
            continue
        boxes.append(box)
        x0, y0, x1, y1 = box
        canvas[y0:y1, x0:x1] = drawn.inked(canvas[y0:y1, x0:x1], mask, rng)
    canvas[y : y + MARKER, x : x + MARKER] = tuple(COLOURS.values())[label]
    return canvas, [(label, box) for box in boxes]


def _ground(side: int, rng: np.random.Generator) -> Floats:
    grain = rng.normal(0, GRAIN, (side, side, 1))
    return np.broadcast_to(rng.uniform(*GREY) + grain, (side, side, 3)).copy()


def _small(scan: Floats, rng: np.random.Generator) -> Floats:
    """Return the scan as ink in 0..1 at a drawn height (px), cut tightly to the pixels that show."""
    height = int(rng.integers(HEIGHT[0], HEIGHT[1] + 1))
    picture = Image.fromarray((scan * 255).astype(np.uint8)).resize((height, height), Image.Resampling.BICUBIC)
    return drawn.tight(np.clip(np.asarray(picture, dtype=np.float64) / 255 * 1.3, 0, 1))


def _place_at_distance(
    shape: tuple[int, ...], marker: Box, side: int, taken: list[Box], rng: np.random.Generator
) -> Box | None:
    """Return a free place for `shape` at a drawn distance from the marker, or None if 20 distances find none.

    A distance is given up when 24 directions lead out of the picture or onto a box in `taken`.
    """
    h, w = shape
    centre_x, centre_y = (marker[0] + marker[2]) / 2, (marker[1] + marker[3]) / 2
    for distance in rng.uniform(*DISTANCE, DISTANCES):
        for angle in rng.uniform(0, 2 * np.pi, ANGLES):
            x = round(centre_x + distance * np.cos(angle) - w / 2)
            y = round(centre_y + distance * np.sin(angle) - h / 2)
            inside = 0 <= x <= side - w and 0 <= y <= side - h
            if inside and drawn.free((x, y, x + w, y + h), taken):
                return x, y, x + w, y + h
    return None
