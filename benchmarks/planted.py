"""A synthetic data set with a known effect: the colour of a distant marker determines the class of grey digits.

Every image shows one to three handwritten digits of one size on a plain background. Which digit it is does not matter:
the class is a size and a colour. In some images the digits themselves have the colour; in most they are grey and a
square marker elsewhere has it. There, a detector whose receptive field does not reach the marker can only guess. Each
of the three sizes belongs to one level of the head (P2, P3, P4): it does not fit the boxes of the previous level, and
few anchors of the next level lie inside it. Attention before a level therefore solves the digits of its size and hardly
any others, and its gain depends on the number of their classes, so the effects are graded and additive. The digits are
those of `gamsearch.runs.digits`.
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
"""Red, green and blue, in 0..1."""


@dataclass(frozen=True)
class Group:
    """Digits of one size.

    Attributes:
        name: Name of the size.
        colours: Number of colours, and so of classes.
        objects: Largest number of digits in an image.
        share: Probability of an image.
        height: Range of the height of a digit, px.
        distance: Range of the distance from the centre of a digit to that of the marker, px.
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
"""The classes by number."""


@dataclass(frozen=True)
class Size:
    """Number of training and validation images, and their side in px."""

    train: int = 900
    val: int = 300
    imgsz: int = 96


SIZE = Size()

FORM = 3
COLOURED = 0.15
"""Share of images whose digits have the colour themselves."""
MARKER = 20


def make_planted(folder: Path, size: Size = SIZE, seed: int = 0) -> Path:
    """Generate the data set in `folder` unless it is there, and return its data YAML; see `digits.make`."""
    parameters = {"planted": FORM, "train": size.train, "val": size.val, "imgsz": size.imgsz, "seed": seed}
    return digits.make(folder, parameters, [f"{group.name} {colour}" for group, colour in CLASSES], _picture)


def _picture(side: int, scans: digits.Scans, rng: np.random.Generator) -> tuple[Floats, list[tuple[int, Box]]]:
    """One image with values in 0..1, `side x side x 3`, and its boxes with their classes."""
    group = GROUPS[int(rng.choice(len(GROUPS), p=[group.share for group in GROUPS]))]
    colour = list(COLOURS)[int(rng.integers(group.colours))]
    coloured = rng.random() < COLOURED
    canvas, boxes = digits.ground(side, rng), list[Box]()
    while not boxes:  # a large digit does not fit at its distance from every marker
        canvas = digits.ground(side, rng)
        x, y = (int(corner) for corner in rng.integers(0, side - MARKER + 1, 2))
        marker = (x, y, x + MARKER, y + MARKER)
        for _ in range(group.objects):
            mask = _resized(next(scans)[0], group.height, rng)
            box = digits.place_at_distance(mask.shape, marker, group.distance, side, [marker, *boxes], rng)
            if box is not None:
                boxes.append(box)
                _draw(canvas, box, mask, COLOURS[colour] if coloured else None, rng)
    if not coloured:
        canvas[y : y + MARKER, x : x + MARKER] = COLOURS[colour]
    return canvas, [(CLASSES.index((group, colour)), box) for box in boxes]


def _draw(
    canvas: Floats, box: Box, mask: Floats, colour: tuple[float, float, float] | None, rng: np.random.Generator
) -> None:
    """Draw a digit in its colour, or in a random grey."""
    x0, y0, x1, y1 = box
    under = canvas[y0:y1, x0:x1]
    inked = digits.inked(under, mask, rng) if colour is None else under + mask[:, :, None] * (np.array(colour) - under)
    canvas[y0:y1, x0:x1] = inked


def _resized(scan: Floats, heights: tuple[int, int], rng: np.random.Generator) -> Floats:
    """The scan as ink in 0..1 at a random height (px), cropped to its visible pixels."""
    height = int(rng.integers(heights[0], heights[1] + 1))
    picture = Image.fromarray((scan * 255).astype(np.uint8)).resize((height, height), Image.Resampling.BICUBIC)
    return digits.tight(np.clip(np.asarray(picture, dtype=np.float64) / 255 * 1.3, 0, 1))
