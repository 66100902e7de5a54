"""Synthetic records of runs, for the tests of all code that reads one."""

import math
from typing import Any

import numpy as np
import pandas as pd

from gamsearch.analysis.pareto import front
from gamsearch.architecture import Architecture, Placement
from gamsearch.metrics import METRICS
from gamsearch.space.detector import Detector
from gamsearch.study.record import Record

STOCK = Detector.load("yolov8n")
OBJECTIVES = (METRICS["map50_95"], METRICS["latency_ms"])
HOSTILE = "<script>alert(1)</script>\"&'<img src=https://evil.example/x.png>"
SETTINGS: dict[str, Any] = {
    "command": "python -m gamsearch run --data bccd/data.yaml --model yolov8n.yaml --trials 40 --epochs 5 --imgsz 160",
    "data": "bccd/data.yaml",
    "data_fingerprint": "sha256:5e0d3a07c1b94f2e",
    "model": "yolov8n.yaml",
    "space": "gam",
    "device": "NVIDIA H100",
    "latency": "torch",
    "precision": "fp16",
    "seeds": [0, 1, 2],
    "train": {"lr0": 0.0002, "mosaic": 0.0},
    "versions": {"torch": "2.14.1", "ultralytics": "8.4.190", "optuna": "5.0.0"},
    "storage": "postgresql://ada:secret@db/gamsearch",
}


def gam(*places: tuple[int, int]) -> Architecture:
    return Architecture.of("yolov8n", [Placement(site, "GAM", (("rate", rate),)) for site, rate in places])


def trial(number: int, architecture: Architecture, map50_95: float = math.nan, **more: Any) -> dict[str, Any]:
    """One row of `Record.trials`, complete and plausible unless `more` changes it."""
    extra = sum(0.9 / dict(p.options).get("rate", 4) for p in architecture.placements)
    steps = np.array([0.72, 0.87, 0.94, 0.98, 1.0]) + 0.02 * np.sin(number * np.arange(5) * np.arange(4, -1, -1))
    row = {
        "number": number,
        "state": "complete",
        "key": architecture.key,
        "label": architecture.label,
        "architecture": architecture.to_dict(),
        "map50_95": map50_95,
        "map50": map50_95 * 1.62,
        "params_m": 3.011 + extra,
        "gflops": 8.2 + 4 * extra,
        "latency_ms": 5.1 * (1 + 0.06 * len(architecture.placements) + 0.15 * extra),
        "latency_ratio": 1 + 0.06 * len(architecture.placements) + 0.15 * extra,
        "latency_iqr_ms": 0.12,
        "reason": "",
        "recalled_from": math.nan,
        "epochs": 5,
        "seconds": 61.0 + number,
        "seed": 0,
        "curve": [{"epoch": e + 1, "map50_95": float(map50_95 * s)} for e, s in enumerate(steps)],
        "feasible": True,
        "anchor": False,
    }
    return row | more


def unmeasured(number: int, architecture: Architecture, state: str, reason: str, **more: Any) -> dict[str, Any]:
    names = ("map50", "params_m", "gflops", "latency_ms", "latency_ratio", "latency_iqr_ms", "seconds")
    nothing = dict.fromkeys(names, math.nan) | {"curve": [], "epochs": 0, "state": state, "reason": reason}
    return trial(number, architecture, **(nothing | more))


def record(rows: list[dict[str, Any]], **more: Any) -> Record:
    """A record of these trials, with gains and front computed."""
    trials = pd.DataFrame(rows)
    if rows:
        trials["map50_95_gain"] = trials["map50_95"] - trials["map50_95"].iloc[0]
        trials["map50_gain"] = trials["map50"] - trials["map50"].iloc[0]
        chosen = trials[(trials["state"] == "complete") & trials["recalled_from"].isna() & trials["feasible"]]
        objectives = more.get("objectives", OBJECTIVES)
        trials["on_front"] = False
        trials.loc[chosen.index, "on_front"] = front(chosen[[m.name for m in objectives]].to_numpy(float), objectives)
    fields = {
        "name": "bccd-yolov8n",
        "settings": SETTINGS,
        "objectives": OBJECTIVES,
        "reference_point": (0.0, 10.2),
        "detector_yaml": STOCK.yaml,
        "detector_name": "yolov8n",
        "baseline_seeds": tuple({"map50_95": m, "map50": m * 1.6} for m in (0.2762, 0.2841, 0.2805)),
        "baseline_stage": {"epochs": 25, "map50_95": 0.2702},
    }
    return Record(**(fields | more), trials=trials)


def rich_record(**more: Any) -> Record:
    """26 trials: baseline, hand-designed ones, proposals, repeats, failures, a refused one, one still running."""
    rng = np.random.default_rng(3)
    merit = {2: -0.012, 4: 0.007, 6: 0.004, 8: 0.003, 9: 0.011, 12: 0.001, 15: 0.006, 18: 0.005, 21: -0.001}
    hand = [gam((s, 4)) for s in (2, 4, 6, 8)] + [gam((15, 4), (18, 4), (21, 4))]
    found = [
        gam((9, 8)),
        gam((9, 16)),
        gam((4, 16), (9, 8)),
        gam((9, 32)),
        gam((6, 8), (9, 16)),
        gam((4, 8), (15, 16)),
        gam((9, 8), (18, 32)),
        gam((2, 32)),
        gam((4, 16), (9, 16), (15, 32)),
        gam((12, 16)),
        gam((4, 32)),
        gam((15, 8), (21, 32)),
        gam((8, 16), (12, 32)),
    ]
    rows = [trial(0, gam(), 0.2762)]
    for architecture in (*hand, *found):
        gain = sum(merit[p.site] for p in architecture.placements) + rng.normal(0, 0.004)
        rows.append(trial(len(rows), architecture, 0.2762 + gain, anchor=architecture in hand))
    rows.append(rows[6] | {"number": len(rows), "recalled_from": 6.0, "seconds": 0.0, "curve": []})
    rows.append(unmeasured(len(rows), gam((2, 4), (4, 4)), "failed", "nan: loss is NaN at epoch 2, also in fp32"))
    rows.append(unmeasured(len(rows), gam((8, 4), (9, 4)), "failed", "out_of_memory: 11.2 GiB wanted, 9.8 GiB free"))
    wide = gam((8, 4), (9, 4), (21, 4))
    limit = "params_m 3.69 is above the limit 3.61 (+20%)"
    rows.append(unmeasured(len(rows), wide, "pruned", limit, feasible=False, params_m=3.69))
    cut = [{"epoch": 1, "map50_95": 0.171}, {"epoch": 2, "map50_95": 0.203}]
    rows.append(unmeasured(len(rows), gam((2, 8), (4, 8)), "pruned", "dominated at epoch 2", curve=cut, epochs=2))
    rows.append(rows[7] | {"number": len(rows), "recalled_from": 7.0, "seconds": 0.0, "curve": []})
    rows.append(unmeasured(len(rows), gam((6, 32)), "running", ""))
    return record(rows, **more)


def confirmed(gains: list[float]) -> Record:
    """Two candidates; the better one was trained again at seeds 1, 2, ... with these gains."""
    rows = [trial(0, gam(), 0.40), trial(1, gam((4, 4)), 0.43), trial(2, gam((6, 4)), 0.41)]
    seeds = range(1, len(gains) + 1)
    controls = ({"seed": 0, "map50_95": 0.40}, *({"seed": s, "map50_95": 0.40 + s / 100} for s in seeds))
    again = tuple({"seed": s, "map50_95": 0.40 + s / 100 + g} for s, g in zip(seeds, gains, strict=True))
    return record(rows, baseline_seeds=controls, confirmations={gam((4, 4)).key: again})
