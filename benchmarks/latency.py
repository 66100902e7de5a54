"""Repeatability of latency: ratios from independent processes, and the predictions of the latency table.

    python benchmarks/latency.py
    python benchmarks/latency.py --imgsz 320 --processes 3 --busy 2
    python benchmarks/latency.py --imgsz 640 --device 0 --backend cudagraph --placed 2:4 9:4 9:16 4:4+15:16

Each process builds yolov8n and the architectures and measures their latency ratio to the baseline as a search does. The
spread is the largest ratio divided by the smallest, minus one. `ratio` is the recorded value (each pass normalised by
its own reference rows); `whole passes` is the value of the same passes without this normalisation. The first process
also measures the table of the space's increments and a few held-out architectures. `--busy N` runs N competing
processes meanwhile. The exit code is 1 if a spread of the recorded ratio is above 2 %.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from gamsearch.architecture import Architecture, Placement

PLACED = ("4:4", "8:4", "15:16", "4:4+15:16", "2:8+9:4+18:8+21:16")
TARGET = 0.02
BUSY = "import torch; torch.set_num_threads(1); a = torch.rand(700, 700)\nwhile True: a @ a"


def measure_all(options: argparse.Namespace) -> dict[str, Any]:
    """Ratios by label, `[ratio, whole passes]`, and with `--table` the latency table with its held-out errors."""
    from gamsearch.models import device as devices
    from gamsearch.models.candidate import build_candidate
    from gamsearch.models.latency.measure import measure
    from gamsearch.models.latency.measure_table import hold_out, measure_table
    from gamsearch.parser.register import quiet_ultralytics
    from gamsearch.space.search_space import SearchSpace
    from gamsearch.training.baseline import start_model

    quiet_ultralytics()
    device, space = devices.select(options.device), SearchSpace.load(options.space)
    baseline = start_model(space.detector, None, {0: "a", 1: "b", 2: "c"}, seed=0).eval()
    found: dict[str, Any] = {"ratios": {}, "seconds": [], "baseline_ms": []}
    for architecture in map(architecture_of, options.placed):
        model = build_candidate(space.detector, architecture, baseline, options.imgsz).model
        start = time.perf_counter()
        latency = measure(model, baseline, options.imgsz, device, backend=options.backend, seconds=options.seconds)
        found["ratios"][architecture.label] = [latency.ratio, latency.paired_ratio]
        found["seconds"].append(time.perf_counter() - start)
        found["baseline_ms"].append(latency.baseline_ms)
        found["how"] = f"{latency.backend}, {latency.precision}, {latency.device}, {latency.clock} time"
    if options.table:
        table = measure_table(space, baseline, options.imgsz, device, latency.baseline_ms, backend=options.backend)
        found["table"] = hold_out(
            table, space, baseline, device, count=options.held_out, seconds=options.seconds
        ).to_dict()
    return found


def architecture_of(text: str) -> Architecture:
    """E.g. `4:4+15:16`: GAM at rate 4 after row 4 and at rate 16 after row 15."""
    pairs = [map(int, pair.split(":")) for pair in text.split("+")]
    return Architecture.of("yolov8n", [Placement(site, "GAM", (("rate", rate),)) for site, rate in pairs])


def measured_separately(options: argparse.Namespace, table: bool) -> dict[str, Any]:
    """The result of `measure_all` in a separate process."""
    command = [sys.executable, __file__, "--child", *(["--table"] if table else [])]
    for name in ("imgsz", "seconds", "space", "held_out", "backend", "device"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    command += ["--placed", *options.placed]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(runs: list[dict[str, Any]]) -> bool:
    """Print the ratios of all processes; return whether the spread of every recorded ratio is within the target."""
    met = True
    print(f"{'':<44} {'ratio of each process':<30} spread   whole passes: spread")
    for label in runs[0]["ratios"]:
        ratios, whole = np.array([run["ratios"][label] for run in runs]).T
        spread, whole_spread = ratios.max() / ratios.min() - 1, whole.max() / whole.min() - 1
        met &= bool(spread <= TARGET)
        text = " ".join(f"{r:.4f}" for r in ratios)
        print(f"{label:<44} {text:<30} {spread:6.1%} {whole_spread:22.1%}")
    return met


def report_table(form: dict[str, Any]) -> None:
    """Print the number of increments, their standard error, and their errors on the held-out architectures."""
    from gamsearch.models.latency.table import LatencyTable

    table = LatencyTable.from_dict(form)
    errors = [i.error for i in table.increments.values()]
    print(
        f"\n{len(errors)} increments in {table.rounds} rounds, standard error {np.median(errors):.1%} of the baseline"
    )
    for check in table.held_out:
        print(
            f"{check.label:<60} predicted {check.predicted:.3f}  measured {check.measured:.3f} "
            f"[{check.low:.3f}, {check.high:.3f}]  {check.error:+.1%}"
        )
    if table.errors:
        print(f"relative error on held-out architectures: median {table.errors[0]:.1%}, largest {table.errors[1]:.1%}")


def main() -> int:
    """Measure in separate processes, one after the other, and compare."""
    options = read_options()
    if options.child:
        print(json.dumps(measure_all(options)))
        return 0
    load = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(options.busy)]
    try:
        runs = [measured_separately(options, table=i == 0) for i in range(options.processes)]
    finally:
        for process in load:
            process.kill()
    print(f"yolov8n, {options.imgsz} px, {runs[0]['how']}, load {os.getloadavg()[0]:.1f}")
    passes = [ms for run in runs for ms in run["baseline_ms"]]
    took = [seconds for run in runs for seconds in run["seconds"]]
    print(f"a pass of the baseline {min(passes):.3f} to {max(passes):.3f} ms, a ratio in {np.median(took):.1f} s\n")
    met = report(runs)
    report_table(runs[0]["table"])
    return 0 if met else 1


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--busy", type=int, default=0, help="competing processes")
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of each direct measurement")
    parser.add_argument("--space", default="gam", help="a search space of yolov8n, for the table")
    parser.add_argument("--held-out", type=int, default=4)
    parser.add_argument("--backend", default="auto")
    parser.add_argument(
        "--placed", nargs="+", default=PLACED, metavar="SITE:RATE[+...]", help="the architectures to measure"
    )
    parser.add_argument("--device", default="cpu", help="cpu, or an index such as 0")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--table", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
