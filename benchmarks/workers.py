"""Speed-up by many workers on one study, and its robustness when they are killed.

    python benchmarks/workers.py speed --workers 1 2 4 8 16
    python benchmarks/workers.py kills --kills 30

Both search synthetic tables whose epochs take real time, in separate processes on this machine; nothing is trained.

`speed` runs the same number of trials per worker for each number of workers. The speed-up is the training time of all
workers divided by the wall time from the opening of the study to the end of the last trial, so starting the workers,
waiting for each other and idling at the end count. The efficiency is the speed-up divided by the number of workers. The
exit code is 1 if it is below 0.9 for the last number of workers.

`kills` kills random processes of a search with SIGKILL, including the leading process, which is then started again as a
user would. The result must equal that of an undisturbed search: every architecture once, the same front.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from made_up import alive_pids, checked, eventually, kill, said, search_of, start, timed_table
from optuna.trial import TrialState

from gamsearch.study import store
from gamsearch.study.interruptions import is_lost

TARGET = 0.9


def speed(options: argparse.Namespace) -> int:
    """Print the table of efficiencies; returns 1 if the last one misses the target."""
    print("| workers | trials | seconds | seconds of training | speed-up | efficiency |\n|--:|--:|--:|--:|--:|--:|")
    efficiency = 0.0
    for workers in options.workers:
        with tempfile.TemporaryDirectory() as folder:
            busy, wall, done = _throughput(Path(folder), workers, options.trials * workers, options.seconds)
        efficiency = busy / wall / workers
        print(f"| {workers} | {done} | {wall:.1f} | {busy:.1f} | {busy / wall:.2f} | {efficiency:.3f} |", flush=True)
    return int(efficiency < TARGET)


def _throughput(here: Path, workers: int, trials: int, seconds: float) -> tuple[float, float, int]:
    """Training time and wall time in seconds, and the number of trials, of one search."""
    table, space = timed_table(here, "[2, 4, 6, 9, 12, 15]", seconds / 3)
    words = list(search_of(here, table, space, "--workers", workers))
    words[words.index("--trials") + 1] = trials
    run = start(here, *words)
    study = _opened(here, run)
    start_time = time.monotonic()
    expected = trials + 1  # with the baseline
    while _count(study) < expected and run.poll() is None:
        time.sleep(0.1)
    wall = time.monotonic() - start_time
    assert run.wait() == 0, said(here)
    done = [t for t in _done(study) if t.number > 0]
    return sum(t.user_attrs["took"] for t in done), wall, len(done)


def kills(options: argparse.Namespace) -> int:
    """Kill, compare and print the result; a difference raises."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "undisturbed").mkdir()
        undisturbed = start(here / "undisturbed", *search_of(here, *timed_table(here / "undisturbed", SITES, 0.0)))
        assert undisturbed.wait() == 0, said(here / "undisturbed")
        front = checked(store.load(here / "undisturbed" / "results" / "a"), SIZE)
        killed, leaders, starts = _killing(here, options)
        study = store.load(here / "results" / "a")
        assert checked(study, SIZE) == front, "the front differs"
        states = Counter(t.state.name for t in store.trials(study))
        lost = sum(is_lost(t) for t in store.trials(study))
        print(f"{killed} kills ({leaders} of the leading process, {starts} starts of `run`), {lost} trials re-queued")
        print(
            f"{SIZE} of {SIZE} architectures evaluated once, same front ({len(front)}) as undisturbed; {dict(states)}"
        )
    return 0


SITES, SIZE = "[4, 6, 9, 12, 15]", 243


def _killing(here: Path, options: argparse.Namespace) -> tuple[int, int, int]:
    """Search and kill; returns the numbers of kills, of killed leading processes, and of starts of `run`."""
    words = search_of(here, *timed_table(here, SITES, options.seconds / 3), "--workers", 4)
    rng, killed, leaders, starts = random.Random(options.seed), 0, 0, 1
    run = start(here, *words)
    study = _opened(here, run)
    while True:
        time.sleep(rng.uniform(0.5, 2.0))
        if run.poll() == 0:
            return killed, leaders, starts
        if run.poll() is not None:
            run, starts = start(here, *words), starts + 1
            continue
        pids = alive_pids(study)
        if killed < options.kills and pids:
            chosen = rng.choice(pids)
            kill(chosen)
            killed, leaders = killed + 1, leaders + (chosen == run.pid)


def _opened(here: Path, run: "subprocess.Popen[str]"):
    journal = here / "results" / "a" / store.JOURNAL
    eventually(lambda: run.poll() is not None or journal.exists() and b'"open":true' in journal.read_bytes(), 120)
    return store.load(journal.parent)


def _done(study) -> list:
    return [t for t in store.trials(study, TrialState.COMPLETE) if "recalled_from" not in t.user_attrs]


def _count(study) -> int:
    return len(_done(study))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    fast = commands.add_parser("speed")
    fast.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    fast.add_argument("--trials", type=int, default=25, help="trials per worker")
    fast.add_argument("--seconds", type=float, default=12.0, help="approximate duration of a trial")
    fast.set_defaults(command=speed)
    hard = commands.add_parser("kills")
    hard.add_argument("--kills", type=int, default=30)
    hard.add_argument("--seconds", type=float, default=1.5)
    hard.add_argument("--seed", type=int, default=0)
    hard.set_defaults(command=kills)
    options = parser.parse_args()
    return int(options.command(options))


if __name__ == "__main__":
    sys.exit(main())
