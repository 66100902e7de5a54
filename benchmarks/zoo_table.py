"""Every attention module on every detector: the identity, what is inherited, and what it costs.

    python benchmarks/zoo_table.py
    python benchmarks/zoo_table.py --detectors yolov8n yolo11n --modules GAM SE
    python benchmarks/zoo_table.py --show

Each module is placed with its default options before every input of the detection head at once: `difference` is the
largest absolute difference of the predictions to the baseline's, `inherited` the share of the baseline's elements that
the candidate has. Parameters and GFLOPs are those of this candidate. Latency ratios are those of one placement, at P3,
P4 or P5, from one table of increments per detector (`gamsearch.models.latency.measure_table`). Weights are random: none
of these figures depends on them.

One JSON file per detector is written to `results/zoo/`; a detector whose file exists is left out, so the command
resumes where it was stopped. `--show` prints the tables of all files. The exit code is 1 if a module is not the exact
identity or does not inherit the whole baseline.
"""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.errors import CandidateFailed, GamsearchError
from gamsearch.models.candidate import build_candidate
from gamsearch.models.identity import max_difference
from gamsearch.models.latency.measure_table import measure_table
from gamsearch.parser.register import quiet_ultralytics
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.baseline import start_model

DETECTORS = [
    *("yolov3-tiny", "yolov5n", "yolov6n", "yolov8n", "yolov9t", "yolov10n"),
    *("yolo11n", "yolo12n", "yolo26n", "yolov8n-rtdetr"),
]
LEVELS = {8: "P3", 16: "P4", 32: "P5"}
FOLDER = Path("results/zoo")
HEADER = "| module | difference | inherited | parameters | GFLOPs | P3 | P4 | P5 |\n|---|--:|--:|--:|--:|--:|--:|--:|"


def measure_detector(name: str, modules: list[str], imgsz: int, seconds: float) -> dict[str, Any]:
    """Everything about one detector, JSON-ready: `rows` by module, and how it was measured."""
    detector = Detector.load(name)
    sites = {r: LEVELS[detector.rows[r].stride] for r in detector.rows[-1].sources if detector.rows[r].stride in LEVELS}
    baseline = start_model(detector, None, {0: "a", 1: "b", 2: "c"}, seed=0).eval()
    stock = build_candidate(detector, Architecture.of(name, []), baseline, imgsz)
    known = {"params_m": stock.params_m(), "gflops": stock.gflops()}
    rows = {module: _built(detector, baseline, module, list(sites), imgsz, known) for module in modules}
    space = _space(name, list(sites), modules)
    table = measure_table(space, baseline, imgsz, torch.device("cpu"), 1.0, seconds=seconds)
    for placement, increment in table.increments.items():
        rows[placement.module][sites[placement.site]] = [round(1 + increment.share, 4), round(increment.error, 4)]
    return {"detector": name, "imgsz": imgsz, "rounds": table.rounds, **known, "rows": rows}


def _built(
    detector: Detector, baseline: Any, module: str, sites: list[int], imgsz: int, known: dict[str, float]
) -> dict[str, Any]:
    """A candidate with the module at all sites against the baseline; `refused` if it cannot be built."""
    spec = CATALOGUE[module]
    options = tuple(spec.complete({}).items())
    try:
        for site in sites:
            if reason := spec.refuse(detector.rows[site].channels, dict(options)):
                return {"refused": reason}
        architecture = Architecture.of(detector.name, [Placement(site, module, options) for site in sites])
        candidate = build_candidate(detector, architecture, baseline, imgsz)
    except CandidateFailed as failure:
        return {"refused": str(failure)}
    image = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(1))
    return {
        "difference": max_difference(candidate.model, baseline, image),
        "inherited": candidate.audit.elements_inherited / candidate.audit.elements_expected,
        "params": candidate.params_m() / known["params_m"] - 1,
        "gflops": candidate.gflops() / known["gflops"] - 1,
    }


def _space(detector: str, sites: list[int], modules: list[str]) -> SearchSpace:
    content = {"detector": detector, "sites": sites, "attention": {module: {} for module in modules}}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "space.yaml"
        file.write_text(yaml.safe_dump({**content, "illegal": "skip", "objectives": ["map50_95", "latency_ms"]}))
        return SearchSpace.load(file)


def show(folder: Path) -> None:
    """Print the table of each detector."""
    every = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    for found in sorted(every, key=lambda f: (*DETECTORS, f["detector"]).index(f["detector"])):
        print(f"\n## {found['detector']}\n\n{HEADER}")
        for module, row in found["rows"].items():
            print(f"| {module} | {' | '.join(_cells(row))} |")


def _cells(row: dict[str, Any]) -> list[str]:
    if "refused" in row:
        return [row["refused"], *[""] * 6]
    levels = [f"{row[level][0]:.3f} ± {1.96 * row[level][1]:.3f}" if level in row else "" for level in LEVELS.values()]
    costs = [f"{100 * row[name]:+.2f} %" for name in ("params", "gflops")]
    return [f"{row['difference']:g}", f"{100 * row['inherited']:g} %", *costs, *levels]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detectors", nargs="+", default=DETECTORS)
    parser.add_argument("--modules", nargs="+", default=list(CATALOGUE))
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--seconds", type=float, default=60.0, help="limit of each latency table")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    quiet_ultralytics()
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        for name in [] if options.show else options.detectors:
            file = options.folder / f"{name}.json"
            if not file.exists():
                found = measure_detector(name, options.modules, options.imgsz, options.seconds)
                file.write_text(json.dumps(found, indent=1) + "\n")
    except GamsearchError as error:
        print(error, file=sys.stderr)
        return 2
    show(options.folder)
    rows = [row for file in options.folder.glob("*.json") for row in json.loads(file.read_text())["rows"].values()]
    return int(any(row.get("difference", 1) != 0.0 or row["inherited"] != 1.0 for row in rows))


if __name__ == "__main__":
    sys.exit(main())
