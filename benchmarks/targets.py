"""Do latencies on different targets rank architectures alike? Kendall's tau between targets, and each one's A/A error.

    python benchmarks/targets.py --out targets.json
    python benchmarks/targets.py --targets torch onnxruntime "ssh jetson bench.sh {remote}" --out targets.json

Random architectures of a space are measured on every target, each in turns with the baseline. Measurements are kept in
`--out`, so the same command resumes. The A/A error is how far the ratio of the baseline to itself is from 1. A target
that cannot run an architecture is listed with what it said.
"""

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

import torch
from scipy.stats import kendalltau

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, one_line
from gamsearch.models.candidate import build_candidate
from gamsearch.models.latency.measure import measure
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
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


def show(kept: dict[str, dict[str, Any]], targets: list[str], stock: str) -> None:
    """Print the table of taus, the A/A errors and the failures."""
    known = {t: {k: one["ratio"] for k, one in kept[t].items() if "ratio" in one} for t in targets}
    print(f"| | {' | '.join(targets)} | A/A error | baseline, ms | architectures |")
    print(f"|---{'|--:' * (len(targets) + 3)}|")
    for target in targets:
        cells = []
        for other in targets:
            both = [key for key in known[target] if key in known[other] and key != stock]
            pairs = [known[target][key] for key in both], [known[other][key] for key in both]
            cells.append(f"{kendalltau(*pairs).statistic:.2f}" if len(both) > 1 and other != target else "")
        error = f"{abs(known[target][stock] - 1):.1%}" if stock in known[target] else ""
        level = f"{kept[target][stock]['ms']:.2f}" if stock in known[target] else ""
        print(f"| {target} | {' | '.join(cells)} | {error} | {level} | {len(known[target])} |")
    for target in targets:
        for key, one in kept[target].items():
            if "failed" in one:
                print(f"{target} cannot run {one.get('label', key)}: {one['failed']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", nargs="+", default=["torch", "onnxruntime", "openvino", "ncnn"])
    parser.add_argument("--space", default="zoo-light")
    parser.add_argument("--model", default="yolov8n")
    parser.add_argument("--count", type=int, default=30, help="architectures besides the baseline")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    space = SearchSpace.load(options.space, Detector.load(options.model))
    baseline = start_model(space.detector, None, {0: "object"}, seed=0)
    kept: dict[str, dict[str, Any]] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for architecture in chosen(space, options.count):
        for target in options.targets:
            own = kept.setdefault(target, {})
            if architecture.key not in own:
                found = measured(space, baseline, architecture, target, options)
                own[architecture.key] = {"label": architecture.label, **found}
                options.out.write_text(json.dumps(kept, indent=1))
                print(f"{target:<12} {architecture.label:<60} {found}", flush=True)
    show(kept, options.targets, space.baseline.key)


if __name__ == "__main__":
    main()
