"""Ultralytics' data set without its writes: no JPEG is restored in place, no `labels.cache`, no `.npy` of an image.

An image's `.npy` and the label cache beside the data are not read either: a training uses images and label files alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ultralytics.data import build
from ultralytics.data import dataset as datasets

from gamsearch.errors import DataError
from gamsearch.training.readable import problem, readable_copy

_verify = datasets.verify_image_label


class _Nowhere:
    """The paths of the `.npy` files of a data set, none of which exists."""

    def __getitem__(self, i: int) -> Path:
        return Path("/dev/null/none")


class ReadOnlyDataset(datasets.YOLODataset):
    """A detection data set that leaves the files of the user as they are.

    Images, labels and pixels are those of Ultralytics' own class on a copy of the data without `.npy` files.
    """

    @property
    def npy_files(self) -> Any:
        """The `.npy` beside an image, which Ultralytics would train on, overwrite or delete; there is none here."""
        return _Nowhere()

    @npy_files.setter
    def npy_files(self, value: Any) -> None:
        pass

    def get_labels(self) -> list[dict[str, Any]]:
        """Scan images and label files; `DataError` if an image is left out that can be read."""
        listed = list(self.im_files)
        with _scan_without_writing():
            labels: list[dict[str, Any]] = super().get_labels()
        lost = next((image for image in sorted({*listed} - {*self.im_files}) if not problem(image)), None)
        if lost is not None:
            raise DataError(f"Ultralytics cannot use the image {lost} with its labels; correct or remove them")
        return labels

    def load_image(self, i: int, *args: Any, **options: Any) -> Any:
        """Load an image; a JPEG without end marker is restored in a temporary copy."""
        image = self.im_files[i]
        if self.ims[i] is not None:
            return super().load_image(i, *args, **options)
        try:
            with readable_copy(image) as place:
                self.im_files[i] = place
                return super().load_image(i, *args, **options)
        except OSError as error:
            raise DataError(f"the image {image} cannot be decoded or is gone; restore or remove it") from error
        finally:
            self.im_files[i] = image


@contextmanager
def read_only_data() -> Iterator[None]:
    """Let Ultralytics build `ReadOnlyDataset` wherever it would build its own detection data set."""
    original = build.YOLODataset
    build.YOLODataset = ReadOnlyDataset  # type: ignore[misc]
    try:
        yield
    finally:
        build.YOLODataset = original  # type: ignore[misc]


@contextmanager
def _scan_without_writing() -> Iterator[None]:
    """Replace what Ultralytics' scan uses: the label cache (a pickle, which could run any code) and the image check."""
    names = ("load_dataset_cache_file", "save_dataset_cache_file", "verify_image_label")
    originals = {name: getattr(datasets, name) for name in names}
    for name, replacement in zip(names, (_no_cache, _keep_nothing, _verified), strict=True):
        setattr(datasets, name, replacement)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(datasets, name, original)


def _no_cache(path: Path) -> Any:
    raise FileNotFoundError(path)


def _keep_nothing(prefix: str, path: Path, content: dict[str, Any], version: str) -> None:
    content["version"] = version


def _verified(arguments: tuple[Any, ...]) -> list[Any]:
    """Ultralytics' check of an image and its labels; it sees a restored copy of a JPEG without end marker."""
    image, *others = arguments
    if reason := problem(image):
        return [*[None] * 5, 0, 0, 0, 1, f"{image}: {reason}"]
    with readable_copy(image) as place:
        found, *rest = _verify((place, *others))
    return [image if found else None, *rest]
