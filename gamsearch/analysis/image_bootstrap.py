"""How much a difference in mAP depends on the validation images: a paired bootstrap over them, for one seed.

Resampling images with replacement weights each by how often it is sampled (a multinomial), so a resample's average
precision is a weighted one and no prediction is copied. It is Ultralytics' average precision, 101-point
interpolation included (`ultralytics.utils.metrics.ap_per_class`), for any whole-number weights. The noise between
seeds is not covered; it takes repeated trainings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gamsearch.errors import RunError, one_line
from gamsearch.tasks import DETECT, Task

CELLS = 4_000_000
"""Most elements in an array of one chunk of resamples, about 32 MB."""

GRID = np.linspace(0, 1, 101)
BELOW = np.concatenate(([0.0], np.cumsum([0.005, *[0.01] * 99, 0.005])))
"""Trapezoidal weight of the first n points of `GRID`."""

Weights = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Detections:
    """One validation, image by image: `n` predictions, `m` targets, `t` IoU thresholds (0.50 first).

    `tp` `[n, t]` says whether a prediction is correct, `conf` `[n]` its confidence, `pred_cls` and `pred_image` `[n]`
    its class and image; `target_cls` and `target_image` `[m]` those of the targets; `images` the number of images.
    """

    tp: NDArray[np.bool_]
    conf: NDArray[np.floating]
    pred_cls: NDArray[np.integer]
    pred_image: NDArray[np.integer]
    target_cls: NDArray[np.integer]
    target_image: NDArray[np.integer]
    images: int

    @classmethod
    def load(cls, path: str | Path) -> "Detections":
        """Read the detections of a validation.

        Args:
            path: An `.npz` file with these arrays, none of them pickled.

        Returns:
            The detections.

        Raises:
            RunError: The file is missing or damaged.
        """
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls.from_arrays(arrays)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile) as error:
            raise RunError(f"{path} does not hold the detections of a validation ({one_line(error)})") from error

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Detections":
        """Take the detections of a validation.

        Args:
            arrays: The fields by name; others are ignored.

        Returns:
            The detections.
        """
        named = {name: arrays[name] for name in cls.__annotations__ if name != "images"}
        return cls(**named, images=int(arrays["images"]))

    @property
    def classes(self) -> NDArray[np.integer]:
        """The classes that have targets, in order; others are left out, as Ultralytics leaves them out."""
        return np.unique(self.target_cls)


def average_precision(detections: Detections, weights: Weights) -> Weights:
    """Ultralytics' average precision `[resamples, classes, t]` where image `i` counts `weights[:, i]` times.

    `weights` `[resamples, images]` are whole numbers. It is NaN for a class without targets in a resample: averaging
    leaves it out there, as Ultralytics would if that resample were the data set.
    """
    order = np.argsort(-detections.conf)  # as Ultralytics sorts, so that equal confidences keep its order
    tp, image, named = detections.tp[order], detections.pred_image[order], detections.pred_cls[order]
    found = np.empty((len(weights), len(detections.classes), tp.shape[1]))
    for index, name in enumerate(detections.classes):
        targets = weights[:, detections.target_image[detections.target_cls == name]].sum(axis=1)
        found[:, index] = _of_class(tp[named == name], weights[:, image[named == name]], targets)
    return found


def _of_class(tp: NDArray[np.bool_], weights: Weights, targets: Weights) -> Weights:
    """Average precision `[resamples, t]` of a class; `tp` `[n, t]`, `weights` `[resamples, n]`, by confidence."""
    so_far = weights.cumsum(axis=1)
    found = np.zeros((len(weights), tp.shape[1]))
    for threshold, hits in enumerate(tp.T):
        correct = weights[:, hits].cumsum(axis=1)
        found[:, threshold] = _area(correct, so_far[:, hits], targets)
    found[targets == 0] = np.nan
    return found


def _area(correct: Weights, so_far: Weights, targets: Weights) -> Weights:
    """Area `[resamples]` under the precision envelope, from the counts at each correct prediction.

    Ultralytics interpolates its envelope linearly, but the envelope is a step function: before a correct prediction
    precision is never higher than just after it. From one recall to the next it is the highest precision still to come,
    and 0 from the last recall on, so only correct predictions matter and each adds its precision times the weight of
    the grid points between the recall before and its own.
    """
    precision = np.divide(correct, so_far, out=np.zeros_like(correct), where=so_far > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = correct / np.maximum(targets, 1)[:, None]
    weight = BELOW[np.searchsorted(GRID, recall, side="left")]
    return (envelope * np.diff(weight, axis=1, prepend=0)).sum(axis=1)


def mean_average_precision(detections: Detections, weights: Weights) -> Weights:
    """`map50_95` and `map50` `[resamples, 2]`; NaN for a resample without any target."""
    found = average_precision(detections, weights)
    present = np.isfinite(found[:, :, 0]).sum(axis=1)
    sums = np.stack([np.nansum(found.mean(axis=2), axis=1), np.nansum(found[:, :, 0], axis=1)], axis=1)
    return np.divide(sums, present[:, None], out=np.full_like(sums, np.nan), where=present[:, None] > 0)


def paired_bootstrap(
    candidate: Detections, baseline: Detections, resamples: int = 1000, seed: int = 0, task: Task = DETECT
) -> dict[str, Any]:
    """Bootstrap the difference `candidate - baseline` over the validation images; both get the same resamples.

    Args:
        candidate: The candidate's detections.
        baseline: The baseline's detections on the same images.
        resamples: Number of resamples; those without any target are left out.
        seed: Seed of the resampling.
        task: Names the metrics: masks and key points are detected as boxes are.

    Returns:
        `{"resamples", "map50_95": {"difference", "low", "high"}, "map50": {...}}` with percentile 95 % intervals, where
        the names are those of the task's primary and secondary metric.

    Raises:
        RunError: The two were not validated on the same targets.
    """
    _same_targets(candidate, baseline)
    rng = np.random.default_rng(seed)
    chunk = max(1, CELLS // max(1, candidate.images, len(candidate.conf), len(baseline.conf)))
    sizes = [min(chunk, resamples - start) for start in range(0, resamples, chunk)]
    samples = [_differences(candidate, baseline, _resample(rng, candidate.images, size)) for size in sizes]
    differences = np.concatenate(samples)
    differences = differences[np.isfinite(differences[:, 0])]
    whole = _differences(candidate, baseline, np.ones((1, candidate.images)))[0]
    bounds = np.percentile(differences, [2.5, 97.5], axis=0)
    names = ("difference", "low", "high")
    figures = [dict(zip(names, map(float, column), strict=True)) for column in np.vstack([whole, bounds]).T]
    return {"resamples": len(differences), task.primary: figures[0], task.secondary: figures[1]}


def _resample(rng: np.random.Generator, images: int, size: int) -> Weights:
    """How often each of `size` resamples holds each image, `[size, images]`."""
    return rng.multinomial(images, np.full(images, 1 / images), size=size).astype(float)


def _differences(candidate: Detections, baseline: Detections, weights: Weights) -> Weights:
    return mean_average_precision(candidate, weights) - mean_average_precision(baseline, weights)


def _same_targets(candidate: Detections, baseline: Detections) -> None:
    """Raise `RunError` unless both validations had the same images and, in any order, the same targets."""
    listed = [sorted(zip(d.target_image.tolist(), d.target_cls.tolist(), strict=True)) for d in (candidate, baseline)]
    if candidate.images != baseline.images or listed[0] != listed[1] or not listed[0]:
        raise RunError(
            "a paired bootstrap needs two validations of the same images with at least one target, but one has "
            f"{candidate.images} images with {len(listed[0])} targets and the other {baseline.images} with "
            f"{len(listed[1])}, not all the same; validate both on the same split"
        )
