"""A YOLO detection data set, checked before anything is trained; neither torch nor Ultralytics is needed for that."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gamsearch.errors import DataError
from gamsearch.training.data_yaml import entries_of, find_data_yaml, read_mapping, read_names, root_of
from gamsearch.training.images import images_of
from gamsearch.training.labels import count_boxes, has_polygons, label_path, label_text
from gamsearch.training.readable import training_size, unreadable

NAMED = 5
"""Most images that a message names."""
MANY = 0.01
"""Share of a split above which unreadable images are named in the report as well."""


@dataclass(frozen=True)
class DataSet:
    """A data set that has been read and checked.

    Attributes:
        yaml: The data YAML.
        names: Class names by number.
        train: Training images.
        val: Validation images.
        boxes: Labelled objects in train and in val.
        fingerprint: Twelve hexadecimal digits of the names, the relative image names, their sizes in bytes (see
            `training_size`) and the label texts; order and location on disk do not matter.
        lines: What the fingerprint is made of, a line per class and per image.
        polygons: Number of label files that hold polygons.
        unreadable: Images that cannot be read and are left out of `train` and `val`, by split, each with the reason;
            empty before `checked`.
    """

    yaml: Path
    names: dict[int, str]
    train: tuple[Path, ...]
    val: tuple[Path, ...]
    boxes: tuple[int, int]
    fingerprint: str
    lines: tuple[str, ...] = field(repr=False, default=())
    polygons: int = 0
    unreadable: Mapping[str, Mapping[Path, str]] = field(default_factory=dict)

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
        splits = {"train": train, "val": val}
        labels = [_read_labels(file, split, images, len(names), root) for split, images in splits.items()]
        classes = [f"name {number} {name}" for number, name in names.items()]
        lines = tuple(sorted([*classes, *labels[0].lines, *labels[1].lines]))
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
        boxes, polygons = (labels[0].boxes, labels[1].boxes), labels[0].polygons + labels[1].polygons
        return cls(file, names, train, val, boxes, digest, lines, polygons)

    def checked(self) -> "DataSet":
        """Open every image.

        Returns:
            The data set without the images that cannot be read, which are in `unreadable`; the fingerprint stays.

        Raises:
            DataError: No image of a split can be read.
        """
        found = {"train": unreadable(self.train), "val": unreadable(self.val)}
        if not any(found.values()):
            return self
        kept, boxes = [], []
        for split, images, count in zip(found, (self.train, self.val), self.boxes, strict=True):
            kept.append(tuple(image for image in images if image not in found[split]))
            lost = [(path, label_text(path)) for path in map(label_path, found[split])]
            boxes.append(count - sum(count_boxes(path, text, self.nc) for path, text in lost if text))
            if not boxes[-1]:
                image, reason = next(iter(found[split].items()))
                raise DataError(f"no {split} image of {self.yaml} with a box can be read, e.g. {image}: {reason}")
        unread = {split: images for split, images in found.items() if images}
        return replace(self, train=kept[0], val=kept[1], boxes=(boxes[0], boxes[1]), unreadable=unread)

    @property
    def notes(self) -> list[str]:
        """What the user should know of the data: a sentence on unreadable images per split, and one on polygons."""
        notes = [self._left_out(split) for split in self.unreadable]
        if self.polygons:
            files = "label file holds" if self.polygons == 1 else "label files hold"
            notes.append(f"{self.polygons} {files} polygons (segmentation); their bounding boxes are used")
        return notes

    @property
    def warnings(self) -> list[str]:
        """The notes on splits of which more than `MANY` cannot be read; the report shows them."""
        sizes = {"train": len(self.train), "val": len(self.val)}
        many = [s for s, lost in self.unreadable.items() if len(lost) > MANY * (len(lost) + sizes[s])]
        return [self._left_out(split) for split in many]

    def _left_out(self, split: str) -> str:
        lost = self.unreadable[split]
        total = len(lost) + len(self.train if split == "train" else self.val)
        named = [f"{image.name} ({reason})" for image, reason in lost.items()]
        more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
        return (
            f"{len(lost)} of {total} {split} images cannot be read and {'is' if len(lost) == 1 else 'are'} left out: "
            f"{', '.join(named[:NAMED])}{more}"
        )


def _refuse_shared(file: Path, train: Sequence[Path], val: Sequence[Path]) -> None:
    shared = {os.path.abspath(image) for image in train} & {os.path.abspath(image) for image in val}
    if shared:
        raise DataError(
            f"`train` and `val` of {file} share {len(shared)} images, e.g. {min(shared)}: scores on "
            "training images cannot rank candidates, so keep the val images out of train"
        )


@dataclass(frozen=True)
class _Labels:
    """The labels of a split: number of boxes and of files with polygons, and one digest line per image."""

    boxes: int
    polygons: int
    lines: list[str]


def _read_labels(file: Path, split: str, images: Sequence[Path], nc: int, root: Path) -> _Labels:
    """Read the labels of a split; no label file or no box at all raises."""
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
    polygons = sum(has_polygons(text) for text in texts.values() if text)
    return _Labels(boxes, polygons, [_digest(split, image, text, root) for image, text in texts.items()])


def _digest(split: str, image: Path, text: str | None, root: Path) -> str:
    try:
        size = training_size(image)
    except OSError:
        raise DataError(f"`{split}` lists the image {image}, which does not exist: correct the list") from None
    name = image.relative_to(root).as_posix() if image.is_relative_to(root) else image.name
    return f"{split} {name} {size} {hashlib.sha256((text or '').encode()).hexdigest()}"
