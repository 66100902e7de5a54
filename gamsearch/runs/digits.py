"""Data sets that the package draws itself, offline, the same bytes each time: the folder, the scans, the ink.

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

Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px."""
Scans = Iterator[tuple[Floats, int]]
Draw = Callable[[int, Scans, np.random.Generator], tuple[Floats, list[tuple[int, Box]]]]
"""`(side, scans, rng) -> (picture, objects)`: `side x side x 3` in 0..1, and a class and a box per object."""

MARKER = "gamsearch-demo.json"
VAL_SHARE = 0.25
INK = 0.35
CONTRAST = (0.35, 0.9)


def make(folder: Path, parameters: Mapping[str, int], names: Sequence[str], draw: Draw) -> Path:
    """Return the data YAML of the data set in `folder`, drawing it if need be.

    `parameters` say all that decides the pictures, among it `train` and `val` (how many), `imgsz` (px) and `seed`. A
    finished folder with the same parameters is left as it is; one of other parameters is replaced; a folder that holds
    anything else raises `DataError`. The folder appears at once and whole, so an interrupted call leaves none.
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
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    count = {split: len(list((folder / "images" / split).glob("*.png"))) for split in ("train", "val")}
    return bool(marker == parameters) and count == {"train": parameters["train"], "val": parameters["val"]}


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not (folder / MARKER).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f"a drawn data set goes into a folder of its own, but {folder} holds something else: "
            "move that away, or name another results folder"
        )


def _swap(partial: Path, folder: Path, parameters: Mapping[str, int]) -> None:
    """Put `partial` in the place of `folder`; a concurrent call that finished first with the same pictures wins."""
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
            picture, objects = draw(side, source, rng)
            pixels = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / split / f"{i:04d}.png", compress_level=1)
            rows = "".join(_row(label, box, side) for label, box in objects)
            _write(folder / "labels" / split / f"{i:04d}.txt", rows)
    listed = "".join(f'  {number}: "{name}"\n' for number, name in enumerate(names))
    _write(folder / "data.yaml", f"train: images/train\nval: images/val\nnames:\n{listed}")
    _write(folder / MARKER, json.dumps(dict(parameters)) + "\n")


def _row(label: int, box: Box, side: int) -> str:
    """A line of a label file: class, centre and size as shares of the side."""
    x0, y0, x1, y1 = box
    centre_and_size = ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)
    return " ".join([str(label), *(f"{value / side:.6f}" for value in centre_and_size)]) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def scans(split: str, seed: int, rng: np.random.Generator) -> Scans:
    """Yield scans in 0..1 (`8 x 8`) and their digits without end; every scan of the split comes once per round."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    first_val = round(len(order) * (1 - VAL_SHARE))
    own = order[:first_val] if split == "train" else order[first_val:]
    while True:
        for i in rng.permutation(own):
            yield bunch.images[i] / 16.0, int(bunch.target[i])


def tight(ink: Floats) -> Floats:
    """`ink` in 0..1 cut to the rows and columns that show."""
    ys, xs = np.nonzero(ink > INK)
    return ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def free(box: Box, taken: Sequence[Box]) -> bool:
    """Whether `box` keeps a pixel off every box in `taken`."""
    x0, y0, x1, y1 = box
    return all(x1 < a or c < x0 or y1 < b or d < y0 for a, b, c, d in taken)


def inked(under: Floats, mask: Floats, rng: np.random.Generator) -> Floats:
    """Return `under` (`h x w x 3`) with the mask drawn in a colour lighter or darker than it by a drawn contrast."""
    level = float(under.mean())
    room = [sign for sign in (-1, 1) if 0 <= level + sign * CONTRAST[0] <= 1]
    target = level + rng.choice(room) * rng.uniform(*CONTRAST)
    colour = np.clip(target + rng.uniform(-0.12, 0.12, 3), 0, 1)
    return under + mask[:, :, None] * (colour - under)
