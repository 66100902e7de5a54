"""A YOLO detection data set, checked before anything is trained; neither torch nor Ultralytics is needed for that."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gamsearch.errors import DataError
from gamsearch.training.data_yaml import entries_of, find_data_yaml, read_mapping, read_names, root_of
from gamsearch.training.images import images_of
from gamsearch.training.labels import count_boxes, label_path, label_text


@dataclass(frozen=True)
class DataSet:
    """A data set that has been read and checked.

    Attributes:
        yaml: The data YAML.
        names: Class names by number.
        train: Training images.
        val: Validation images.
        boxes: Labelled objects in train and in val.
        fingerprint: Twelve hexadecimal digits of the names, the relative image names, their sizes in bytes and the
            label texts; order and location on disk do not matter.
    """

    yaml: Path
    names: dict[int, str]
    train: tuple[Path, ...]
    val: tuple[Path, ...]
    boxes: tuple[int, int]
    fingerprint: str

    @property
    def nc(self) -> int:
        """Number of classes."""
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
        """Read and check a data set.

        Args:
            path: Its data YAML, or the name of a stock Ultralytics data set that is already on this machine.

        Returns:
            The data set.

        Raises:
            DataError: Something is missing or malformed; the message says what, where and how to fix it.
        """
        file = find_data_yaml(Path(path))
        form = read_mapping(file)
        names, root = read_names(file, form), root_of(file, form)
        train, val = (images_of(file, split, entries_of(file, form, split), root) for split in ("train", "val"))
        _refuse_shared(file, train, val)
        train_boxes, train_lines = _read_labels(file, "train", train, len(names), root)
        val_boxes, val_lines = _read_labels(file, "val", val, len(names), root)
        lines = [f"name {number} {name}" for number, name in names.items()] + train_lines + val_lines
        digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:12]
        return cls(file, names, train, val, (train_boxes, val_boxes), digest)


def _refuse_shared(file: Path, train: Sequence[Path], val: Sequence[Path]) -> None:
    shared = {os.path.abspath(image) for image in train} & {os.path.abspath(image) for image in val}
    if shared:
        raise DataError(
            f"`train` and `val` of {file} share {len(shared)} images, e.g. {min(shared)}: scores on "
            "training images cannot rank candidates, so keep the val images out of train"
        )


def _read_labels(file: Path, split: str, images: Sequence[Path], nc: int, root: Path) -> tuple[int, list[str]]:
    """Return the number of boxes of a split and one digest line per image; no label file or no box at all raises."""
    texts = {image: label_text(label_path(image)) for image in images}
    first = label_path(images[0])
    if all(text is None for text in texts.values()):
        raise DataError(
            f"no label file for any of the {len(images)} {split} images of {file}: write them where Ultralytics "
            f"looks for them, e.g. {first} for {images[0]}"
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
        raise DataError(f"the image {image} is empty (0 bytes): replace or remove it")
    name = image.relative_to(root).as_posix() if image.is_relative_to(root) else image.name
    return f"{split} {name} {size} {hashlib.sha256((text or '').encode()).hexdigest()}"
