"""The demonstration data set: handwritten digits (see `digits`) placed on images, deterministic.

The photographs among the backgrounds are the two sample images of scikit-learn.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gamsearch.runs import digits
from gamsearch.runs.digits import Box, Floats


@dataclass(frozen=True)
class Size:
    """Size of the data set (images, px) and of the training (epochs, images per batch) of a run without `--data`."""

    train: int = 300
    val: int = 150
    imgsz: int = 96
    epochs: int = 12
    trials: int = 6
    trial_epochs: int = 1
    batch: int = 8


SIZE = Size()
AUGMENTATION: dict[str, float] = {
    "fliplr": 0.0,  # a mirrored digit is another symbol
    "hsv_s": 0.3,
    "hsv_v": 0.3,
    "translate": 0.1,
    "scale": 0.2,
}
"""Ultralytics training arguments that suit digits; everything else is the recipe of every other run.

Measured on CPU, one thread, yolov8n from scratch, 12 epochs: map50_95 0.59 with them and 0.57 without `scale` and
`translate` (one seed each, 0.05 means nothing), about 70 CPU seconds. The curve is steep there: 10 epochs gave 0.38.
"""

FORM = 1
DIGITS = (1, 4)
HEIGHT = (0.28, 0.55)


def make(folder: Path, train: int, val: int, imgsz: int, seed: int = 0) -> Path:
    """Generate the demonstration data set in `folder`, unless it is there already.

    Args:
        folder: The folder of the data set.
        train: Number of training images.
        val: Number of validation images.
        imgsz: Side of an image in px.
        seed: Seed of the images.

    Returns:
        The path of the data YAML.

    Raises:
        DataError: The folder holds something else.
    """
    parameters = {"form": FORM, "train": train, "val": val, "imgsz": imgsz, "seed": seed}
    return digits.make(folder, parameters, [str(digit) for digit in range(10)], _picture)


def parameters_of(data: str) -> dict[str, int] | None:
    """Return the parameters of a demonstration data set, from which gamsearch can generate it again.

    Args:
        data: Path of the data YAML.

    Returns:
        The parameters, or None if gamsearch did not generate this data set.
    """
    try:
        parameters = json.loads((Path(data).parent / digits.MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    names = {"form", "train", "val", "imgsz", "seed"}
    same_form = isinstance(parameters, dict) and set(parameters) == names and parameters["form"] == FORM
    return {name: int(parameters[name]) for name in sorted(names)} if data and same_form else None


def _picture(side: int, scans: digits.Scans, rng: np.random.Generator) -> tuple[Floats, list[tuple[int, Box]]]:
    canvas = BACKGROUNDS[rng.integers(len(BACKGROUNDS))](side, rng)
    objects: list[tuple[int, Box]] = []
    for _ in range(rng.integers(DIGITS[0], DIGITS[1] + 1)):
        scan, digit = next(scans)
        mask = _enlarged(scan, side, rng)
        box = _free_place(mask.shape, side, [box for _, box in objects], rng)
        if box is None:
            continue
        objects.append((digit, box))
        x0, y0, x1, y1 = box
        canvas[y0:y1, x0:x1] = digits.inked(canvas[y0:y1, x0:x1], mask, rng)
    return canvas, objects


def _enlarged(scan: Floats, side: int, rng: np.random.Generator) -> Floats:
    """Return the scan at a random size and angle as a mask in 0..1, cropped to its visible part."""
    height = rng.uniform(*HEIGHT) * side
    width = height * rng.uniform(0.8, 1.2)
    picture = Image.fromarray((np.pad(scan, 1) * 255).astype(np.uint8))
    picture = picture.resize((round(width), round(height)), Image.Resampling.BICUBIC)
    picture = picture.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR)
    return digits.tight(np.clip(np.asarray(picture, dtype=np.float64) / 255 * 1.3, 0, 1))


def _free_place(shape: tuple[int, ...], side: int, taken: list[Box], rng: np.random.Generator) -> Box | None:
    """Return a box of `shape` at least one pixel away from every box in `taken`, or None after 30 tries."""
    h, w = shape
    for _ in range(30):
        x, y = int(rng.integers(0, side - w + 1)), int(rng.integers(0, side - h + 1))
        if digits.free((x, y, x + w, y + h), taken):
            return x, y, x + w, y + h
    return None


def _flat(side: int, rng: np.random.Generator) -> Floats:
    return np.broadcast_to(_colour(rng), (side, side, 3)).copy()


def _gradient(side: int, rng: np.random.Generator) -> Floats:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    share = np.clip(0.5 + x * np.cos(angle) + y * np.sin(angle), 0, 1)[:, :, None]
    return _colour(rng) * share + _colour(rng) * (1 - share)


def _noise(side: int, rng: np.random.Generator) -> Floats:
    grain = rng.normal(0, rng.uniform(0.03, 0.1), (side, side, 1))
    return np.clip(_gradient(side, rng) + grain, 0, 1)


def _stripes(side: int, rng: np.random.Generator) -> Floats:
    angle, period = rng.uniform(0, np.pi), rng.uniform(0.08, 0.3) * side
    y, x = np.mgrid[0:side, 0:side]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)[:, :, None]
    return np.clip(_colour(rng) + wave * rng.uniform(0.05, 0.15), 0, 1)


def _photograph(side: int, rng: np.random.Generator) -> Floats:
    photograph = _photographs()[rng.integers(2)]
    height, width = photograph.shape[:2]
    cut = int(rng.integers(side, min(height, width) + 1)) if side < min(height, width) else min(height, width)
    x, y = int(rng.integers(0, width - cut + 1)), int(rng.integers(0, height - cut + 1))
    crop = Image.fromarray(photograph[y : y + cut, x : x + cut]).resize((side, side), Image.Resampling.BOX)
    return np.asarray(crop, dtype=np.float64) / 255


@cache
def _photographs() -> list[NDArray[np.uint8]]:
    from sklearn.datasets import load_sample_images

    return list(load_sample_images().images)


def _colour(rng: np.random.Generator) -> Floats:
    return np.clip(rng.uniform(0.05, 0.95) + rng.uniform(-0.2, 0.2, 3), 0, 1)


BACKGROUNDS: tuple[Callable[[int, np.random.Generator], Floats], ...] = (
    _flat,
    _gradient,
    _noise,
    _stripes,
    _photograph,
)
