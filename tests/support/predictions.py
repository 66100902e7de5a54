"""Predictions of a run as it keeps them for its report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gamsearch.analysis.gate_maps import GateEffect, summary
from gamsearch.analysis.prediction_comparison import FILE


def content(label: str = "GAM@9 r8") -> dict[str, Any]:
    """A comparison of six images, as a run keeps it."""
    curve = {"classes": [0, 2], "precision": [[0.9] * 101, [0.5] * 101], "map50": [0.9, 0.5], "map50_95": [0.5, 0.3]}
    boxes = [
        [[10, 20, 50, 40, 0, 0.8, True, False]],
        [[10, 20, 50, 40, 0, 0.7, True, False], [90, 5, 20, 20, 2, 0.4, False, True]],
    ]
    shown = [
        {"name": f"{label}.jpg", "file": f"validation-{n}.jpg", "size": [480, 360], "objects": 3, "boxes": boxes}
        for n in range(6)
    ]
    return {
        "label": label,
        "seed": 1,
        "verified": True,
        "images": 87,
        "names": {"0": "RBC", "2": label},
        "curves": [{**curve, "threshold": 0.31}, {**curve, "threshold": 0.28}],
        "shown": shown,
    }


def stored(folder: Path, form: dict[str, Any]) -> Path:
    (folder / "report").mkdir(parents=True)
    (folder / FILE).write_text(json.dumps(form), encoding="utf-8")
    for n in range(6):
        noise = Image.effect_noise((480, 360), 80).convert("RGB")
        noise.save(folder / "report" / f"validation-{n}.jpg", quality=80)
    return folder


def finalist(label: str = "GAM@9 r8", **more: Any) -> dict[str, Any]:
    """A finalist with one placement, whose gate acts in the upper left corner."""
    change = np.full((9, 12), 0.01, dtype=np.float32)
    change[:3, :4] = 0.21
    effects = [GateEffect(change, 0.05 + 0.01 * n, 1.02, (0.1, 0.2, 0.9)) for n in range(4)]
    form = summary(effects, [np.array([[0.0, 0.0, 0.2, 0.2 + 0.1 * n]]) for n in range(4)], [0, 1, 2])
    by_class = {"RBC": [0.5, 0.52], label: [0.3, 0.26]}
    one = {"key": "k", "label": label, "seed": 1, "verified": False, "per_class": by_class}
    return {**one, "per_size": {"small": [0.1, 0.11]}, "placements": [{"label": label, **form}], **more}
