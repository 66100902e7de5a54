"""The demonstration: two small searches on generated pictures; attention decides in one and not in the other.

Every picture shows one to three cards with a handwritten digit (see `digits`). The class is a colour, whatever the
digit. In the half `context` most cards are grey, and a square marker some way off has the colour. The detector
`nearsighted-small` cannot see from a card to the marker; with attention after row 2, which feeds the level of the head
that finds small objects, it can. In the half `control` the cards themselves have the colour and there is no marker. All
else is equal: the places, sizes and digits of the cards, the detector, the search space and the training.
"""

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from gamsearch.files import UnreadableError, read_json
from gamsearch.runs import digits
from gamsearch.runs.digits import Box, Floats

CONTEXT, CONTROL = "context", "control"
HALVES = {
    CONTEXT: "the colour of a distant marker is the class of the grey cards",
    CONTROL: "the cards have the colour of their class themselves",
}
"""What each half shows, by name."""

COLOURS = {"red": (0.9, 0.1, 0.1), "green": (0.1, 0.75, 0.1), "blue": (0.15, 0.25, 0.95)}
"""Red, green and blue, in 0..1, by class."""
FORM = 2
OBJECTS = 3
COLOURED = 0.2
"""Share of the pictures of `context` whose cards have the colour themselves, from which the classes are learnt."""
CARD, MARKER, DISTANCE = 8, 20, (24, 32)
"""Side of a card, side of the marker, distance between their centres, in px of a picture of 64 px."""
AUGMENTATION: dict[str, float] = {
    "cls": 2.0,  # the class is the difficult part
    "hsv_h": 0.0,  # the hue is the class
    "hsv_s": 0.2,
    "hsv_v": 0.2,
    "translate": 0.0,  # it could push the marker out of the image
    "scale": 0.0,
    "flipud": 0.5,
}
"""Ultralytics training arguments that preserve sizes, distances and colours."""
INK = (0.05, 0.95)
"""Grey of a digit on a light card and on a dark one."""


def make(folder: Path, train: int, val: int, imgsz: int, seed: int = 0, half: str = CONTEXT) -> Path:
    """Generate the data set of a half in `folder`, unless it is there already.

    Args:
        folder: The folder of the data set.
        train: Number of training images.
        val: Number of validation images.
        imgsz: Side of an image in px.
        seed: Seed of the images.
        half: `context` or `control`.

    Returns:
        The path of the data YAML.

    Raises:
        DataError: The folder holds something else.
    """
    number = list(HALVES).index(half)
    parameters = {"form": FORM, "half": number, "train": train, "val": val, "imgsz": imgsz, "seed": seed}
    return digits.make(folder, parameters, list(COLOURS), partial(_picture, half))


def parameters_of(data: str) -> dict[str, int] | None:
    """Return the parameters of a demonstration data set, from which gamsearch can generate it again.

    Args:
        data: Path of the data YAML.

    Returns:
        The parameters, or None if gamsearch did not generate this data set.
    """
    try:
        parameters = read_json(Path(data).parent / digits.MARKER)
    except (UnreadableError, OSError):
        return None
    names = {"form", "half", "train", "val", "imgsz", "seed"}
    same_form = isinstance(parameters, dict) and set(parameters) == names and parameters["form"] == FORM
    return {name: int(parameters[name]) for name in sorted(names)} if data and same_form else None


def _picture(
    half: str, split: str, side: int, scans: digits.Scans, rng: np.random.Generator
) -> tuple[Floats, list[tuple[int, Box]]]:
    """One image with values in 0..1, `side x side x 3`, and its boxes with their classes."""
    number = int(rng.integers(len(COLOURS)))
    colour = list(COLOURS.values())[number]
    coloured = rng.random() < COLOURED or half == CONTROL
    wide, card, *distances = _scaled(side, MARKER, CARD, *DISTANCE)
    canvas, boxes = digits.ground(side, rng), list[Box]()
    x, y = (int(corner) for corner in rng.integers(0, side - wide + 1, 2))
    marker = (x, y, x + wide, y + wide)
    for _ in range(int(rng.integers(1, OBJECTS + 1))):
        box = digits.place_at_distance((card, card), marker, (distances[0], distances[1]), side, [marker, *boxes], rng)
        if box is not None:
            boxes.append(box)
            _draw_card(canvas, box, next(scans)[0], colour if coloured else None, rng)
    if not coloured:
        canvas[y : y + wide, x : x + wide] = colour
    return canvas, [(number, box) for box in boxes]


def _draw_card(
    canvas: Floats, box: Box, scan: Floats, colour: tuple[float, float, float] | None, rng: np.random.Generator
) -> None:
    """Draw a card of a colour, or of a grey that differs from the background, and a digit on it."""
    left, top, right, bottom = box
    under = canvas[top:bottom, left:right]
    grey = digits.inked(under, np.ones(under.shape[:2]), rng).mean()  # also for a coloured one: the halves stay alike
    plain = np.full(3, grey) if colour is None else np.array(colour)
    side = right - left
    picture = Image.fromarray((scan * 255).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    ink = np.asarray(picture, dtype=np.float64)[:, :, None] / 255
    canvas[top:bottom, left:right] = plain + ink * (INK[int(np.mean(plain) < 0.5)] - plain)


def _scaled(side: int, *lengths: int) -> tuple[int, ...]:
    """Lengths of a picture of 64 px in one of `side` px."""
    return tuple(round(length * side / 64) for length in lengths)
