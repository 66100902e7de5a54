"""The images of a split, listed as Ultralytics lists them, and random shares of them. No torch."""

import glob
import os
import random
from collections.abc import Iterable, Sequence
from math import inf
from pathlib import Path
from typing import Any

from gamsearch.errors import DataError, OptionError
from gamsearch.files import UnreadableError, read_regular

IMAGE_SUFFIXES = ("avif", "bmp", "dng", "heic", "heif", "jp2", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp")

LONGEST_LIST = 256 << 20
"""Bytes of a text file that lists images."""
SHARE_SEED = 0
"""Seed of the share of the data, not of a training, so that trainings at several seeds see the same images."""


def images_of(file: Path, split: str, entries: Sequence[str], root: Path) -> tuple[Path, ...]:
    """Return the sorted images of a split; no image, or one that is listed twice, raises."""
    images = listed_images(_place(file, split, entry, root) for entry in entries)
    if not images:
        raise DataError(
            f"`{split}` of {file} holds no image (looked in {root}, {entries}): put images there or correct the entry"
        )
    whole = sorted(map(os.path.abspath, images))
    twice = next((a for a, b in zip(whole, whole[1:], strict=False) if a == b), None)
    if twice:
        raise DataError(f"`{split}` of {file} lists {twice} more than once: name each folder and each image once")
    return tuple(map(Path, images))


def listed_images(places: Iterable[Path]) -> list[str]:
    """List images as Ultralytics does.

    Args:
        places: Folders, and text files that list images.

    Returns:
        The images, sorted.
    """
    lines = [line for place in places for line in _lines(place)]
    return sorted(line.replace("/", os.sep) for line in lines if line.rpartition(".")[2].lower() in IMAGE_SUFFIXES)


def training_images(places: str | list[str], fraction: Any, folder: Path) -> str | list[str]:
    """Resolve where a training's images are.

    Args:
        places: What the data YAML lists for `train`.
        fraction: The share of them that is used; see `random_share`.
        folder: The training's folder; a share is listed there in `share.txt`.

    Returns:
        The places, or the path of that list.
    """
    if fraction == 1.0:
        return places
    images = listed_images(map(Path, places if isinstance(places, list) else [places]))
    listing = folder / "share.txt"
    listing.write_text("\n".join(random_share(images, fraction)), encoding="utf-8")
    return str(listing)


def random_share(images: Sequence[str], fraction: Any) -> list[str]:
    """Choose a random share of images, always the same one; a smaller share is part of a larger one.

    Ultralytics takes the first images by name instead, which is often the order of recording.

    Args:
        images: The images.
        fraction: A ratio in (0, 1], or a number of images above 1.

    Returns:
        The share, in the images' order.

    Raises:
        OptionError: The fraction is neither.
    """
    number = isinstance(fraction, (int, float)) and not isinstance(fraction, bool)
    if not number or not (0 < fraction <= 1 or (1 < fraction < inf and fraction == int(fraction))):
        raise OptionError(
            f"--train fraction must be a share of the training images, above 0 and up to 1, or their number, but is "
            f"{fraction}; validation always uses all of its images"
        )
    count = int(fraction) if fraction > 1 else max(1, round(len(images) * fraction))
    order = list(range(len(images)))
    random.Random(SHARE_SEED).shuffle(order)
    return [images[i] for i in sorted(order[:count])]


def _place(file: Path, split: str, entry: str, root: Path) -> Path:
    """Return the folder or text file that an entry means; a leading `../` is tried without it, as Ultralytics does."""
    place = Path(os.path.realpath(root / entry))  # `resolve` fails for a link to itself
    if not place.exists() and entry.startswith("../"):
        place = Path(os.path.realpath(root / entry[3:]))
    if place.exists():
        return place
    beside = root != file.parent.resolve() and (file.parent / entry).exists()
    hint = "remove `path`, since this is beside the YAML" if beside else "correct this entry or `path`"
    raise DataError(f"`{split}: {entry}` of {file} does not exist (looked for {root / entry}): {hint}")


def _lines(place: Path) -> Iterable[str]:
    """Return the files below a folder, hidden ones left out, or those that a text file lists, one per line."""
    if place.is_dir():
        return glob.glob(f"{glob.escape(str(place))}/**/*.*", recursive=True)
    try:
        content = read_regular(place, LONGEST_LIST)
    except UnreadableError as error:
        raise DataError(f"{place} must be a folder of images or a text file that lists them, but {error}") from error
    lines = content.decode("utf-8-sig", errors="ignore").strip().splitlines()
    return [line.replace("./", f"{place.parent}{os.sep}", 1) if line.startswith("./") else line for line in lines]
