"""A YOLO detection data set, checked before anything is trained; found as Ultralytics finds it, never downloaded.

No torch and no ultralytics here: a mistake in the data is told within a second.
"""

import glob
import hashlib
import importlib.util
import json
import os
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gamsearch.errors import DataError, OptionError
from gamsearch.files import UnreadableError, read_yaml
from gamsearch.training.labels import count_boxes, label_path, label_text

IMAGE_SUFFIXES = ("avif", "bmp", "dng", "heic", "heif", "jp2", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp")

SHARE_SEED = 0
"""Draws the share of the data; not the seed of a training, so that trainings at several seeds see the same images."""


@dataclass(frozen=True)
class DataSet:
    """The data YAML, the class names by number, the images of both splits and what was found in their labels.

    `boxes` counts the labelled objects of train and val. `fingerprint` is twelve hexadecimal digits over the names,
    the relative image names, their sizes in bytes and the label texts; order and place on disk do not matter.
    """

    yaml: Path
    names: dict[int, str]
    train: tuple[Path, ...]
    val: tuple[Path, ...]
    boxes: tuple[int, int]
    fingerprint: str

    @property
    def nc(self) -> int:
        return len(self.names)

    @property
    def summary(self) -> str:
        """E.g. `bccd.yaml: 205 train and 87 val images, 3 classes (RBC, WBC, Platelets), 2804 and 1137 boxes`."""
        names = list(self.names.values())
        shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        return (
            f"{self.yaml.name}: {len(self.train)} train and {len(self.val)} val images, "
            f"{self.nc} class{'es' if self.nc > 1 else ''} ({shown}), {self.boxes[0]} and {self.boxes[1]} boxes"
        )

    @classmethod
    def read(cls, path: str | Path) -> "DataSet":
        """Read and check a data YAML, or raise `DataError` with one sentence: what, where, how to mend."""
        file = _found(Path(path))
        form = _mapping(file)
        names, root = _names(file, form), _root(file, form)
        train, val = (_images(file, split, _entries(file, form, split), root) for split in ("train", "val"))
        _refuse_shared(file, train, val)
        train_boxes, train_lines = _read_labels(file, "train", train, len(names), root)
        val_boxes, val_lines = _read_labels(file, "val", val, len(names), root)
        lines = [f"name {number} {name}" for number, name in names.items()] + train_lines + val_lines
        digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:12]
        return cls(file, names, train, val, (train_boxes, val_boxes), digest)


# ── the YAML ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _found(path: Path) -> Path:
    """Return the data YAML that `path` means: a file, or the name of a stock Ultralytics data set already fetched."""
    if path.is_dir():
        raise DataError(
            f"--data must name a YAML file, but {path} is a folder: name the YAML in it that has train, val and names"
        )
    stock = None if path.exists() else _stock(path)
    if stock and _is_fetched(stock):
        return stock
    if stock:
        raise DataError(
            f"{path} is a data set of Ultralytics, and gamsearch downloads no data: fetch it once with "
            f"`python -c \"import ultralytics.data.utils as u; u.check_det_dataset('{stock.name}')\"` and run again"
        )
    if not path.exists():
        raise DataError(
            f"the data YAML {path} does not exist (looked in {path.absolute().parent}): check the spelling of --data"
        )
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise DataError(
            f"the data file must end in .yaml or .yml for Ultralytics to read it, but it is {path}: rename it"
        )
    return path.absolute()


def _stock(path: Path) -> Path | None:
    """Return the data YAML of that name in the Ultralytics package, which is looked at but not imported."""
    spec = importlib.util.find_spec("ultralytics")
    if spec is None or spec.origin is None or path.parent != Path("."):
        return None
    file = Path(spec.origin).parent / "cfg" / "datasets" / (path.name if path.suffix else f"{path.name}.yaml")
    return file if file.is_file() else None


def _is_fetched(stock: Path) -> bool:
    form = _mapping(stock)
    root = _root(stock, form)
    return all((root / entry).exists() for split in ("train", "val") for entry in _entries(stock, form, split))


def _mapping(file: Path) -> dict[str, Any]:
    try:
        form = read_yaml(file)
    except OSError as error:
        raise DataError(f"the data YAML {file} cannot be read: {error.strerror}") from error
    except UnreadableError as error:
        raise DataError(f"the data YAML {file} is not valid YAML: {error}") from error
    if not isinstance(form, dict):
        came = "nothing" if form is None else f"a {type(form).__name__}"
        raise DataError(f"the data YAML {file} must be a mapping with train, val and names, but holds {came}")
    return {key: None if value == "None" else value for key, value in form.items()}


def _names(file: Path, form: dict[str, Any]) -> dict[int, str]:
    """Return the class names by number, 0 to nc - 1, from a list or a mapping."""
    names = form.get("names")
    if not names:
        raise DataError(f"{file} has no `names`: add the class names, e.g. `names: [cat, dog]`")
    if not isinstance(names, (list, dict)):
        raise DataError(f"`names` in {file} must be a list or a mapping from number to name, but is {names!r}")
    pairs = names.items() if isinstance(names, dict) else enumerate(names)
    try:
        numbered = {int(number): str(name) for number, name in pairs}
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"`names` in {file} must map class numbers to names, but its keys are {list(names)[:5]}"
        ) from None
    if sorted(numbered) != list(range(len(names))):
        raise DataError(
            f"`names` in {file} must number its {len(names)} classes 0 to {len(names) - 1}, but has {sorted(numbered)}"
        )
    _check_nc(file, form, len(names))
    return dict(sorted(numbered.items()))


def _check_nc(file: Path, form: dict[str, Any], count: int) -> None:
    if "nc" in form and str(form["nc"]) not in (str(count), f"{count}.0"):
        raise DataError(
            f"`nc: {form['nc']}` in {file} must equal the number of `names`, {count}: correct it or leave it out"
        )


# ── the images ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _root(file: Path, form: dict[str, Any]) -> Path:
    """Return the folder that train and val start from.

    As in Ultralytics: the folder of the YAML where there is no `path`; a relative `path` is tried from the working
    directory, then from the `datasets_dir` of the Ultralytics settings.
    """
    given = form.get("path")
    if not given:
        return file.parent.resolve()
    if not isinstance(given, str) or "\0" in given:
        raise DataError(f"`path` in {file} must be a folder, but is {given!r}")
    path = Path(given)
    return (path if path.exists() or path.is_absolute() else _datasets_dir() / path).resolve()


def _datasets_dir() -> Path:
    settings = _config_dir() / "Ultralytics" / "settings.json"
    try:
        return Path(json.loads(settings.read_text(encoding="utf-8"))["datasets_dir"])
    except (OSError, ValueError, KeyError, TypeError):
        return Path("datasets").absolute()


def _config_dir() -> Path:
    """Return the folder of the Ultralytics settings, by its own rule."""
    home = {"win32": Path.home() / "AppData" / "Roaming", "darwin": Path.home() / "Library" / "Application Support"}
    fallback = home.get(sys.platform) or Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(os.environ.get("YOLO_CONFIG_DIR") or fallback).expanduser()


def _entries(file: Path, form: dict[str, Any], split: str) -> list[str]:
    entries = form.get(split) or (form.get("validation") if split == "val" else None)
    if not entries:
        raise DataError(f"{file} has no `{split}`: add the folder (or the .txt list) of its {split} images")
    listed = entries if isinstance(entries, list) else [entries]
    if not all(isinstance(entry, str) and "\0" not in entry for entry in listed):
        raise DataError(f"`{split}` in {file} must be a folder, a .txt file or a list of these, but is {entries!r}")
    return listed


def _images(file: Path, split: str, entries: Sequence[str], root: Path) -> tuple[Path, ...]:
    """Return the sorted images of a split; no image, or one that is listed twice, raises."""
    images = listed_images(_place(file, split, entry, root) for entry in entries)
    if not images:
        raise DataError(
            f"`{split}` of {file} holds no image (looked in {root}, {entries}): put images there or correct it"
        )
    whole = sorted(map(os.path.abspath, images))
    twice = next((a for a, b in zip(whole, whole[1:], strict=False) if a == b), None)
    if twice:
        raise DataError(f"`{split}` of {file} lists {twice} more than once: name each folder and each image once")
    return tuple(map(Path, images))


def listed_images(places: Iterable[Path]) -> list[str]:
    """Return the sorted images in folders and text files, as Ultralytics lists them."""
    lines = [line for place in places for line in _lines(place)]
    return sorted(line.replace("/", os.sep) for line in lines if line.rpartition(".")[2].lower() in IMAGE_SUFFIXES)


def random_share(images: Sequence[str], fraction: Any) -> list[str]:
    """Return a random share of `images`, in their order: the same one whenever it is asked for.

    `fraction` is a ratio in (0, 1] or a number of images above 1, else `OptionError`. Ultralytics takes the first
    images in the order of their names instead, which often is the order of recording. A smaller share is part of a
    larger one.
    """
    number = isinstance(fraction, (int, float)) and not isinstance(fraction, bool)
    if not number or not (0 < fraction <= 1 or (fraction > 1 and fraction == int(fraction))):
        raise OptionError(
            f"--train fraction takes the share of the training images, above 0 and up to 1, or their number, not "
            f"{fraction}; validation always uses all of its images"
        )
    count = int(fraction) if fraction > 1 else max(1, round(len(images) * fraction))
    order = list(range(len(images)))
    random.Random(SHARE_SEED).shuffle(order)
    return [images[i] for i in sorted(order[:count])]


def _place(file: Path, split: str, entry: str, root: Path) -> Path:
    """Return the folder or text file that an entry means; a leading `../` is tried without it, as Ultralytics does."""
    place = (root / entry).resolve()
    if not place.exists() and entry.startswith("../"):
        place = (root / entry[3:]).resolve()
    if place.exists():
        return place
    beside = root != file.parent.resolve() and (file.parent / entry).exists()
    hint = "leave `path` out, for it is there beside the YAML" if beside else "correct this entry or `path`"
    raise DataError(f"`{split}: {entry}` of {file} does not exist (looked for {root / entry}): {hint}")


def _lines(place: Path) -> Iterable[str]:
    """Return the files below a folder, hidden ones left out, or those that a text file lists, one a line."""
    if place.is_dir():
        return glob.glob(f"{glob.escape(str(place))}/**/*.*", recursive=True)
    lines = place.read_text(encoding="utf-8-sig", errors="ignore").strip().splitlines()
    return [line.replace("./", f"{place.parent}{os.sep}", 1) if line.startswith("./") else line for line in lines]


def _refuse_shared(file: Path, train: Sequence[Path], val: Sequence[Path]) -> None:
    shared = {os.path.abspath(image) for image in train} & {os.path.abspath(image) for image in val}
    if shared:
        raise DataError(
            f"`train` and `val` of {file} share {len(shared)} images, e.g. {min(shared)}: a search judged on its "
            "training images ranks nothing, so keep the val images out of train"
        )


def _read_labels(file: Path, split: str, images: Sequence[Path], nc: int, root: Path) -> tuple[int, list[str]]:
    """Return the number of boxes of a split and one digest line per image; no label file or no box at all raises."""
    texts = {image: label_text(label_path(image)) for image in images}
    first = label_path(images[0])
    if all(text is None for text in texts.values()):
        raise DataError(
            f"no label file for any of the {len(images)} {split} images of {file}: write them where Ultralytics "
            f"looks, {first} for {images[0]}"
        )
    boxes = sum(count_boxes(label_path(image), text, nc) for image, text in texts.items() if text)
    if not boxes:
        raise DataError(f"no box in any {split} label file of {file}, e.g. {first}: add rows of class x y width height")
    return boxes, [_digest(split, image, text, root) for image, text in texts.items()]


def _digest(split: str, image: Path, text: str | None, root: Path) -> str:
    try:
        size = image.stat().st_size
    except OSError:
        raise DataError(f"`{split}` lists the image {image}, which does not exist: correct the list") from None
    if not size:
        raise DataError(f"the image {image} is empty (0 bytes): replace it or take it out")
    name = image.relative_to(root).as_posix() if image.is_relative_to(root) else image.name
    return f"{split} {name} {size} {hashlib.sha256((text or '').encode()).hexdigest()}"
