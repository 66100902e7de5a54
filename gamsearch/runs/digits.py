"""Write generated data sets: the folder, the scans of digits, and how they are painted. Deterministic and offline.

The scans are the 1797 handwritten digits of 8 x 8 pixels that scikit-learn ships (UCI, optical recognition of
handwritten digits). Train and val share no scan.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gamsearch.errors import DataError
from gamsearch.files import UnreadableError, read_json

Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px."""
Scans = Iterator[tuple[Floats, int]]
Draw = Callable[[str, int, Scans, np.random.Generator], tuple[Floats, list[tuple[int, Box]]]]
"""`(split, side, scans, rng) -> (picture, objects)`: `side x side x 3` in 0..1, and a class and a box per object."""

MARKER = "gamsearch-demo.json"
VAL_SHARE = 0.25
INK = 0.35
CONTRAST = (0.35, 0.9)
GREY = (0.3, 0.7)
GRAIN = 0.02
DISTANCES, ANGLES = 20, 24


def make(folder: Path, parameters: Mapping[str, int], names: Sequence[str], draw: Draw) -> Path:
    """Generate a data set in `folder`, unless it is there already.

    A finished data set with the same parameters is kept, one with other parameters is replaced. The folder is moved to
    its place when it is complete, so an interrupted call leaves no folder.

    Args:
        folder: The folder of the data set.
        parameters: Everything that determines the images: `train` and `val` (number of images), `imgsz` (px), `seed`...
        names: Class names.
        draw: Paints one image and returns its objects.

    Returns:
        The path of the data YAML.

    Raises:
        DataError: The folder holds something else.
    """
    folder = Path(folder)
    if _finished(folder, parameters):
        return folder / "data.yaml"
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _fill(partial, parameters, names, draw)
        partial.chmod(0o755)
        _swap(partial, folder, parameters)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder / "data.yaml"


def _finished(folder: Path, parameters: Mapping[str, int]) -> bool:
    try:
        marker = read_json(folder / MARKER)
    except (UnreadableError, OSError):
        return False
    count = {split: len(list((folder / "images" / split).glob("*.png"))) for split in ("train", "val")}
    return bool(marker == parameters) and count == {"train": parameters["train"], "val": parameters["val"]}


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not (folder / MARKER).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f"a generated data set needs a folder of its own, but {folder} holds something else: "
            "move it away, or give another --out"
        )


def _swap(partial: Path, folder: Path, parameters: Mapping[str, int]) -> None:
    """Move `partial` to `folder`, unless a concurrent call has just written the same images there."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        os.replace(partial, folder)
    except OSError:
        if not _finished(folder, parameters):
            raise


def _fill(folder: Path, parameters: Mapping[str, int], names: Sequence[str], draw: Draw) -> None:
    side = parameters["imgsz"]
    for number, split in enumerate(("train", "val")):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        rng = np.random.default_rng([parameters["seed"], number])
        source = scans(split, parameters["seed"], rng)
        for i in range(parameters[split]):
            picture, objects = draw(split, side, source, rng)
            pixels = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / split / f"{i:04d}.png", compress_level=1)
            rows = "".join(_row(label, box, side) for label, box in objects)
            _write(folder / "labels" / split / f"{i:04d}.txt", rows)
    listed = "".join(f'  {number}: "{name}"\n' for number, name in enumerate(names))
    _write(folder / "data.yaml", f"train: images/train\nval: images/val\nnames:\n{listed}")
    _write(folder / MARKER, json.dumps(dict(parameters)) + "\n")


def _row(label: int, box: Box, side: int) -> str:
    """Return a line of a label file: class, then centre and size as fractions of the side."""
    x0, y0, x1, y1 = box
    centre_and_size = ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)
    return " ".join([str(label), *(f"{value / side:.6f}" for value in centre_and_size)]) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def scans(split: str, seed: int, rng: np.random.Generator) -> Scans:
    """Yield scans and their digits without end; every scan of the split comes once per round.

    Args:
        split: `train` or `val`; the two share no scan.
        seed: Seed of the split.
        rng: Source of the order.

    Yields:
        A scan in 0..1, `[8, 8]`, and its digit.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    first_val = round(len(order) * (1 - VAL_SHARE))
    own = order[:first_val] if split == "train" else order[first_val:]
    while True:
        for i in rng.permutation(own):
            yield bunch.images[i] / 16.0, int(bunch.target[i])


def tight(ink: Floats) -> Floats:
    """Crop a mask to its visible part.

    Args:
        ink: Mask in 0..1, `[h, w]`.

    Returns:
        The rows and columns of the mask from the first to the last visible one.
    """
    ys, xs = np.nonzero(ink > INK)
    return ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def free(box: Box, taken: Sequence[Box]) -> bool:
    """Return whether a box is at least one pixel away from all others.

    Args:
        box: The box.
        taken: The other boxes.

    Returns:
        True if no box is touched.
    """
    x0, y0, x1, y1 = box
    return all(x1 < a or c < x0 or y1 < b or d < y0 for a, b, c, d in taken)


def inked(under: Floats, mask: Floats, rng: np.random.Generator) -> Floats:
    """Paint a mask in a random colour that is lighter or darker than the background by a random contrast.

    Args:
        under: Background in 0..1, `[h, w, 3]`.
        mask: Opacity in 0..1, `[h, w]`.
        rng: Source of random numbers.

    Returns:
        The painted background, `[h, w, 3]`.
    """
    level = float(under.mean())
    room = [sign for sign in (-1, 1) if 0 <= level + sign * CONTRAST[0] <= 1]
    target = level + rng.choice(room) * rng.uniform(*CONTRAST)
    colour = np.clip(target + rng.uniform(-0.12, 0.12, 3), 0, 1)
    return under + mask[:, :, None] * (colour - under)


def ground(side: int, rng: np.random.Generator) -> Floats:
    """Return a plain grey background with grain.

    Args:
        side: Side of the image in px.
        rng: Source of random numbers.

    Returns:
        The background in 0..1, `[side, side, 3]`.
    """
    grain = rng.normal(0, GRAIN, (side, side, 1))
    return np.broadcast_to(rng.uniform(*GREY) + grain, (side, side, 3)).copy()


def place_at_distance(
    shape: tuple[int, ...],
    marker: Box,
    between: tuple[int, int],
    side: int,
    taken: Sequence[Box],
    rng: np.random.Generator,
) -> Box | None:
    """Find a free box whose centre is at a random distance from that of a marker.

    A distance is rejected if all sampled directions lead out of the image or onto another box.

    Args:
        shape: Height and width of the box in px.
        marker: The marker.
        between: Smallest and largest distance in px.
        side: Side of the image in px.
        taken: The boxes that must not be touched.
        rng: Source of random numbers.

    Returns:
        The box; None if no sampled distance has one.
    """
    h, w = shape
    centre_x, centre_y = (marker[0] + marker[2]) / 2, (marker[1] + marker[3]) / 2
    for distance in rng.uniform(*between, DISTANCES):
        for angle in rng.uniform(0, 2 * np.pi, ANGLES):
            x = round(centre_x + distance * np.cos(angle) - w / 2)
            y = round(centre_y + distance * np.sin(angle) - h / 2)
            inside = 0 <= x <= side - w and 0 <= y <= side - h
            if inside and free((x, y, x + w, y + h), taken):
                return x, y, x + w, y + h
    return None
