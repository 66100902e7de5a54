"""The predictions of two detectors on the same validation images: curves of precision, and the boxes that differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gamsearch.analysis.image_bootstrap import Detections, average_precision

Image = Mapping[str, NDArray[Any]]
"""One image's boxes as left, top, width, height: `box`, `cls`, `conf`, `tp` (`n x 10`), `target_box`, `target_cls`."""

FILE = "report/predictions.json"
"""Where a run's folder keeps a comparison; copies of images lie beside it."""
RECALLS = np.linspace(0, 1, 101)
SAME = 0.5
"""IoU from which two boxes of one class count as the same."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Precision at `RECALLS` per class (`classes x 101`) at IoU 0.50, AP per class, and the confidence of best F1."""

    classes: tuple[int, ...]
    precision: NDArray[np.float64]
    map50: NDArray[np.float64]
    map50_95: NDArray[np.float64]
    threshold: float


def curves(detections: Detections) -> Curves:
    """Compute the curves of one detector, as Ultralytics computes its average precision.

    Args:
        detections: Its validation.

    Returns:
        The curves of the classes that have objects.
    """
    order = np.argsort(-detections.conf, kind="stable")
    hits, named = detections.tp[order, 0], detections.pred_cls[order]
    rows = []
    for name in detections.classes:
        correct = hits[named == name].cumsum()
        recall = correct / (detections.target_cls == name).sum()
        precision = correct / np.arange(1, len(correct) + 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(recall, RECALLS, side="left")
        rows.append([float(envelope[i]) if i < len(envelope) else 0.0 for i in at])
    found = average_precision(detections, np.ones((1, detections.images)))[0]
    classes = tuple(int(name) for name in detections.classes)
    return Curves(classes, np.array(rows), found[:, 0], found.mean(axis=1), _best_threshold(detections, order, hits))


def _best_threshold(detections: Detections, order: NDArray[np.integer], hits: NDArray[np.bool_]) -> float:
    """The confidence at which F1 over all boxes is best."""
    if not len(order):
        return 1.0
    correct = hits.cumsum()
    f1 = 2 * correct / (np.arange(1, len(order) + 1) + max(1, len(detections.target_cls)))
    return float(detections.conf[order[int(f1.argmax())]])


def kept(image: Image, threshold: float) -> dict[str, NDArray[Any]]:
    """The predictions of an image with at least this confidence.

    Args:
        image: The image.
        threshold: The confidence.

    Returns:
        Their `box`, `cls`, `conf` and whether each is `right` (matches a label at IoU 0.50).
    """
    chosen = image["conf"] >= threshold
    names = ("box", "cls", "conf")
    return {**{name: image[name][chosen] for name in names}, "right": image["tp"][chosen, 0]}


def unmatched(boxes: Mapping[str, NDArray[Any]], others: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Which boxes the other detector does not predict: no box of the same class at IoU 0.50, each used once.

    Args:
        boxes: Boxes of one detector, as of `kept`.
        others: Those of the other detector on the same image.

    Returns:
        One flag per box.
    """
    iou = overlaps(boxes["box"], others["box"]) * (boxes["cls"][:, None] == others["cls"][None, :])
    alone = np.ones(len(boxes["cls"]), dtype=bool)
    for flat in np.argsort(-iou, axis=None, kind="stable"):
        i, j = np.unravel_index(flat, iou.shape)
        if iou[i, j] < SAME:
            break
        alone[i] = False
        iou[i, :], iou[:, j] = 0, 0
    return alone


def overlaps(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of each box with each other box, `n x m`.

    Args:
        boxes: `n x 4`, left, top, width, height.
        others: `m x 4`.

    Returns:
        The overlaps.
    """
    a, b = np.asarray(boxes, float).reshape(-1, 1, 4), np.asarray(others, float).reshape(1, -1, 4)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    return shared / np.maximum(a[..., 2:].prod(axis=-1) + b[..., 2:].prod(axis=-1) - shared, 1e-9)


def chosen_images(
    first: Sequence[Image], second: Sequence[Image], thresholds: tuple[float, float], count: int
) -> list[int]:
    """Choose images to show: those on which the second has most more and most fewer right than wrong boxes, in turn.

    Args:
        first: The first detector's validation, image by image.
        second: The second's.
        thresholds: The confidence from which a box of each counts.
        count: Number of images.

    Returns:
        Positions of images with the largest gain and the largest loss of right boxes, net of wrong ones.
    """
    scores = []
    for one, other in zip(first, second, strict=True):
        a, b = kept(one, thresholds[0]), kept(other, thresholds[1])
        net = [int(x["right"].sum()) - int((~x["right"]).sum()) for x in (a, b)]
        scores.append((net[1] - net[0], int(unmatched(a, b).sum() + unmatched(b, a).sum())))
    up = sorted(range(len(scores)), key=lambda i: (-scores[i][0], -scores[i][1], i))
    down = sorted(range(len(scores)), key=lambda i: (scores[i][0], -scores[i][1], i))
    found: list[int] = []
    for pair in zip(up, down, strict=True):
        found += [i for i in dict.fromkeys(pair) if i not in found]
    return found[:count]
