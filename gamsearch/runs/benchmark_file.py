"""One deployed file: written, compared with its model, validated; and its accuracy kept for later comparisons."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gamsearch.analysis.image_bootstrap import Detections, paired_bootstrap
from gamsearch.runs.benchmark_choice import Subject
from gamsearch.runs.conversion import convert, opened
from gamsearch.runs.export_formats import FP32, Format
from gamsearch.runs.exported_files import TOLERANCE, compare
from gamsearch.runs.trial_model import trial_model
from gamsearch.study.record import Record
from gamsearch.tasks import Task
from gamsearch.training.baseline import write_checkpoint
from gamsearch.training.calibration import calibration_images
from gamsearch.training.dataset import DataSet
from gamsearch.training.deployed import Accuracy, accuracy, framed

RESAMPLES = 1000


@dataclass
class Trained:
    """A trial's model, and what all of its files share.

    Attributes:
        folder: The run's folder.
        record: Its record.
        subject: The trial.
        data: The data set.
    """

    folder: Path
    record: Record
    subject: Subject
    data: DataSet

    @cached_property
    def model(self) -> Any:
        """The model, in eval mode."""
        return trial_model(self.folder, self.record, self.subject.row, self.subject.weights.path)[0]

    @cached_property
    def sides(self) -> tuple[int, int]:
        """Image size, and side of the square image of a validation, which is the input of the files."""
        imgsz = int(self.record.settings.get("imgsz", 640))
        return imgsz, framed(self.model, imgsz)

    @cached_property
    def images(self) -> list[NDArray[np.float32]]:
        """Training images for the ranges of int8."""
        return calibration_images(self.model, self.data, self.sides)

    @cached_property
    def accuracy(self) -> Accuracy:
        """The accuracy of the model itself."""
        return self.validated(deepcopy(self.model))

    def validated(self, run: Any) -> Accuracy:
        """Validate whatever computes predictions as the model does."""
        with tempfile.TemporaryDirectory(prefix="gamsearch-") as place:
            return accuracy(run, self.model, self.data, self.sides, Path(place))

    def write(self, form: Format, place: Path) -> tuple[Path, Accuracy, float]:
        """Write a file, compare it with the model, and validate it.

        Args:
            form: The format in its precision.
            place: The folder for it; a file of the same name is replaced.

        Returns:
            The file, its accuracy, and its largest difference to the model, relative to the largest prediction.
        """
        with tempfile.TemporaryDirectory(prefix="gamsearch-") as made:
            checkpoint = Path(made).resolve() / f"{self.subject.stem}.pt"
            write_checkpoint(self.model, checkpoint, {"imgsz": self.sides[0]})
            images = self.images if form.precision == "int8" else []
            path, _ = convert(checkpoint, form, self.sides[1], images, str(self.data.yaml))
            run = opened(path, form)
            bound = TOLERANCE if form.precision == FP32 else inf
            difference = compare(self.model, run, (self.sides[1],), path, bound)
            found = self.validated(run)
            place.mkdir(parents=True, exist_ok=True)
            target = place / path.name
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
            shutil.move(path, target)
        np.savez_compressed(kept(target), **found.images)  # type: ignore[arg-type]
        return target, found, difference


def kept(file: Path) -> Path:
    """Where the matches of a file's validation are kept."""
    return file.with_name(f"{file.name}.npz")


def images_of(file: Path) -> dict[str, NDArray[Any]]:
    """The matches of a file's validation, image by image."""
    with np.load(kept(file), allow_pickle=False) as arrays:
        return dict(arrays)


def size_mb(file: Path) -> float:
    """Size of a file, or of all files in a folder, in MB."""
    return sum(one.stat().st_size for one in _parts(file)) / 1e6


def digest(file: Path) -> str:
    """Twelve hexadecimal digits of the content of a file or a folder."""
    found = hashlib.sha256()
    for one in _parts(file):
        found.update(one.name.encode() + one.read_bytes())
    return found.hexdigest()[:12]


def _parts(file: Path) -> Sequence[Path]:
    return sorted(one for one in file.rglob("*") if one.is_file()) if file.is_dir() else [file]


def difference(first: Mapping[str, Any], second: Mapping[str, Any], task: Task) -> dict[str, float]:
    """The difference of two validations of the same images in the primary metric, with its 95 % interval over images.

    Returns:
        `difference`, `low` and `high`.
    """
    if "right" not in first:
        one, other = map(Detections.from_arrays, (first, second))
        found: dict[str, float] = paired_bootstrap(one, other, RESAMPLES, task=task)[task.primary]
        return found
    each = np.asarray(first["right"], float) - np.asarray(second["right"], float)
    picks = np.random.default_rng(0).integers(len(each), size=(RESAMPLES, len(each)))
    low, high = np.percentile(each[picks].mean(axis=1), [2.5, 97.5])
    return {"difference": float(each.mean()), "low": float(low), "high": float(high)}
