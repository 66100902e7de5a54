"""Do latencies on different targets rank architectures alike? Kendall's tau between targets, and each one's A/A error.

    python benchmarks/targets.py --space benchmarks/targets.yaml --out targets.json
    python benchmarks/targets.py --targets torch onnxruntime "ssh jetson bench.sh {remote}" --out targets.json
    python benchmarks/targets.py --run results/pcb-yolov8n-seed --out fronts.json

Random architectures of a space are measured on every target, each in turns with the baseline. Measurements are kept in
`--out`, so the same command resumes. The A/A error is how far the ratio of the baseline to itself is from 1. A target
that cannot run an architecture is listed with what it said. The rows below the targets are scores for which nothing is
measured. With `--run` the architectures are those that a search has
trained, and its Pareto front is printed for the latencies of each target.
"""

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau

import gamsearch as gs
from gamsearch.analysis import pareto
from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, one_line
from gamsearch.metrics import METRICS
from gamsearch.models.candidate import build_candidate
from gamsearch.models.latency.measure import measure
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.study.record import Record
from gamsearch.training.baseline import start_model

CPU = torch.device("cpu")


def chosen(space: SearchSpace, count: int) -> list[Architecture]:
    """The baseline, then random architectures, always the same ones."""
    rng, found = random.Random(0), {space.baseline: None}
    while len(found) <= count:
        found.setdefault(space.sample_random(rng))
    return list(found)


def measured(
    space: SearchSpace, baseline: Any, architecture: Architecture, target: str, options: argparse.Namespace
) -> dict[str, Any]:
    """The latency of an architecture on a target, or why there is none."""
    model = build_candidate(space.detector, architecture, baseline, options.imgsz).model
    start = time.monotonic()
    try:
        found = measure(model, baseline, options.imgsz, CPU, backend=target, seconds=options.seconds)
    except (CandidateFailed, RuntimeError, MemoryError) as failure:
        return {"failed": one_line(failure)[:200]}
    return {"ratio": found.paired_ratio, "ms": found.baseline_ms, "seconds": round(time.monotonic() - start, 1)}


Scores = dict[str, dict[str, float]]
"""By name of a target or of a trivial score, what it gives each architecture, by key."""


def unmeasured(space: SearchSpace, baseline: Any, architectures: list[Architecture], imgsz: int) -> Scores:
    """Scores that need no measurement: the number of modules, parameters and GFLOPs."""
    found: Scores = {"number of modules": {}, "parameters": {}, "GFLOPs": {}}
    for architecture in architectures:
        candidate = build_candidate(space.detector, architecture, baseline, imgsz)
        costs = (len(architecture.placements), candidate.params_m(), candidate.gflops())
        for scores, value in zip(found.values(), costs, strict=True):
            scores[architecture.key] = value
    return found


def taus(scores: dict[str, float], known: Scores, targets: list[str], stock: str) -> str:
    """Kendall's tau between scores and each target, as cells."""
    cells = []
    for other in targets:
        both = [key for key in scores if key in known[other] and key != stock]
        pairs = [scores[key] for key in both], [known[other][key] for key in both]
        same = scores is known[other]
        cells.append(f"{kendalltau(*pairs).statistic:.2f}" if len(both) > 1 and not same else "")
    return " | ".join(cells)


def show(kept: dict[str, dict[str, Any]], targets: list[str], stock: str, trivial: Scores) -> None:
    """Print the table of taus, the A/A errors and the failures."""
    known = {t: {k: one["ratio"] for k, one in kept[t].items() if "ratio" in one} for t in targets}
    print(f"| | {' | '.join(targets)} | A/A error | baseline, ms | architectures |")
    print(f"|---{'|--:' * (len(targets) + 3)}|")
    for target in targets:
        error = f"{abs(known[target][stock] - 1):.1%}" if stock in known[target] else ""
        level = f"{kept[target][stock]['ms']:.2f}" if stock in known[target] else ""
        print(f"| {target} | {taus(known[target], known, targets, stock)} | {error} | {level} | {len(known[target])} |")
    for name, scores in trivial.items():
        print(f"| *{name}* | {taus(scores, known, targets, stock)} | | | {len(scores)} |")
    for target in targets:
        for key, one in kept[target].items():
            if "failed" in one:
                print(f"{target} cannot run {one.get('label', key)}: {one['failed']}")


def fronts(record: Record, kept: dict[str, dict[str, Any]], targets: list[str]) -> None:
    """Print the Pareto front of what a search trained, by primary metric and latency on each target."""
    rows = record.complete.drop_duplicates("key").set_index("key")
    objectives = [METRICS[record.task.primary], METRICS["latency_ms"]]
    print("\n| front on | trials, best first |\n|---|---|")
    for target in targets:
        known = [key for key in rows.index if "ratio" in kept[target].get(key, {})]
        points = np.array([[rows.loc[key, record.task.primary], kept[target][key]["ratio"]] for key in known])
        best = [known[i] for i in np.flatnonzero(pareto.front(points, objectives))]
        best.sort(key=lambda key: -rows.loc[key, record.task.primary])
        texts = [f"{rows.loc[k, 'number']} ({kept[target][k]['ratio']:.3f} x)" for k in best]
        print(f"| {target} | {', '.join(texts)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", nargs="+", default=["torch", "onnxruntime", "openvino", "ncnn"])
    parser.add_argument("--space", default="zoo-light")
    parser.add_argument("--model", default="yolov8n")
    parser.add_argument("--run", type=Path, help="a run whose trained architectures are measured instead")
    parser.add_argument("--count", type=int, default=30, help="architectures besides the baseline")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    record = gs.load(options.run).record if options.run else None
    space = SearchSpace.load(options.space, Detector.load(record.detector_name if record else options.model))
    forms = [] if record is None else record.complete.drop_duplicates("key")["architecture"]
    architectures = [Architecture.from_dict(form) for form in forms] or chosen(space, options.count)
    baseline = start_model(space.detector, None, {0: "object"}, seed=0)
    kept: dict[str, dict[str, Any]] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for architecture in architectures:
        for target in options.targets:
            own = kept.setdefault(target, {})
            if architecture.key not in own:
                found = measured(space, baseline, architecture, target, options)
                own[architecture.key] = {"label": architecture.label, **found}
                options.out.write_text(json.dumps(kept, indent=1))
                print(f"{target:<12} {architecture.label:<60} {found}", flush=True)
    show(kept, options.targets, space.baseline.key, unmeasured(space, baseline, architectures, options.imgsz))
    if record is not None:
        fronts(record, kept, options.targets)


if __name__ == "__main__":
    main()
