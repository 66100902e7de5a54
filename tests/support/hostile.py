"""A data set that Ultralytics' own scan would change, and all that a program could change in a folder."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

GOOD = 8
"""Readable images per split, two of which are JPEGs without end marker."""
UNREADABLE = {
    "end.jpg": "truncated",
    "cut.jpg": "truncated",
    "text.jpg": "cannot identify",
    "empty.png": "empty",
    "tiny.png": "8 x 8",
}
"""Training images that cannot be read, with a word of the reason."""


class _Payload:
    """Leaves a file where it is unpickled."""

    def __init__(self, place: Path):
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.place,)


def make_hostile(folder: Path) -> Path:
    """Write the data set, two classes of squares on noise at 64 px; return its data YAML."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for i in range(GOOD):
            _write_pair(folder, split, f"{i}.jpg" if i < 6 else f"{i}.png", rng)
        for i in (0, 1):
            image = folder / "images" / split / f"{i}.jpg"
            image.write_bytes(image.read_bytes() + b"\0\0" if i else image.read_bytes()[:-2] + b"\0" * 600)
    _add_unreadable(folder / "images" / "train", rng)
    images = folder / "images" / "train"
    np.save(images / "2.npy", np.zeros((64, 64, 3), np.uint8))  # other pixels than those of 2.jpg
    np.save(images / "3.npy", np.zeros((64, 64), np.uint16))  # overwritten by Ultralytics
    (images / "4.npy").write_bytes(b"damaged")  # deleted by Ultralytics
    for split in ("train", "val"):
        np.save(folder / "cache.npy", np.array(_Payload(folder / "unpickled"), dtype=object), allow_pickle=True)
        (folder / "cache.npy").rename(folder / "labels" / f"{split}.cache")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [dark, light]\n")
    return folder / "data.yaml"


def _write_pair(folder: Path, split: str, name: str, rng: np.random.Generator) -> None:
    pixels, number = rng.integers(90, 160, (64, 64, 3), dtype=np.uint8), int(rng.integers(2))
    x, y = rng.integers(0, 32, 2)
    pixels[y : y + 32, x : x + 32] = 255 * number
    turned = Image.Exif()
    turned[274] = 6 if name == "1.jpg" else 1  # the orientation that a camera notes
    Image.fromarray(pixels).save(folder / "images" / split / name, exif=turned)
    label = folder / "labels" / split / f"{Path(name).stem}.txt"
    label.write_text(f"{number} {(x + 16) / 64} {(y + 16) / 64} 0.5 0.5\n")


def _add_unreadable(images: Path, rng: np.random.Generator) -> None:
    for name in UNREADABLE:
        (images.parent.parent / "labels" / "train" / f"{Path(name).stem}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    whole = (images / "5.jpg").read_bytes()
    (images / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (images / "end.jpg").write_bytes(whole[:-2])
    (images / "text.jpg").write_text("not an image")
    (images / "empty.png").touch()
    Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(images / "tiny.png")


def state_of(folder: Path) -> dict[str, tuple[object, ...]]:
    """Content, inode, mode, size and times of every file and folder below `folder`, and of itself.

    A file that is written into a folder and removed again changes the folder's time.
    """
    found: dict[str, tuple[object, ...]] = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        s = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (content, s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
    return found


def copy_of(data: Path, folder: Path) -> Path:
    """Copy a data set without `.npy` and `.cache` files; return the data YAML of the copy."""
    shutil.copytree(data.parent, folder, ignore=shutil.ignore_patterns("*.npy", "*.cache"))
    return folder / data.name


def make_read_only(folder: Path) -> None:
    """Take all permissions to write away."""
    for path in [folder, *folder.rglob("*")]:
        os.chmod(path, 0o555 if path.is_dir() else 0o444)
