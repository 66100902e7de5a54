"""Overhead of the search per trial, with trials that cost nothing: 2,000 trials in the embedded journal storage.

    python benchmarks/overhead.py
    python benchmarks/overhead.py --sampler thaw --trials 500

Searches `gam.yaml` (a space too large to enumerate) with an evaluator that returns synthetic results at no cost. Prints
the time per trial over the last 200 trials (ask, decide, record, tell, count), as wall time and as CPU time of the
process; the evaluator's own time, far below 1 ms, is included. The journal is synced to disk with every write, so wall
time depends on the disk and on the load of the machine (set TMPDIR to exclude the disk). The random sampler often
repeats itself, and repeats are fast, so the target applies to the other trials. A profiler runs over the 200 trials
before those and gives the share of each part (one may contain another). The exit code is 1 if the wall time misses the
target.
"""

import argparse
import cProfile
import math
import pstats
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pandas as pd

from gamsearch.architecture import Architecture
from gamsearch.errors import GamsearchError
from gamsearch.evaluation import EpochReport, Measurement, TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import stopping_named
from gamsearch.study import store
from gamsearch.study.record import STATES

TARGET_MS = 50.0
MEASURED = 200
EPOCHS = 3
PARTS = {
    "sampler and ask": ("study.py", "ask"),
    "tell": ("study.py", "tell"),
    "  best_trials": ("study.py", "best_trials"),
    "writes to the journal": ("_storage.py", "_write_log"),
    "reads of the journal": ("_storage.py", "_sync_with_backend"),
    "architecture history (duplicate check)": ("history.py", "update"),
    "reason to stop, search budget": ("ending.py", "reason_to_stop"),
    "zero-epoch screen": ("stopping_policy.py", "screen"),
    "bound at rungs": ("stopping_policy.py", "after_rung"),
    "choice of freeze-thaw": ("freeze_thaw.py", "choose"),
    "answers to repeats": ("proposals.py", "enqueue_neighbour"),
}


class Enough(Exception):
    """Ends the search after the requested number of trials."""


class SyntheticEvaluator:
    """An evaluator with synthetic results."""

    def evaluate(self, architecture: Architecture, budget: TrialBudget, report: EpochReport) -> Measurement:
        """Costs and gains are sums over placements; gains grow with the epochs."""
        built = self.predict_costs(architecture)
        report(0, built)
        rng = random.Random(f"{architecture.key}{budget.seed}")
        gain = sum(0.01 * math.sin(p.site) for p in architecture.placements) + rng.gauss(0, 0.003)
        curve = []
        for epoch in range(budget.done + 1, budget.epochs + 1):
            level = 0.3 + 0.02 * epoch + gain * (1 - math.exp(-epoch))
            point = {"map50_95": level, "map50": level + 0.2}
            curve.append({"epoch": epoch, **point})
            report(epoch, point)
        return Measurement({**built, **point}, curve)

    def predict_costs(self, architecture: Architecture) -> dict[str, float]:
        """A module with a smaller rate costs more."""
        cost = sum(2.0 / float(dict(p.options)["rate"]) for p in architecture.placements)
        return {"params_m": 3.0 + cost, "gflops": 8.0 + cost, "latency_ms": 10.0 + cost}


class Stopwatch:
    """A progress observer that records the time of every trial, runs the profiler for a while, and ends the search."""

    def __init__(self, trials: int):
        self.trials = trials
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.repeats: list[bool] = []
        self.profile = cProfile.Profile()

    def started(self, number: int, label: str, used: float, search_budget: SearchBudget) -> None: ...

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None: ...

    def ended(self, number: int, outcome: str, gain: float | None) -> None:
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())
        self.repeats.append(outcome.startswith("repeats"))
        left = self.trials - len(self.wall)
        if left == 2 * MEASURED:
            self.profile.enable()
        if left == MEASURED:
            self.profile.disable()
        if left <= 0:
            raise Enough

    def per_trial(self) -> pd.DataFrame:
        """`wall` and `cpu` milliseconds of each of the last trials, and whether it was a `repeat`."""
        times = pd.DataFrame({"wall": self.wall, "cpu": self.cpu}).diff() * 1000
        return times.assign(repeat=self.repeats).iloc[1:].tail(MEASURED)

    def parts(self) -> dict[str, float]:
        """Cumulative share of the profiled time for each part that was called."""
        stats = pstats.Stats(self.profile)
        shares = {}
        for name, (file, function) in PARTS.items():
            spent = sum(
                figures[3]
                for (path, _, called), figures in stats.stats.items()  # type: ignore[attr-defined]
                if Path(path).name == file and called == function
            )
            if spent:
                shares[name] = spent / stats.total_tt  # type: ignore[attr-defined]
        return shares


def measure(sampler: str, stopping: str, trials: int, folder: Path) -> tuple[Stopwatch, str]:
    """Search until `trials` trials have ended; returns the stopwatch and the number of trials by state."""
    space = SearchSpace.load("gam", Detector.load("yolov8n"))
    study = store.create(folder, [metric_named(name) for name in space.objectives], {"settings": {}})
    plan = Plan(space, TrialBudget(EPOCHS), SearchBudget(trials), sampler, 2, stopping_named(stopping))
    stopwatch = Stopwatch(trials)
    with suppress(Enough):
        search(study, plan, SyntheticEvaluator(), stopwatch)
    states = [STATES[trial.state.name] for trial in store.trials(study)]
    return stopwatch, ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def main() -> int:
    options = read_options()
    if options.trials <= 2 * MEASURED:
        print(f"--trials must be above {2 * MEASURED}: {MEASURED} are profiled, {MEASURED} measured", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory() as folder:
            stopwatch, states = measure(options.sampler, options.stopping, options.trials, Path(folder))
            size = (Path(folder) / store.JOURNAL).stat().st_size / 1e6
    except GamsearchError as error:
        print(error, file=sys.stderr)
        return 2
    last = stopwatch.per_trial()
    print(f"sampler {options.sampler}, stopping {options.stopping}; journal {size:.1f} MB")
    print(f"{options.trials} trials: {states}\n")
    print(f"last {MEASURED} trials, ms each         count     mean   median   largest")
    new = last[~last["repeat"]]
    for name, rows in (("all", last), ("without repeats", new)):
        for clock in ("wall", "cpu"):
            ms = rows[clock]
            print(f"{name + ', ' + clock:<28} {len(ms):9d} {ms.mean():8.1f} {ms.median():8.1f} {ms.max():9.1f}")
    met = new["wall"].mean() < TARGET_MS
    print(f"target: {TARGET_MS:.0f} ms of wall time, mean without repeats: {'met' if met else 'MISSED'}\n")
    for name, share in stopwatch.parts().items():
        print(f"{name:<40} {share:5.0%}")
    if options.profile:
        pstats.Stats(stopwatch.profile).sort_stats("cumulative").print_stats(45)
    return 0 if met else 1


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--stopping", default="default")
    parser.add_argument("--profile", action="store_true", help="print the profile as well")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
