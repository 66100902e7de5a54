"""A data set with a planted effect, made offline: the colour of a distant marker decides the class of grey digits.

Every picture shows one to three handwritten digits of one size on plain ground, and which digit one shows means
nothing: the class is a size and a colour. In some pictures the digits have their colour themselves; in most they are
grey and a square marker elsewhere has it. A detector whose receptive field ends before the marker can only guess there.
Each of the three sizes has a level of the head (P2, P3, P4): it does not fit the boxes of the level before, and few
anchors of the next level lie inside it. So attention before a level solves the digits of its size and hardly any
others, and how much that is worth depends on the number of their classes: the effects are graded and add up. The digits
are those of `gamsearch.runs.digits`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gamsearch.runs import digits
from gamsearch.runs.digits import Box, Floats

COLOURS = {
    "red": (0.9, 0.1, 0.1),
    "green": (0.1, 0.75, 0.1),
    "blue": (0.15, 0.25, 0.95),
    "yellow": (0.9, 0.85, 0.1),
    "magenta": (0.9, 0.1, 0.85),
}
"""The colours (red, green, blue in 0..1)."""


@dataclass(frozen=True)
class Group:
    """Digits of one size: how many of the colours there are, how many objects a picture holds, how often it is drawn.

    `height` is the range of their height and `distance` that from their centre to the marker's, in px.
    """

    name: str
    colours: int
    objects: int
    share: float
    height: tuple[int, int]
    distance: tuple[int, int]


GROUPS = (
    Group("tiny", colours=4, objects=3, share=0.44, height=(10, 13), distance=(21, 33)),
    Group("medium", colours=3, objects=2, share=0.28, height=(20, 27), distance=(40, 60)),
    Group("large", colours=2, objects=1, share=0.28, height=(34, 40), distance=(58, 74)),
)
CLASSES = tuple((group, colour) for group in GROUPS for colour in list(COLOURS)[: group.colours])
"""The classes in their order."""


@dataclass(frozen=True)
class Size:
    """How many pictures of which side (px) are drawn."""

    train: int = 900
    val: int = 300
    imgsz: int = 96


SIZE = Size()
AUGMENTATION: dict[str, float] = {
    "cls": 2.0,  # the class is what is hard
    "hsv_h": 0.0,  # the hue is the class
    "hsv_s": 0.2,
    "hsv_v": 0.2,
    "translate": 0.0,  # it could push the marker out of the picture
    "scale": 0.0,
    "flipud": 0.5,
}
"""Ultralytics training arguments that leave sizes, distances and colours as they are."""

FORM = 3
COLOURED = 0.15
"""The share of pictures whose digits have their colour themselves."""
MARKER = 20
GREY = (0.3, 0.7)
GRAIN = 0.02
DISTANCES, ANGLES = 20, 24


def make_planted(folder: Path, size: Size = SIZE, seed: int = 0) -> Path:
    """Return the data YAML of the planted data set in `folder`; see `drawn.make`."""
    parameters = {"planted": FORM, "train": size.train, "val": size.val, "imgsz": size.imgsz, "seed": seed}
    return digits.make(folder, parameters, [f"{group.name} {colour}" for group, colour in CLASSES], _picture)


def _picture(side: int, scans: digits.Scans, rng: np.random.Generator) -> tuple[Floats, list[tuple[int, Box]]]:
    group = GROUPS[int(rng.choice(len(GROUPS), p=[group.share for group in GROUPS]))]
    colour = list(COLOURS)[int(rng.integers(group.colours))]
    coloured = rng.random() < COLOURED
    canvas, boxes = _ground(side, rng), list[Box]()
    while not boxes:  # a large digit does not find its distance from every marker
        canvas = _ground(side, rng)
        x, y = (int(corner) for corner in rng.integers(0, side - MARKER + 1, 2))
        marker = (x, y, x + MARKER, y + MARKER)
        for _ in range(group.objects):
            mask = _resized(next(scans)[0], group.height, rng)
            box = _place_at_distance(mask.shape, marker, group.distance, side, [marker, *boxes], rng)
            if box is not None:
                boxes.append(box)
                _draw(canvas, box, mask, COLOURS[colour] if coloured else None, rng)
    if not coloured:
        canvas[y : y + MARKER, x : x + MARKER] = COLOURS[colour]
    return canvas, [(CLASSES.index((group, colour)), box) for box in boxes]


def _draw(
    canvas: Floats, box: Box, mask: Floats, colour: tuple[float, float, float] | None, rng: np.random.Generator
) -> None:
    """Draw a digit in its colour, or in a grey that says nothing."""
    x0, y0, x1, y1 = box
    under = canvas[y0:y1, x0:x1]
    inked = digits.inked(under, mask, rng) if colour is None else under + mask[:, :, None] * (np.array(colour) - under)
    canvas[y0:y1, x0:x1] = inked


def _ground(side: int, rng: np.random.Generator) -> Floats:
    grain = rng.normal(0, GRAIN, (side, side, 1))
    return np.broadcast_to(rng.uniform(*GREY) + grain, (side, side, 3)).copy()


def _resized(scan: Floats, heights: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return the scan as ink in 0..1 at a drawn height (px), cut tightly to the pixels that show."""
    height = int(rng.integers(heights[0], heights[1] + 1))
    picture = Image.fromarray((scan * 255).astype(np.uint8)).resize((height, height), Image.Resampling.BICUBIC)
    return digits.tight(np.clip(np.asarray(picture, dtype=np.float64) / 255 * 1.3, 0, 1))


def _place_at_distance(
    shape: tuple[int, ...],
    marker: Box,
    between: tuple[int, int],
    side: int,
    taken: list[Box],
    rng: np.random.Generator,
) -> Box | None:
    """Return a free place for `shape` at a distance drawn evenly from `between`, or None if 20 distances find none.

    A distance is given up when 24 directions lead out of the picture or onto a box in `taken`.
    """
    h, w = shape
    centre_x, centre_y = (marker[0] + marker[2]) / 2, (marker[1] + marker[3]) / 2
    for distance in rng.uniform(*between, DISTANCES):
        for angle in rng.uniform(0, 2 * np.pi, ANGLES):
            x = round(centre_x + distance * np.cos(angle) - w / 2)
            y = round(centre_y + distance * np.sin(angle) - h / 2)
            inside = 0 <= x <= side - w and 0 <= y <= side - h
            if inside and digits.free((x, y, x + w, y + h), taken):
                return x, y, x + w, y + h
    return None
