"""Take the storage of a search away again and again: every architecture must be evaluated exactly once all the same.

    python benchmarks/outages.py [--rounds 1] [--workers 4] [--outages 5] [--seed 0] [--only postgres journal]

Each round searches a small table with real processes (`run --workers N`) and takes its storage away at random moments,
for some seconds each: PostgreSQL is stopped as by a power failure, a SQLite database is locked by another process, the
gRPC proxy is killed, the file server of the journal answers with ESTALE, EIO and ETIMEDOUT. A round holds if all
processes end 0 without a traceback, every architecture of the space has exactly one evaluation, and none has failed.
The table at the end counts rounds and outages per storage; exit code 1 if any round is broken.
"""

import argparse
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from made_up import ROOT, alive_pids, checked, eventually, free_port, said, search_of, start, timed_table
from optuna.trial import TrialState
from postgres import BINARIES, postgres

from gamsearch.errors import CandidateFailed
from gamsearch.study import storages, store

SPACES = {9: "[4, 6]", 27: "[4, 6, 9]", 81: "[4, 6, 9, 12]", 243: "[4, 6, 9, 12, 15]"}
"""Sites of a space by its size."""
FAULTS = Path(__file__).parent / "faults"


@dataclass(frozen=True)
class Fragile:
    """A storage that can be taken away.

    Attributes:
        url: Its URL; empty for the journal.
        down: Takes it away.
        up: Gives it back.
        seconds: Shortest and longest outage.
        environment: What the processes of the search need in addition.
    """

    url: str
    down: Callable[[], object]
    up: Callable[[], object]
    seconds: tuple[float, float]
    environment: dict[str, str] = field(default_factory=dict)


@contextmanager
def postgres_restarted(here: Path) -> Iterator[Fragile]:
    with postgres() as server:
        yield Fragile(server.url, server.stop, server.start, (1.0, 5.0))


@contextmanager
def sqlite_locked(here: Path) -> Iterator[Fragile]:
    """Longer than the five seconds for which SQLite waits by itself."""
    held = sqlite3.connect(here / "study.db", isolation_level=None, timeout=60)
    try:
        down = lambda: held.execute("BEGIN EXCLUSIVE")  # noqa: E731
        yield Fragile(f"sqlite:///{here}/study.db", down, lambda: held.execute("COMMIT"), (6.0, 9.0))
    finally:
        held.close()


@contextmanager
def proxy_killed(here: Path) -> Iterator[Fragile]:
    port, servers = free_port(), []

    def up() -> None:
        before = said(here).count("serving ")
        servers.append(start(here, "serve", "--storage", f"sqlite:///{here}/served.db", "--port", port))
        eventually(lambda: said(here).count("serving ") > before, 60)

    def down() -> None:
        servers[-1].kill()
        servers[-1].wait()

    up()
    try:
        yield Fragile(f"grpc://localhost:{port}", down, up, (0.2, 3.0))
    finally:
        down()


@contextmanager
def journal_stale(here: Path) -> Iterator[Fragile]:
    flag = here / "fault"
    environment = {"PYTHONPATH": f"{FAULTS}{os.pathsep}{ROOT}", "GAMSEARCH_FAULT": str(flag)}
    yield Fragile("", flag.touch, flag.unlink, (0.5, 4.0), environment)


STORAGES: dict[str, Callable[[Path], AbstractContextManager[Fragile]]] = {
    "postgres": postgres_restarted,
    "sqlite": sqlite_locked,
    "proxy": proxy_killed,
    "journal": journal_stale,
}


def disturbed_search(
    name: str, here: Path, rng: random.Random, workers: int = 4, outages: int = 5, size: int = 81
) -> int:
    """Search while a storage is taken away; assert that nothing was lost, and return the number of outages."""
    with STORAGES[name](here) as storage:
        if storage.url:
            os.environ[storages.VARIABLE] = storage.url
        try:
            table, space = timed_table(here, SPACES[size], 0.25)
            given = ("--storage", storage.url) if storage.url else ()
            words = search_of(here, table, space, "--workers", workers, *given)
            run = start(here, *words, **storage.environment)
            try:
                done = _disturb(storage, run, here, rng, workers, outages)
                assert run.wait(300) == 0, said(here)
            finally:
                run.kill()
            check(store.load(here / "results" / "a"), size, said(here))
            return done
        finally:
            os.environ.pop(storages.VARIABLE, None)


def _disturb(
    storage: Fragile, run: "subprocess.Popen[str]", here: Path, rng: random.Random, workers: int, outages: int
) -> int:
    """Take the storage away at random moments while the search runs; return how often."""
    folder = here / "results" / "a"
    eventually(lambda: run.poll() is not None or is_open(folder), 120)
    study = store.load(folder)
    eventually(lambda: run.poll() is not None or len(alive_pids(study)) == workers, 120)
    for done in range(outages):
        time.sleep(rng.uniform(0.1, 3.0))
        if run.poll() is not None:
            return done
        storage.down()
        time.sleep(rng.uniform(*storage.seconds))
        storage.up()
    return outages


def is_open(folder: Path) -> bool:
    """Whether a run has begun to search."""
    known = (folder / storages.JOURNAL).exists() or (folder / storages.FILE).exists()
    return known and store.exists(folder) and bool(store.load(folder).user_attrs.get("open"))


def check(study: optuna.Study, size: int, text: str) -> None:
    """Assert that nothing was lost and nothing blamed on a candidate; `text` is what the processes printed."""
    checked(study, size)
    failed = [str(t.user_attrs.get("reason", "")) for t in store.trials(study, TrialState.FAIL)]
    blamed = [reason for reason in failed if reason.partition(":")[0] in CandidateFailed.REASONS]
    assert not blamed, f"recorded as failures of candidates: {blamed}"
    for broken in ("Traceback", "a worker failed", "a worker crashed", "a worker was killed"):
        assert broken not in text, text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="searches per storage")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--outages", type=int, default=5, help="outages per search")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, choices=sorted(SPACES), default=81, help="architectures of the space")
    parser.add_argument("--only", nargs="+", choices=sorted(STORAGES), default=list(STORAGES))
    options = parser.parse_args()
    print("| storage | searches | outages | held |\n|---|--:|--:|--:|")
    broken = 0
    for name in options.only:
        if name == "postgres" and not BINARIES:
            print("| postgres | 0 (no server is installed) | 0 | 0 |", flush=True)
            continue
        tried, held = 0, 0
        for number in range(options.rounds):
            rng = random.Random(f"{name}{options.seed + number}")
            with tempfile.TemporaryDirectory() as folder:
                try:
                    tried += disturbed_search(name, Path(folder), rng, options.workers, options.outages, options.size)
                    held += 1
                except Exception:
                    traceback.print_exc()
        broken += options.rounds - held
        print(f"| {name} | {options.rounds} | {tried} | {held} |", flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
