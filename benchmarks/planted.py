"""Synthetic data sets with known effects: the colour of a distant marker determines the class of grey digits.

Every image shows one to three handwritten digits of one size on a plain background. Which digit it is does not matter:
the class is a size and a colour. In some images the digits themselves have the colour; in most they are grey and a
square marker elsewhere has it. There, a detector whose receptive field does not reach the marker can only guess. Each
of the three sizes belongs to one level of the head (P2, P3, P4): it does not fit the boxes of the previous level, and
few anchors of the next level lie inside it. Attention before a level therefore solves the digits of its size and hardly
any others, and its gain depends on the number of their classes, so the effects are graded and additive. The digits are
those of `gamsearch.runs.digits`.

That is the world `planted`, in which more attention is always better. In the other worlds it is not, see `WORLDS`.
"""

import zlib
from dataclasses import dataclass, replace
from functools import partial
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


COLOURED = 0.15


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
        coloured: Share of images whose digits have the colour themselves, and which have no marker.
        true_in: Share of the markers that have the colour of the class, by split; the others have another colour of
            the group.
    """

    name: str
    colours: int
    objects: int
    share: float
    height: tuple[int, int]
    distance: tuple[int, int]
    coloured: float = COLOURED
    true_in: tuple[tuple[str, float], ...] = (("train", 1.0), ("val", 1.0))


@dataclass(frozen=True)
class World:
    """A data set; `sizes_matter` is whether digits of different sizes have different classes."""

    groups: tuple[Group, ...]
    sizes_matter: bool = True

    @property
    def names(self) -> list[str]:
        """The classes by number."""
        names = [self.class_of(group, colour) for group in self.groups for colour in list(COLOURS)[: group.colours]]
        return list(dict.fromkeys(names))

    def class_of(self, group: Group, colour: str) -> str:
        """The class of digits of a size and a colour."""
        return f"{group.name} {colour}" if self.sizes_matter else colour


TINY = Group("tiny", colours=4, objects=3, share=0.44, height=(10, 13), distance=(21, 33))
MEDIUM = Group("medium", colours=3, objects=2, share=0.28, height=(20, 27), distance=(40, 60))
LARGE = Group("large", colours=2, objects=1, share=0.28, height=(34, 40), distance=(58, 74))
BETWEEN = Group("between", colours=3, objects=2, share=0.36, height=(13, 15), distance=(40, 46))
"""Fits the boxes of P2, has anchors of P3, and the marker is beyond the reach of both without attention."""


def _with_markers(group: Group, train: float, val: float) -> Group:
    """The group with these shares of markers that have the colour of the class."""
    return replace(group, true_in=(("train", train), ("val", val)))


def _by_chance(group: Group) -> Group:
    """The group with markers whose colour is independent of the class."""
    return _with_markers(group, 1 / group.colours, 1 / group.colours)


WORLDS = {
    "planted": World((TINY, MEDIUM, LARGE)),
    "planted-v1": World((replace(TINY, coloured=1.0), MEDIUM, LARGE)),
    "planted-v2": World((TINY, replace(MEDIUM, coloured=1.0), LARGE)),
    "planted-overlap": World(
        (
            replace(TINY, colours=2, share=0.2),
            BETWEEN,
            replace(MEDIUM, colours=2, share=0.22),
            replace(LARGE, share=0.22),
        )
    ),
    "planted-harm": World((_with_markers(replace(TINY, coloured=0.5), train=1.0, val=0.0), MEDIUM, LARGE)),
    "planted-signs": World(
        (
            replace(TINY, colours=3, share=0.36),
            _with_markers(replace(MEDIUM, share=0.36), train=1.0, val=0.65),
            replace(LARGE, colours=3),
        ),
        sizes_matter=False,
    ),
    "planted-none": World((_by_chance(TINY), _by_chance(MEDIUM), _by_chance(LARGE))),
}
"""What attention is worth in each of them, given that rows 2, 4 and 6 feed the levels of the head alone:

planted           every row helps, and the gains add up
planted-v1, -v2   all tiny (medium) digits have the colour themselves, so row 2 (4) is useless
planted-overlap   digits of a size that P2 and P3 both find: of rows 2 and 4 either solves them, so their gains overlap
planted-harm      the markers of tiny digits are right in training and wrong in validation, so row 2 harms
planted-signs     digits of all sizes share the classes, and the markers of medium ones are right in two of three
                  validation images: row 4 beats guessing alone, but its confident mistakes rank among what row 2 knows,
                  and beside that it harms
planted-none      the colour of a marker is independent of the class, so attention can help nobody

Images from one distribution cannot make attention harmful by design: it starts as the identity, so only overfitting
harms, by an amount that nobody can plan. A context that holds where the images were taken and not where the detector is
used is what the worlds with harm imitate.
"""


@dataclass(frozen=True)
class Size:
    """Number of training and validation images, and their side in px."""

    train: int = 900
    val: int = 300
    imgsz: int = 96


SIZE = Size()

FORM = 3
MARKER = 20


def make_planted(folder: Path, size: Size = SIZE, seed: int = 0, world: str = "planted") -> Path:
    """Generate the data set in `folder` unless it is there, and return its data YAML; see `digits.make`."""
    chosen = WORLDS[world]
    parameters = {"planted": FORM, "train": size.train, "val": size.val, "imgsz": size.imgsz, "seed": seed}
    if world != "planted":
        parameters["world"] = zlib.crc32(repr(chosen).encode())
    return digits.make(folder, parameters, chosen.names, partial(_picture, chosen))


def _picture(
    world: World, split: str, side: int, scans: digits.Scans, rng: np.random.Generator
) -> tuple[Floats, list[tuple[int, Box]]]:
    """One image with values in 0..1, `side x side x 3`, and its boxes with their classes."""
    group = world.groups[int(rng.choice(len(world.groups), p=[group.share for group in world.groups]))]
    number = int(rng.integers(group.colours))
    colours = list(COLOURS)
    coloured = rng.random() < group.coloured
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
                _draw(canvas, box, mask, COLOURS[colours[number]] if coloured else None, rng)
    if not coloured:
        shown = _shown(number, group, split, rng)
        canvas[y : y + MARKER, x : x + MARKER] = COLOURS[colours[shown]]
    label = world.names.index(world.class_of(group, colours[number]))
    return canvas, [(label, box) for box in boxes]


def _shown(number: int, group: Group, split: str, rng: np.random.Generator) -> int:
    """The colour of a marker in an image whose class has colour `number`."""
    true = dict(group.true_in)[split]
    if true == 1.0 or rng.random() < true:
        return number
    return (number + int(rng.integers(1, group.colours))) % group.colours


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
