"""The demonstration data set: handwritten digits scattered over pictures, made offline, the same bytes each time.

The digits are the 1797 scans of 8 x 8 pixels that scikit-learn ships (UCI, optical recognition of handwritten digits),
the photographs its two sample images. Train and val share no scan.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gamsearch.errors import DataError

Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Size:
    """How much is drawn (images, px) and trained (epochs, images per batch) by a run without `--data`."""

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
MARKER = "gamsearch-demo.json"
VAL_SHARE = 0.25
INK = 0.35
DIGITS = (1, 4)
HEIGHT = (0.28, 0.55)
CONTRAST = (0.35, 0.9)


def make(folder: Path, train: int, val: int, imgsz: int, seed: int = 0) -> Path:
    """Return the data YAML of `train` and `val` pictures of `imgsz` x `imgsz` px in `folder`, drawing them if need be.

    A finished folder with the same parameters is left as it is; one of other parameters is replaced; a folder that
    holds anything else raises `DataError`. The folder appears at once and whole, so an interrupted call leaves none.
    """
    parameters = {"form": FORM, "train": train, "val": val, "imgsz": imgsz, "seed": seed}
    folder = Path(folder)
    if _finished(folder, parameters):
        return folder / "data.yaml"
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _fill(partial, parameters)
        partial.chmod(0o755)
        _swap(partial, folder, parameters)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder / "data.yaml"


def _finished(folder: Path, parameters: dict[str, int]) -> bool:
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    count = {split: len(list((folder / "images" / split).glob("*.png"))) for split in ("train", "val")}
    return bool(marker == parameters) and count == {"train": parameters["train"], "val": parameters["val"]}


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not (folder / MARKER).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f"the demonstration data set goes into a folder of its own, but {folder} holds something else: "
            "move that away, or name another results folder"
        )


def _swap(partial: Path, folder: Path, parameters: dict[str, int]) -> None:
    """Put `partial` in the place of `folder`; a concurrent call that finished first with the same pictures wins."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        os.replace(partial, folder)
    except OSError:
        if not _finished(folder, parameters):
            raise


def _fill(folder: Path, parameters: dict[str, int]) -> None:
    for number, split in enumerate(("train", "val")):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        rng = np.random.default_rng([parameters["seed"], number])
        scans = _scans(split, parameters["seed"], rng)
        for i in range(parameters[split]):
            picture, rows = _picture(parameters["imgsz"], scans, rng)
            Image.fromarray(picture).save(folder / "images" / split / f"{i:04d}.png", compress_level=1)
            _write(folder / "labels" / split / f"{i:04d}.txt", "".join(rows))
    names = "".join(f'  {digit}: "{digit}"\n' for digit in range(10))
    _write(folder / "data.yaml", f"train: images/train\nval: images/val\nnames:\n{names}")
    _write(folder / MARKER, json.dumps(parameters) + "\n")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _scans(split: str, seed: int, rng: np.random.Generator) -> Iterator[tuple[Floats, int]]:
    """Yield scans in 0..1 (`8 x 8`) and their digits without end; every scan of the split comes once per round."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    first_val = round(len(order) * (1 - VAL_SHARE))
    own = order[:first_val] if split == "train" else order[first_val:]
    while True:
        for i in rng.permutation(own):
            yield bunch.images[i] / 16.0, int(bunch.target[i])


def _picture(
    side: int, scans: Iterator[tuple[Floats, int]], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], list[str]]:
    """Draw one picture (`side x side x 3`) and its label rows (class, centre and size as shares of the side)."""
    canvas = BACKGROUNDS[rng.integers(len(BACKGROUNDS))](side, rng)
    taken: list[Box] = []
    rows = []
    for _ in range(rng.integers(DIGITS[0], DIGITS[1] + 1)):
        scan, digit = next(scans)
        mask = _enlarged(scan, side, rng)
        box = _free_place(mask.shape, side, taken, rng)
        if box is None:
            continue
        taken.append(box)
        x0, y0, x1, y1 = box
        canvas[y0:y1, x0:x1] = _inked(canvas[y0:y1, x0:x1], mask, rng)
        centre_and_size = ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)
        rows.append(" ".join([str(digit), *(f"{value / side:.6f}" for value in centre_and_size)]) + "\n")
    return (np.clip(canvas, 0, 1) * 255).round().astype(np.uint8), rows


def _enlarged(scan: Floats, side: int, rng: np.random.Generator) -> Floats:
    """Return the scan at a drawn size and slant as ink in 0..1, cut tightly to the pixels that show."""
    height = rng.uniform(*HEIGHT) * side
    width = height * rng.uniform(0.8, 1.2)
    picture = Image.fromarray((np.pad(scan, 1) * 255).astype(np.uint8))
    picture = picture.resize((round(width), round(height)), Image.Resampling.BICUBIC)
    picture = picture.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR)
    ink = np.clip(np.asarray(picture, dtype=np.float64) / 255 * 1.3, 0, 1)
    ys, xs = np.nonzero(ink > INK)
    return ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def _free_place(shape: tuple[int, ...], side: int, taken: list[Box], rng: np.random.Generator) -> Box | None:
    """Return a place for `shape` that keeps a pixel off every box in `taken`, or None after 30 tries."""
    h, w = shape
    for _ in range(30):
        x, y = int(rng.integers(0, side - w + 1)), int(rng.integers(0, side - h + 1))
        if all(x + w < a or c < x or y + h < b or d < y for a, b, c, d in taken):
            return x, y, x + w, y + h
    return None


def _inked(under: Floats, mask: Floats, rng: np.random.Generator) -> Floats:
    """Return `under` (`h x w x 3`) with the mask drawn in a colour lighter or darker than it by a drawn contrast."""
    level = float(under.mean())
    room = [sign for sign in (-1, 1) if 0 <= level + sign * CONTRAST[0] <= 1]
    target = level + rng.choice(room) * rng.uniform(*CONTRAST)
    colour = np.clip(target + rng.uniform(-0.12, 0.12, 3), 0, 1)
    return under + mask[:, :, None] * (colour - under)


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
