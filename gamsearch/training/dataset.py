"""A YOLO data set, checked before anything is trained; neither torch nor Ultralytics is needed for that."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gamsearch.errors import DataError
from gamsearch.tasks import DETECT, Task
from gamsearch.training import class_folders
from gamsearch.training.data_yaml import entries_of, find_data_yaml, read_key_points, read_mapping, read_names, root_of
from gamsearch.training.images import images_of
from gamsearch.training.labels import LabelForm, has_polygons, label_path, label_text
from gamsearch.training.readable import training_size, unreadable

NAMED = 5
"""Most images that a message names."""
OBJECTS = {"segment": "polygons", "pose": "poses"}
"""What labels are called that are no boxes."""
MANY = 0.01
"""Share of a split above which unreadable images are named in the report as well."""


@dataclass(frozen=True)
class DataSet:
    """A data set that has been read and checked.

    Attributes:
        yaml: The data YAML; for classification, the folder.
        names: Class names by number.
        train: Training images.
        val: Validation images.
        boxes: Labelled objects in train and in val; for classification, images.
        fingerprint: Twelve hexadecimal digits of the names, the relative image names, their sizes in bytes (see
            `training_size`) and the label texts; order and location on disk do not matter.
        lines: What the fingerprint is made of, a line per class and per image.
        polygons: Number of label files that hold polygons.
        task: What the labels are for.
        kpt_shape: Number of key points and of values for each; empty where there are none.
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
    task: Task = DETECT
    kpt_shape: tuple[int, ...] = ()
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
        labels = f", {self.boxes[0]} and {self.boxes[1]} {OBJECTS.get(self.task.name, 'boxes')}"
        return (
            f"{self.yaml.name}: {len(self.train)} train and {len(self.val)} val images, "
            f"{self.nc} class{'es' if self.nc > 1 else ''} ({shown}){'' if self.task.name == 'classify' else labels}"
        )

    @classmethod
    def read(cls, path: str | Path, task: Task = DETECT) -> "DataSet":
        """Read and check a data set.

        Args:
            path: Its data YAML, or the name of a stock Ultralytics data set that is already on this machine; for
                classification, its folder.
            task: The task of the model, which decides what labels must hold.

        Returns:
            The data set.

        Raises:
            DataError: Something is missing or malformed; the message says what, where and how to fix it.
        """
        if task.name == "classify":
            return cls._of_folders(class_folders.find_folder(Path(path)), task)
        file = find_data_yaml(Path(path))
        form = read_mapping(file)
        kpt_shape = read_key_points(file, form) if task.name == "pose" else ()
        names, root = read_names(file, form), root_of(file, form)
        train, val = (images_of(file, split, entries_of(file, form, split), root) for split in ("train", "val"))
        _refuse_shared(file, train, val)
        splits = {"train": train, "val": val}
        rows = LabelForm(task, len(names), kpt_shape)
        labels = [_read_labels(file, split, images, rows, root) for split, images in splits.items()]
        points = [f"kpt_shape {' '.join(map(str, kpt_shape))}"] if kpt_shape else []
        digest, lines = _fingerprint(names, [*points, *labels[0].lines, *labels[1].lines])
        boxes, polygons = (labels[0].boxes, labels[1].boxes), labels[0].polygons + labels[1].polygons
        polygons = polygons if task is DETECT else 0
        return cls(file, names, train, val, boxes, digest, lines, polygons, task, kpt_shape)

    @classmethod
    def _of_folders(cls, folder: Path, task: Task) -> "DataSet":
        names = class_folders.read_classes(folder)
        places = {"train": folder / "train", "val": class_folders.validation_folder(folder)}
        found = {split: class_folders.images_by_class(place, names) for split, place in places.items()}
        lines = [_digest(split, i, name, folder) for split, images in found.items() for i, name in images.items()]
        digest, ordered = _fingerprint(names, lines)
        train, val = map(tuple, found.values())
        return cls(folder, names, train, val, (len(train), len(val)), digest, ordered, task=task)

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
            boxes.append(count - self._labels_of(found[split]))
            if not boxes[-1]:
                image, reason = next(iter(found[split].items()))
                raise DataError(f"no {split} image of {self.yaml} with a label can be read, e.g. {image}: {reason}")
        unread = {split: images for split, images in found.items() if images}
        return replace(self, train=kept[0], val=kept[1], boxes=(boxes[0], boxes[1]), unreadable=unread)

    def _labels_of(self, images: Iterable[Path]) -> int:
        """The number of labelled objects of some images."""
        if self.task.name == "classify":
            return len(list(images))
        form = LabelForm(self.task, self.nc, self.kpt_shape)
        texts = [(path, label_text(path)) for path in map(label_path, images)]
        return sum(form.count(path, text) for path, text in texts if text)

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


def _read_labels(file: Path, split: str, images: Sequence[Path], form: LabelForm, root: Path) -> _Labels:
    """Read the labels of a split; no label file or no box at all raises."""
    texts = {image: label_text(label_path(image)) for image in images}
    first = label_path(images[0])
    if all(text is None for text in texts.values()):
        raise DataError(
            f"no label file for any of the {len(images)} {split} images of {file}: write them where Ultralytics "
            f"looks for them, e.g. {first} for {images[0]}"
        )
    boxes = sum(form.count(label_path(image), text) for image, text in texts.items() if text)
    if not boxes:
        raise DataError(f"no row in any {split} label file of {file}, e.g. {first}: add rows of {form.rule}")
    polygons = sum(has_polygons(text) for text in texts.values() if text)
    return _Labels(boxes, polygons, [_digest(split, image, text, root) for image, text in texts.items()])


def _fingerprint(names: Mapping[int, str], lines: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The fingerprint, and the lines that it is made of."""
    ordered = tuple(sorted([*(f"name {number} {name}" for number, name in names.items()), *lines]))
    return hashlib.sha256("\n".join(ordered).encode()).hexdigest()[:12], ordered


def _digest(split: str, image: Path, text: str | None, root: Path) -> str:
    try:
        size = training_size(image)
    except OSError:
        raise DataError(f"`{split}` lists the image {image}, which does not exist: correct the list") from None
    name = image.relative_to(root).as_posix() if image.is_relative_to(root) else image.name
    return f"{split} {name} {size} {hashlib.sha256((text or '').encode()).hexdigest()}"


def training_images(path: str | Path) -> int:
    """Count the training images of a data set of any task; its labels are not read.

    Args:
        path: The data YAML, or the folder of a data set for classification.

    Returns:
        Their number.

    Raises:
        DataError: It cannot be read.
    """
    if class_folders.existing(Path(path)):
        folder = class_folders.find_folder(Path(path))
        return len(class_folders.images_by_class(folder / "train", class_folders.read_classes(folder)))
    file = find_data_yaml(Path(path))
    form = read_mapping(file)
    return len(images_of(file, "train", entries_of(file, form, "train"), root_of(file, form)))
