"""A data set for classification: `train` and `val`, each with one folder of images per class, as Ultralytics reads it.

Nothing is downloaded, and no images are moved to make a split that is missing. No torch.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from gamsearch.errors import DataError
from gamsearch.training.data_yaml import datasets_dir
from gamsearch.training.images import IMAGE_SUFFIXES

VALIDATION = ("val", "validation", "valid", "test")
"""Names of the folder of the validation images; the first that exists is used."""
FORM = "classification takes a folder with `train` and `val`, each with one folder of images per class"


def find_folder(path: Path) -> Path:
    """Find the folder of a data set.

    Args:
        path: A folder, or the name of one in the `datasets_dir` of the Ultralytics settings.

    Returns:
        Its absolute path.

    Raises:
        DataError: There is no such folder, or it has no `train` or no `val`.
    """
    folder = existing(path)
    if folder is None:
        found = "is a file" if path.exists() else f"does not exist (looked in {path.absolute().parent})"
        raise DataError(f"the data folder {path} {found}: {FORM}")
    if not (folder / "train").is_dir():
        raise DataError(f"{folder} has no folder `train`: {FORM}")
    if not any((folder / name).is_dir() for name in VALIDATION):
        raise DataError(f"{folder} has no folder `val`: {FORM}")
    return Path(os.path.realpath(folder))


def existing(path: Path) -> Path | None:
    """The folder that a path or a name means; None if there is none."""
    return next((one for one in (path, datasets_dir() / path) if one.is_dir()), None)


def validation_folder(folder: Path) -> Path:
    """The folder of the validation images of a data set."""
    return next(folder / name for name in VALIDATION if (folder / name).exists())


def read_classes(folder: Path) -> dict[int, str]:
    """Read the class names.

    Args:
        folder: The data set.

    Returns:
        The names of the folders in `train`, numbered in their order.

    Raises:
        DataError: There are fewer than two, or the validation images have others.
    """
    names, validation = _folders(folder / "train"), validation_folder(folder)
    if len(names) < 2:
        raise DataError(f"{folder / 'train'} has {len(names)} class folders, but must have at least two: {FORM}")
    for here, there in ((validation, folder / "train"), (folder / "train", validation)):
        alone = next((name for name in _folders(here) if not (there / name).is_dir()), None)
        if alone is not None:
            raise DataError(f"the class folder {here / alone} is missing in {there}: add images of it, or remove it")
    return dict(enumerate(names))


def images_by_class(split: Path, names: dict[int, str]) -> dict[Path, str]:
    """List the images of a split as Ultralytics does.

    Args:
        split: The folder of the split.
        names: Class names by number.

    Returns:
        The images in order, each with the name of its class.

    Raises:
        DataError: There is none.
    """
    found = {image: name for name in names.values() for image in _images(split / name)}
    if not found:
        raise DataError(f"no class folder in {split} holds an image: {FORM}")
    return found


def _folders(split: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(split) if entry.is_dir())


def _images(folder: Path) -> Iterator[Path]:
    for place, _, files in sorted(os.walk(folder, followlinks=True)):
        for name in sorted(files):
            if name.rpartition(".")[2].lower() in IMAGE_SUFFIXES:
                yield Path(place) / name
