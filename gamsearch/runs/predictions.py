"""The predictions of the baseline and the best candidate, compared once at the end of a search or a verification.

They are kept in the run's folder as `report/predictions.json` beside small copies of a few validation images, so that
a report needs neither the weights nor the data.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from gamsearch.analysis.prediction_comparison import FILE
from gamsearch.architecture import BASELINE, Architecture
from gamsearch.errors import GamsearchError, one_line
from gamsearch.files import UnreadableError, read_json
from gamsearch.runs.prepare_training import BASELINE_FILE
from gamsearch.space.detector import Detector
from gamsearch.study.record import Record

SHOWN, LONGEST, QUALITY = 6, 480, 80
"""Number of images, their longest side in px, and the quality of their JPEG."""


@dataclass(frozen=True)
class Pair:
    """Two trainings at one seed.

    Attributes:
        label: The candidate's label.
        forms: The architectures, the baseline first.
        weights: Their weights.
        seed: The seed.
        verified: Whether they were trained at full budget.
    """

    label: str
    forms: tuple[Mapping[str, Any], Mapping[str, Any]]
    weights: tuple[Path, Path]
    seed: int
    verified: bool


def keep_predictions(folder: Path, record: Record, data: Path, device: str, say: Callable[[str], None]) -> bool:
    """Compare the predictions and keep them, unless those of the same weights are kept already.

    A failure costs only this section of the report, so it is reported and not raised.

    Args:
        folder: The run's folder.
        record: Its record.
        data: The data YAML.
        device: Where to run, as `--device`.
        say: Called with one line.

    Returns:
        Whether the folder holds the comparison now.
    """
    pair = best_pair(folder, record)
    if pair is None:
        return False
    identity = [
        *(path.relative_to(folder).as_posix() for path in pair.weights),
        *(p.stat().st_mtime for p in pair.weights),
    ]
    try:
        if read_json(folder / FILE)["identity"] == identity:
            return True
    except (UnreadableError, OSError, KeyError, TypeError):
        pass
    say(f"comparing the predictions of the baseline and {pair.label} for the report")
    try:
        content = _compared(folder, record, pair, data, device)
    except (GamsearchError, OSError, RuntimeError, ValueError) as error:
        say(f"the report will lack predictions: they could not be compared ({one_line(error)[:200]})")
        return False
    target = folder / FILE
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps({**content, "identity": identity}), encoding="utf-8")
    partial.replace(target)
    return True


def best_pair(folder: Path, record: Record) -> Pair | None:
    """The baseline and the best candidate whose weights are in the folder; verified weights come first.

    Args:
        folder: The run's folder.
        record: Its record.

    Returns:
        The pair, of several seeds the one whose difference is the median; None without weights of both.
    """
    baseline = Architecture.of(record.detector_name).to_dict()
    if not (folder / BASELINE_FILE).is_file():
        return None
    finalists = [one for one in record.verification.finalists if isfinite(one.gain.mean)]
    for best in sorted(finalists, key=lambda one: -one.gain.mean)[:1]:
        trainings = record.verification.trainings
        done = {k: {seed: one["map50_95"] for seed, one in trainings.get(k, {}).items()} for k in (BASELINE, best.key)}
        gains = {s: value - done[BASELINE][s] for s, value in done[best.key].items() if s in done[BASELINE]}
        for seed in _from_the_median(gains):
            forms = (baseline, best.architecture)
            weights = _weights(folder / "verify" / "weights", forms, seed)
            if weights is not None:
                return Pair(best.label, forms, weights, seed, True)
    if record.candidates.empty or record.baseline is None:
        return None
    row = record.candidates.iloc[0]
    forms = (record.baseline["architecture"], row["architecture"])
    weights = _weights(folder / "weights", forms, int(row["seed"]))
    return None if weights is None else Pair(row["label"], forms, weights, int(row["seed"]), False)


def _from_the_median(gains: Mapping[int, float]) -> list[int]:
    middle = float(np.median(list(gains.values()))) if gains else 0.0
    return sorted(gains, key=lambda seed: (abs(gains[seed] - middle), seed))


def _weights(place: Path, forms: Sequence[Mapping[str, Any]], seed: int) -> tuple[Path, Path] | None:
    first, second = (place / f"{Architecture.from_dict(form).key}-seed{seed}.pt" for form in forms)
    return (first, second) if first.is_file() and second.is_file() else None


def _compared(folder: Path, record: Record, pair: Pair, data: Path, device: str) -> dict[str, Any]:
    """Validate both and describe what differs; the images are written."""
    from gamsearch.analysis import prediction_comparison as comparison
    from gamsearch.analysis.image_bootstrap import Detections
    from gamsearch.training.dataset import DataSet
    from gamsearch.training.details import joined

    names = DataSet.read(data).names
    both = [
        _validated(folder, record, form, path, data, device)
        for form, path in zip(pair.forms, pair.weights, strict=True)
    ]
    found = [comparison.curves(Detections.from_arrays(joined(images))) for images in both]
    limits = (found[0].threshold, found[1].threshold)
    shown = comparison.chosen_images(both[0], both[1], limits, SHOWN)
    return {
        "label": pair.label,
        "seed": pair.seed,
        "verified": pair.verified,
        "images": len(both[0]),
        "names": {str(number): str(name) for number, name in names.items()},
        "curves": [_curve_form(one) for one in found],
        "shown": [_shown(folder / "report", n, both[0][i], both[1][i], limits) for n, i in enumerate(shown)],
    }


def _curve_form(curves: Any) -> dict[str, Any]:
    return {
        "classes": list(curves.classes),
        "precision": np.round(curves.precision, 4).tolist(),
        "map50": np.round(curves.map50, 4).tolist(),
        "map50_95": np.round(curves.map50_95, 4).tolist(),
        "threshold": round(curves.threshold, 4),
    }


def _validated(
    folder: Path, record: Record, form: Mapping[str, Any], weights: Path, data: Path, device: str
) -> list[Any]:
    """One model's boxes on every validation image."""
    from gamsearch.models import device as devices
    from gamsearch.models.candidate import build_candidate
    from gamsearch.models.saving import read_weights
    from gamsearch.training.baseline import read_baseline
    from gamsearch.training.predictions import predictions

    detector = Detector.from_yaml(record.detector_name, record.detector_yaml)
    candidate = build_candidate(detector, Architecture.from_dict(form), read_baseline(folder / BASELINE_FILE), imgsz=64)
    read_weights(candidate.model, weights)
    where, settings = devices.select(device), record.settings
    scratch = folder / "report"
    return list(
        predictions(candidate.model.eval(), data, int(settings["imgsz"]), int(settings["batch"]), where, scratch)
    )


def _shown(place: Path, number: int, first: Any, second: Any, limits: tuple[float, float]) -> dict[str, Any]:
    """Write a small copy of an image; return its name and the boxes of both models on it, in px of the copy."""
    from PIL import Image

    from gamsearch.analysis.prediction_comparison import kept, unmatched

    place.mkdir(parents=True, exist_ok=True)
    with Image.open(first["file"]) as picture:
        small = picture.convert("RGB")
        full = small.size
        small.thumbnail((LONGEST, LONGEST))
        small.save(place / f"validation-{number + 1}.jpg", quality=QUALITY)
    scale = np.tile([small.width / full[0], small.height / full[1]], 2)
    boxes = [kept(image, limit) for image, limit in zip((first, second), limits, strict=True)]
    alone = [unmatched(boxes[0], boxes[1]), unmatched(boxes[1], boxes[0])]
    return {
        "name": Path(first["file"]).name,
        "file": f"validation-{number + 1}.jpg",
        "size": list(small.size),
        "objects": len(first["target_cls"]),
        "boxes": [
            [
                [*np.round(box * scale, 1).tolist(), int(cls), round(float(conf), 3), bool(right), bool(only)]
                for box, cls, conf, right, only in zip(b["box"], b["cls"], b["conf"], b["right"], flags, strict=True)
            ]
            for b, flags in zip(boxes, alone, strict=True)
        ],
    }
