"""Validations of trained weights, and what a run keeps of each finalist: what it gains by class, its gate maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gamsearch.analysis import gate_maps
from gamsearch.analysis.gate_maps import GateEffect
from gamsearch.architecture import Architecture
from gamsearch.runs.kept_weights import Pair
from gamsearch.runs.prepare_training import BASELINE_FILE
from gamsearch.space.detector import Detector
from gamsearch.study.record import Record
from gamsearch.tasks import DETECT, Task


@dataclass(frozen=True)
class Validated:
    """One model's boxes on every validation image, and by site what its attention does to each."""

    images: list[Any]
    effects: Mapping[int, Sequence[GateEffect]]


@dataclass
class Validations:
    """Validates the weights in a run's folder, those of the baseline once."""

    folder: Path
    record: Record
    data: Path
    device: str
    _baselines: dict[Path, Validated] = field(default_factory=dict)

    def of(self, pair: Pair) -> tuple[Validated, Validated]:
        """The validations of the baseline and the candidate of a pair."""
        baseline, candidate = map(Architecture.from_dict, pair.forms)
        if pair.weights[0] not in self._baselines:
            self._baselines[pair.weights[0]] = self._validated(baseline, pair.weights[0])
        return self._baselines[pair.weights[0]], self._validated(candidate, pair.weights[1])

    def _validated(self, architecture: Architecture, weights: Path) -> Validated:
        from gamsearch.models import device as devices
        from gamsearch.models.candidate import build_candidate
        from gamsearch.models.saving import read_weights
        from gamsearch.training.baseline import read_baseline
        from gamsearch.training.gate_watch import GateWatch
        from gamsearch.training.predictions import predictions

        record, settings = self.record, self.record.settings
        detector = Detector.from_yaml(record.detector_name, record.detector_yaml)
        candidate = build_candidate(detector, architecture, read_baseline(self.folder / BASELINE_FILE), imgsz=64)
        read_weights(candidate.model, weights)
        watch = GateWatch({placement.site: module for placement, module in candidate.attention.items()})
        where, sizes = devices.select(self.device), (int(settings["imgsz"]), int(settings["batch"]))
        images = predictions(candidate.model.eval(), self.data, *sizes, where, self.folder / "report", watch)
        return Validated(list(images), watch.effects)


def finalist_form(
    pair: Pair, both: tuple[Validated, Validated], task: Task, names: Mapping[int, str], shown: Sequence[int]
) -> dict[str, Any]:
    """What is kept of a finalist, ready for JSON.

    Args:
        pair: The finalist and the baseline.
        both: Their validations.
        task: What they are for; objects have a size in object detection alone.
        names: Names of the classes.
        shown: Positions of the images whose gate maps are kept.

    Returns:
        Primary metric of baseline and finalist `per_class` and `per_size`; and `placements`, each with the summary of
        what it does to the map.
    """
    from gamsearch.training.details import per_size

    found = [_per_class(one.images) for one in both]
    sizes = [per_size(one.images) if task is DETECT else {} for one in both]
    images, placements = both[1].images, Architecture.from_dict(pair.forms[1]).placements
    boxes = [one["target_box"] / np.tile(one["shape"][::-1], 2) for one in images]
    return {
        "key": pair.key,
        "label": pair.label,
        "seed": pair.seed,
        "verified": pair.verified,
        "per_class": {str(names[number]): [one[number] for one in found] for number in found[0]},
        "per_size": {
            name: [round(float(one[name] or 0), 4) for one in sizes] for name in sizes[0] if sizes[0][name] is not None
        },
        "placements": [
            {"label": p.label, **gate_maps.summary(both[1].effects[p.site], boxes, shown)} for p in placements
        ],
    }


def _per_class(images: list[Any]) -> dict[int, float]:
    from gamsearch.analysis.image_bootstrap import Detections
    from gamsearch.analysis.prediction_comparison import curves
    from gamsearch.training.details import joined

    found = curves(Detections.from_arrays(joined(images)))
    return {number: round(float(ap), 4) for number, ap in zip(found.classes, found.map50_95, strict=True)}
