"""The predictions of the baseline and the finalists, compared once at the end of a search or a verification.

They are kept in the run's folder as `report/predictions.json` beside small copies of a few validation images, so that
a report needs neither the weights nor the data. With them is kept what the attention of each finalist does.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gamsearch.analysis.gate_maps import amount
from gamsearch.analysis.prediction_comparison import FILE
from gamsearch.errors import CandidateFailed, GamsearchError, one_line, plural
from gamsearch.files import UnreadableError, read_json
from gamsearch.runs.kept_finalists import Validations, finalist_form
from gamsearch.runs.kept_weights import Pair, finalist_pairs
from gamsearch.study.record import Record

SHOWN, LONGEST, QUALITY = 6, 480, 80
"""Number of images, their longest side in px, and the quality of their JPEG."""
WITH_GATES = 3
"""Number of these images on which the gate maps are shown."""


def keep_predictions(folder: Path, record: Record, data: Path, device: str, say: Callable[[str], None]) -> bool:
    """Compare the predictions of models that find objects and keep them, unless those of the same weights are kept.

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
    pairs = [] if record.task.name == "classify" else finalist_pairs(folder, record)  # whose images have no boxes
    if not pairs:
        return False
    weights = list(dict.fromkeys(path for pair in pairs for path in pair.weights))
    identity = [*(path.relative_to(folder).as_posix() for path in weights), *(p.stat().st_mtime for p in weights)]
    try:
        found = read_json(folder / FILE)
        if found["identity"] == identity and "finalists" in found:
            return True
    except (UnreadableError, OSError, KeyError, TypeError):
        pass
    others = f" (and {plural(len(pairs) - 1, 'other finalist')})" if len(pairs) > 1 else ""
    say(f"comparing the predictions of the baseline and {pairs[0].label}{others} for the report")
    try:
        content = _compared(pairs, Validations(folder, record, data, device))
    except (GamsearchError, CandidateFailed, OSError, RuntimeError, ValueError) as error:
        say(f"the report will lack predictions: they could not be compared ({one_line(error)[:200]})")
        return False
    for line in map(_distances, content["finalists"]):
        say(line)
    target = folder / FILE
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps({**content, "identity": identity}), encoding="utf-8")
    partial.replace(target)
    return True


def _distances(finalist: Mapping[str, Any]) -> str:
    """E.g. `GAM@4 r4 changes its map by 3.2 %, GAM@9 r8 by 0.4 % (0 %: the exact identity)`."""
    first, *others = (f"{one['label']} changes its map by {amount(one['distance'])}" for one in finalist["placements"])
    more = [one.replace("changes its map ", "") for one in others]
    return f"{', '.join([first, *more])} (0 %: the exact identity)"


def _compared(pairs: Sequence[Pair], validations: Validations) -> dict[str, Any]:
    """Validate all and describe what differs; the images are written."""
    from gamsearch.analysis import prediction_comparison as comparison
    from gamsearch.analysis.image_bootstrap import Detections
    from gamsearch.training.dataset import DataSet
    from gamsearch.training.details import joined

    task = validations.record.task
    names = DataSet.read(validations.data, task).names
    best, place = pairs[0], validations.folder / "report"
    first = validations.of(best)
    both = [one.images for one in first]
    found = [comparison.curves(Detections.from_arrays(joined(images))) for images in both]
    limits = (found[0].threshold, found[1].threshold)
    shown = comparison.chosen_images(both[0], both[1], limits, SHOWN)
    return {
        "label": best.label,
        "seed": best.seed,
        "verified": best.verified,
        "images": len(both[0]),
        "names": {str(number): name for number, name in names.items()},
        "curves": [_curve_form(one) for one in found],
        "shown": [_shown(place, n, both[0][i], both[1][i], limits) for n, i in enumerate(shown)],
        "finalists": [
            finalist_form(pair, first if pair is best else validations.of(pair), task, names, shown[:WITH_GATES])
            for pair in pairs
        ],
    }


def _curve_form(curves: Any) -> dict[str, Any]:
    return {
        "classes": list(curves.classes),
        "precision": np.round(curves.precision, 4).tolist(),
        "map50": np.round(curves.map50, 4).tolist(),
        "map50_95": np.round(curves.map50_95, 4).tolist(),
        "threshold": round(curves.threshold, 4),
    }


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
