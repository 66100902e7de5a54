"""Disturb real searches for half an hour in every way that a machine knows: nothing must be lost, and nothing differ.

    python benchmarks/chaos.py [--minutes 30] [--workers 3] [--seed 0] [--pause 2 8] [--log chaos.jsonl]

Searches with real trainings at 64 px follow one another, each by `run --workers N` on PostgreSQL. At random moments

- a random process is killed (SIGKILL), and `run` is started again if it was its process,
- a random process is stopped for up to half a minute (SIGSTOP) and continued,
- the process that holds the device lock for a measurement is stopped in the same way,
- the server stops as by a power failure and starts again some seconds later,
- the disk of the run's folder is full for ten seconds (needs root, to mount a small file system).

A search holds if in the end every architecture has exactly one evaluation, no candidate was recorded as failed, no
process printed a traceback, whatever was recorded at some moment is still recorded, and each mAP equals that of an
undisturbed search bit for bit. The table counts what was done; exit code 1 if a search is broken.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from made_up import alive_pids, eventually, said, start
from optuna.trial import TrialState
from outages import check, is_open
from postgres import BINARIES, Server, postgres

from gamsearch.runs import demo, demonstration
from gamsearch.runs.manifest import write_yaml
from gamsearch.space.search_space import SearchSpace
from gamsearch.study import storages, store

SPACE = """
detector: {detector}
sites: [2, 3, 4]
attention:
  GAM: {{rate: [2, 4]}}
objectives: [map50_95, latency_ms]
"""
SIZE = 27
DISK = 500 << 20
"""Bytes of the file system of the run's folder."""
FULL_S = 10.0
AGAIN_S = 600.0
"""Most seconds that a search takes after the last disturbance."""


@dataclass
class Search:
    """A search under way.

    Attributes:
        here: Its working directory.
        words: The arguments of gamsearch.
        server: The server of its study.
        disk: Whether the results are on a small file system.
        rng: Decides what happens.
        run: The process of `run`.
        codes: Exit codes of `run`.
        seen: The mAP of every evaluation that was recorded at some moment, by trial.
    """

    here: Path
    words: tuple[object, ...]
    server: Server
    disk: bool
    rng: random.Random
    run: "subprocess.Popen[str] | None" = None
    codes: Counter[int] = field(default_factory=Counter)
    seen: dict[int, float] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.here / "results" / "a"

    @property
    def study(self) -> optuna.Study:
        return store.load(self.folder)

    def is_done(self) -> bool:
        """Start `run` if it is not running; return whether it has ended as it should."""
        code = None if self.run is None else self.run.poll()
        if code == 0:
            return True
        if self.run is None or code is not None:
            if code is not None:
                self.codes[code] += 1
            self.run = start(self.here, *self.words, TMPDIR=str(self.here))
        return False

    def note(self) -> None:
        """Note what is recorded, all of which must stay."""
        for number, value in accuracies(self.study).items():
            assert self.seen.setdefault(number, value) == value, f"trial {number} has changed"

    def pids(self) -> list[int]:
        return alive_pids(self.study) if is_open(self.folder) else []


Disturbance = Callable[[Search], bool]


def killed(search: Search) -> bool:
    pids = search.pids()
    if pids:
        os.kill(search.rng.choice(pids), signal.SIGKILL)
    return bool(pids)


def stopped(search: Search) -> bool:
    pids = search.pids()
    return bool(pids) and _stop(search, search.rng.choice(pids))


def lock_holder_stopped(search: Search) -> bool:
    """A measurement takes a fraction of a second, so it is waited for."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for pid in _measuring(search.here):
            return _stop(search, pid)
        time.sleep(0.002)
    return False


def server_restarted(search: Search) -> bool:
    search.server.stop()
    time.sleep(search.rng.uniform(0.5, 8.0))
    search.server.start()
    return True


def disk_full(search: Search) -> bool:
    if not search.disk:
        return False
    ballast = search.here / "results" / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass
    time.sleep(FULL_S)
    ballast.unlink()
    return True


DISTURBANCES: dict[str, Disturbance] = {
    "process killed (SIGKILL)": killed,
    "process stopped (SIGSTOP) and continued": stopped,
    "holder of the device lock stopped and continued": lock_holder_stopped,
    "server stopped and started": server_restarted,
    "disk full for ten seconds": disk_full,
}


def _stop(search: Search, pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(search.rng.uniform(1.0, 30.0))
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return False
    return True


def _measuring(here: Path) -> list[int]:
    """The processes that hold a device lock below a temporary directory for themselves, as the kernel lists them."""
    files = {path.stat().st_ino for path in here.glob("gamsearch-*.lock")}
    rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return [
        int(row[4]) for row in rows if row[1] == "POSIX" and row[3] == "WRITE" and int(row[5].split(":")[2]) in files
    ]


def accuracies(study: optuna.Study) -> dict[int, float]:
    """The mAP of every evaluation in the record, by the number of its trial."""
    done = [t for t in store.trials(study, TrialState.COMPLETE) if "recalled_from" not in t.user_attrs]
    return {t.number: t.user_attrs["measurement"]["metrics"]["map50_95"] for t in done}


def by_architecture(study: optuna.Study) -> dict[str, float]:
    """The mAP of every architecture, by its label."""
    found = accuracies(study)
    return {t.user_attrs["label"]: found[t.number] for t in store.trials(study) if t.number in found}


def command_of(place: Path, workers: int) -> tuple[object, ...]:
    """A search that trains every architecture of a small space; its data and space are written to `place`."""
    data = demo.make(place / "data", train=96, val=24, imgsz=64)
    detector = SearchSpace.load("demo").detector
    model, space = place / f"{detector.name}.yaml", place / "little.yaml"
    write_yaml(model, detector.yaml)
    space.write_text(SPACE.format(detector=model))
    sizes = ("--imgsz", 64, "--batch", 8, "--epochs", 2, "--baseline-epochs", 4, "--noise-seeds", 1, "--trials", 500)
    how = ("--model", model, "--space", space, "--sampler", "brute", "--stopping", "off", "--device", "cpu")
    train = [word for pair in demonstration.TRAINING.items() for word in ("--train", "{}={}".format(*pair))]
    return ("run", "--data", data, *sizes, *how, *train, "--workers", workers, "--name", "a")


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system at a new folder where that is allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def undisturbed(here: Path, words: tuple[object, ...]) -> dict[str, float]:
    """Search in peace and return the mAP of every architecture."""
    run = start(here, *words)
    assert run.wait() == 0, said(here)
    found = by_architecture(store.load(here / "results" / "a"))
    assert len(found) == SIZE and len(set(found.values())) > SIZE // 2, found  # equal figures would prove nothing
    return found


def disturbed(search: Search, until: float, pause: tuple[float, float], note: Callable[[str, bool], None]) -> None:
    """Search and disturb until the search is done, or until a time after which it is left in peace."""
    os.environ[storages.VARIABLE] = search.server.url
    last = max(until, time.monotonic()) + AGAIN_S
    try:
        while not search.is_done():
            assert time.monotonic() < last, "the search does not end"
            time.sleep(search.rng.uniform(*pause) if time.monotonic() < until else 1.0)
            if not is_open(search.folder):
                continue
            search.note()
            if time.monotonic() < until and not search.is_done():
                name = search.rng.choice(list(DISTURBANCES))
                note(name, DISTURBANCES[name](search))
        eventually(lambda: not search.pids(), 120)
        search.note()
    finally:
        for pid in search.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.environ.pop(storages.VARIABLE, None)


def compared(search: Search, expected: dict[str, float]) -> None:
    """Assert that a search that has ended lost nothing and found what an undisturbed one finds."""
    os.environ[storages.VARIABLE] = search.server.url
    try:
        printed = said(search.here)  # a killed worker and a full disk are reported, which is as it should be
        check(search.study, SIZE, printed[printed.index("Traceback") :] if "Traceback" in printed else "")
        found = by_architecture(search.study)
    finally:
        os.environ.pop(storages.VARIABLE, None)
    differing = {label: (found.get(label), value) for label, value in expected.items() if found.get(label) != value}
    assert not differing, f"differ from the undisturbed search: {differing}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, nargs=2, default=(2.0, 8.0), help="seconds between two disturbances")
    parser.add_argument("--log", type=Path, help="where to keep what was done, one JSON object per line")
    options = parser.parse_args()
    if not BINARIES:
        print("chaos.py needs a PostgreSQL server: apt install postgresql", file=sys.stderr)
        return 2
    done, held, searches, codes = Counter[str](), 0, 0, Counter[int]()

    def note(name: str, happened: bool) -> None:
        done[name] += happened
        if options.log:
            with options.log.open("a") as file:
                file.write(json.dumps({"time": round(time.time(), 1), "search": searches, name: happened}) + "\n")

    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        words = command_of(place, options.workers)
        (place / "undisturbed").mkdir()
        expected = undisturbed(place / "undisturbed", words)
        until = time.monotonic() + 60 * options.minutes
        while time.monotonic() < until:
            searches += 1
            here = place / f"search{searches}"
            here.mkdir()
            with ExitStack() as stack:
                disk, server = stack.enter_context(small_disk(here / "results")), stack.enter_context(postgres())
                rng = random.Random(f"{options.seed} {searches}")
                search = Search(here, (*words, "--storage", server.url), server, disk, rng)
                try:
                    disturbed(search, until, tuple(options.pause), note)
                    compared(search, expected)
                    held += 1
                except Exception:
                    traceback.print_exc()
                    print(said(here)[-3000:], file=sys.stderr)
                codes += search.codes
                print(f"search {searches}: {held} of {searches} held; {dict(done)}", file=sys.stderr, flush=True)
    print("| disturbance | times |\n|---|--:|")
    for name in DISTURBANCES:
        print(f"| {name} | {done[name]} |")
    print(f"\n{searches} searches of {SIZE} architectures with {options.workers} workers, {held} held.")
    print(f"`run` ended early and was started again: {dict(codes)} (times by exit code).")
    return int(held < searches)


if __name__ == "__main__":
    sys.exit(main())
