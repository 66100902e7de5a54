"""What many workers on one study gain, and what it loses when they are killed.

    python benchmarks/workers.py speed --workers 1 2 4 8 16
    python benchmarks/workers.py kills --kills 30

Both search made-up tables whose epochs take their time, in processes of their own on this machine; nothing is trained.

`speed` gives each number of workers as many trials a worker and prints how many seconds of training they got through
in a second, from the moment the study is open until the last trial has ended: starting the workers, waiting for each
other and the idle ends count. Efficiency is that over the number of workers. Exit code 1 below 0.9 at the most workers.

`kills` kills random processes of a search with SIGKILL, the leading one among them, which is then started again as a
user would, and compares what was found with an undisturbed search: every architecture once, the same front.
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
from gamsearch.study.history import is_lost

TARGET = 0.9


def speed(options: argparse.Namespace) -> int:
    """Print the table of efficiencies; 1 if the last one misses the target."""
    print("| workers | trials | seconds | seconds of training | speed-up | efficiency |\n|--:|--:|--:|--:|--:|--:|")
    efficiency = 0.0
    for workers in options.workers:
        with tempfile.TemporaryDirectory() as folder:
            busy, wall, done = _throughput(Path(folder), workers, options.trials * workers, options.seconds)
        efficiency = busy / wall / workers
        print(f"| {workers} | {done} | {wall:.1f} | {busy:.1f} | {busy / wall:.2f} | {efficiency:.3f} |", flush=True)
    return int(efficiency < TARGET)


def _throughput(here: Path, workers: int, trials: int, seconds: float) -> tuple[float, float, int]:
    """Seconds of training, wall seconds, and trials of one search."""
    table, space = timed_table(here, "[2, 4, 6, 9, 12, 15]", seconds / 3)
    words = list(search_of(here, table, space, "--workers", workers))
    words[words.index("--trials") + 1] = trials
    run = start(here, *words)
    study = _opened(here, run)
    begun = time.monotonic()
    wanted = trials + 1  # with the baseline
    while _count(study) < wanted and run.poll() is None:
        time.sleep(0.1)
    wall = time.monotonic() - begun
    assert run.wait() == 0, said(here)
    done = [t for t in _done(study) if t.number > 0]
    return sum(t.user_attrs["took"] for t in done), wall, len(done)


def kills(options: argparse.Namespace) -> int:
    """Kill, compare, and print what was seen; the comparison raises."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "calm").mkdir()
        calm = start(here / "calm", *search_of(here, *timed_table(here / "calm", SITES, 0.0)))
        assert calm.wait() == 0, said(here / "calm")
        front = checked(store.load(here / "calm" / "results" / "a"), SIZE)
        killed, leaders, starts = _killing(here, options)
        study = store.load(here / "results" / "a")
        assert checked(study, SIZE) == front, "the front differs"
        states = Counter(t.state.name for t in store.trials(study))
        lost = sum(is_lost(t) for t in store.trials(study))
        print(f"{killed} kills ({leaders} of the leading process, {starts} starts of `run`), {lost} trials re-queued")
        print(
            f"{SIZE} of {SIZE} architectures evaluated once each, front of {len(front)} as undisturbed; {dict(states)}"
        )
    return 0


SITES, SIZE = "[4, 6, 9, 12, 15]", 243


def _killing(here: Path, options: argparse.Namespace) -> tuple[int, int, int]:
    """Search and kill; how many were killed, how many of them led, how often `run` was started."""
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
    fast.add_argument("--trials", type=int, default=25, help="for each worker")
    fast.add_argument("--seconds", type=float, default=12.0, help="about so long a trial takes")
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
