"""Ultralytics' data sets without their writes: no JPEG is restored in place, no label cache, no `.npy` of an image.

An image's `.npy` and the label cache beside the data are not read either: a training uses images and label files alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ultralytics.data import build
from ultralytics.data import dataset as datasets
from ultralytics.models.rtdetr import train as rtdetr_train
from ultralytics.models.rtdetr import val as rtdetr_val
from ultralytics.models.yolo.classify import train as classify_train
from ultralytics.models.yolo.classify import val as classify_val

from gamsearch.errors import DataError
from gamsearch.training.images import random_share
from gamsearch.training.readable import problem, readable_copy

_verify, _verify_classified = datasets.verify_image_label, datasets.verify_image


class _Nowhere:
    """The paths of the `.npy` files of a data set, none of which exists."""

    def __getitem__(self, i: int) -> Path:
        return Path("/dev/null/none")


class ReadOnlyDataset(datasets.YOLODataset):
    """A data set of images with label files that leaves the files of the user as they are.

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


class ReadOnlyRTDETRDataset(ReadOnlyDataset, rtdetr_val.RTDETRDataset):
    """The same with images stretched to squares, as RT-DETR has them."""


class ReadOnlyClassificationDataset(datasets.ClassificationDataset):
    """A data set of class folders that leaves the files of the user as they are; a share of the images is random."""

    def __init__(self, root: str, args: Any, augment: bool = False, prefix: str = "", **options: Any):
        self._fraction = args.fraction if prefix == "train" else 1.0
        whole, args.fraction = args.fraction, 1.0  # Ultralytics would take a share of its own
        try:
            super().__init__(root, args, augment, prefix, **options)
        finally:
            args.fraction = whole

    def verify_images(self) -> list[Any]:
        """Check the images; those that cannot be read are left out."""
        with _scan_without_writing():
            samples = super().verify_images()
        shared = {*random_share([str(file) for file, *_ in samples], self._fraction)}
        return [sample for sample in samples if str(sample[0]) in shared]

    @staticmethod
    def imread(f: str) -> Any:
        """Read an image; a JPEG without end marker is restored in a temporary copy."""
        try:
            with readable_copy(f) as place:
                image = datasets.ClassificationDataset.imread(place)
        except OSError as error:
            raise DataError(f"the image {f} cannot be decoded or is gone; restore or remove it") from error
        return image


@contextmanager
def read_only_data() -> Iterator[None]:
    """Let Ultralytics build our data sets wherever it would build its own."""
    with _replaced(
        (build, "YOLODataset", ReadOnlyDataset),
        *((one, "RTDETRDataset", ReadOnlyRTDETRDataset) for one in (rtdetr_train, rtdetr_val)),
        *((one, "ClassificationDataset", ReadOnlyClassificationDataset) for one in (classify_train, classify_val)),
    ):
        yield


@contextmanager
def _scan_without_writing() -> Iterator[None]:
    """Replace what Ultralytics' scan uses: the label cache (a pickle, which could run any code) and the image check."""
    with _replaced(
        (datasets, "load_dataset_cache_file", _no_cache),
        (datasets, "save_dataset_cache_file", _keep_nothing),
        (datasets, "verify_image_label", _verified),
        (datasets, "verify_image", _classified),
    ):
        yield


@contextmanager
def _replaced(*replacements: tuple[Any, str, Any]) -> Iterator[None]:
    """Replace attributes of modules, given as `(module, name, value)`."""
    originals = [(module, name, getattr(module, name)) for module, name, _ in replacements]
    try:
        for module, name, value in replacements:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in originals:
            setattr(module, name, value)


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


def _classified(arguments: tuple[Any, ...]) -> Any:
    """Ultralytics' check of an image in a class folder; it sees a restored copy of a JPEG without end marker."""
    (image, number), prefix = arguments
    if reason := problem(image):
        return (image, number), 0, 1, f"{image}: {reason}"
    with readable_copy(image) as place:
        _, *rest = _verify_classified(((place, number), prefix))
    return ((image, number), *rest)
