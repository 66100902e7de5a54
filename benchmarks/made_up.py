"""Synthetic replay tables whose epochs take real time, and searches over them in separate processes, also for tests."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import optuna
from optuna.trial import TrialState

from gamsearch.space.search_space import SearchSpace
from gamsearch.study import store
from gamsearch.study.table import read_record
from gamsearch.study.worker_entries import owner, workers

ROOT = Path(__file__).parents[1]

SPACE = """
detector: yolov8n.yaml
sites: {sites}
attention:
  GAM: {{rate: [4, 16]}}
illegal: skip
"""


def timed_table(folder: Path, sites: str = "[4, 6, 9, 12]", seconds: float = 0.05) -> tuple[Path, Path]:
    """Write a synthetic table over a small space, with epochs of `seconds`, and the space file; returns both paths."""
    space_file, table = folder / "little.yaml", folder / "table.json"
    space_file.write_text(SPACE.format(sites=sites))
    rows = []
    for architecture in SearchSpace.load(space_file).enumerate():
        rng = random.Random(architecture.key)
        cost = sum(4.0 / dict(p.options)["rate"] for p in architecture.placements)
        gain = 0.01 * cost**0.5 + rng.gauss(0, 0.005)
        built = {"params_m": 3 + cost, "gflops": 8 + cost, "latency_ms": 10 + cost}
        curve = [{"epoch": e, "map50_95": (0.4 + gain) * e / 3, "map50": (0.6 + gain) * e / 3} for e in (1, 2, 3)]
        rows.append(
            {
                "architecture": architecture.to_dict(),
                "metrics": built,
                "curves": {"0": curve},
                "seconds_per_epoch": seconds * rng.uniform(0.8, 1.2),
            }
        )
    content = {"detector": "yolov8n", "epochs": 3, "seeds": [0], "rows": rows, "in_time": True}
    table.write_text(json.dumps(content))
    return table, space_file


def command(*arguments: object) -> list[str]:
    """The command line of gamsearch with these arguments."""
    return [sys.executable, "-m", "gamsearch", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """The environment in which gamsearch is that of this checkout, with one thread."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def start(here: Path, *arguments: object, **more: str) -> "subprocess.Popen[str]":
    """Start gamsearch in the folder `here`."""
    known = environment(**more)
    with (here / f"{time.monotonic_ns()}.log").open("w") as log:
        return subprocess.Popen(
            command(*arguments), cwd=here, env=known, stdout=log, stderr=log, text=True, stdin=subprocess.DEVNULL
        )


def said(here: Path) -> str:
    """The output of all commands that were started in `here`, including that of worker processes."""
    logs = [*here.glob("*.log"), *here.glob("results/*/workers/*.log")]
    return "\n".join(path.read_text() for path in sorted(logs))


def search_of(here: Path, table: Path, space: Path, *more: object) -> tuple[object, ...]:
    """The arguments of an exhaustive search of a small space."""
    fixed = ("--evaluator", "replay", "--table", table, "--space", space, "--epochs", 3, "--noise-seeds", 1)
    return ("run", *fixed, "--sampler", "brute", "--stopping", "off", "--trials", 500, "--name", "a", *more)


def checked(study: optuna.Study, size: int) -> list[str]:
    """Assert that every architecture was evaluated exactly once; returns the keys of the front."""
    done = [t for t in store.trials(study, TrialState.COMPLETE) if "recalled_from" not in t.user_attrs]
    counted = Counter(t.user_attrs["key"] for t in done)
    assert len(counted) == size, f"{size - len(counted)} of {size} architectures were lost"
    assert max(counted.values()) == 1, "an architecture was evaluated twice"
    assert not store.trials(study, TrialState.RUNNING)
    front = read_record(study, "").front
    return sorted(front["key"])


def alive_pids(study: optuna.Study) -> list[int]:
    """The processes that are registered as workers of the study and are alive."""
    found = []
    for facts in workers(study).values():
        if facts.get("left"):
            continue
        try:
            os.kill(int(facts["pid"]), 0)
        except ProcessLookupError:
            continue
        found.append(int(facts["pid"]))
    return found


def kill(pid: int) -> None:
    """Kill a process with SIGKILL; one that has ended is ignored."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def shares(study: optuna.Study) -> Counter:
    """The number of completed trials per worker."""
    return Counter(owner(t) for t in store.trials(study, TrialState.COMPLETE))


def eventually(what, seconds: float = 180.0) -> None:
    """Wait until `what()` is true, for at most `seconds`."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"not within {seconds:.0f} s"
        time.sleep(0.05)


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])
