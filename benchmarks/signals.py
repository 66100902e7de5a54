"""Send signals at random instants to real gamsearch processes, resume them, and check that nothing was lost or doubled.

    python benchmarks/signals.py --rounds 500 [--seed 0] [--commands run workers ...] [--log FILE]

Each instant is one SIGINT, SIGTERM or SIGHUP, in three of ten cases followed by a second signal within 0.1 s, at any
moment of a process's life: three of ten in its first 0.6 s, while it imports. The same command is then started again in
the same folder, up to twelve times, and at last left alone. It holds if

- the exit code is 130, or 0 where the process had already ended (a worker that is asked to leave by SIGTERM: 0),
- no traceback is printed, and the process ends within `PATIENCE_S`,
- the run that is resumed at last ends with 0, has evaluated every architecture exactly once, and has the same front as
  an undisturbed one; a verification has every training once; an export all its files.

`run`, `workers` (`--workers 2`) and `worker` replay a synthetic table whose epochs take real time; `train`, `verify`,
`export` and `demo` (`run` without data) train on 64 px; `serve` serves a database. A signal that arrives before Python
has imported the handler, some 40 ms after its start, ends the interpreter itself; it is counted apart. With `--log`
finished lives are kept in a file, and the same command goes on after them. The exit code is 1 if anything broke.
"""

import argparse
import atexit
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from made_up import alive_pids, checked, command, environment, eventually, free_port, kill, search_of, timed_table

from gamsearch.runs import demo
from gamsearch.study import store

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
EARLY_S = 0.6
PATIENCE_S = 60.0
STRIKES = 12
SITES, SIZE = "[4, 6, 9]", 27
TRAINED = ("--imgsz", 64, "--batch", 4, "--epochs", 1, "--baseline-epochs", 1, "--noise-seeds", 2, "--trials", 2)


@dataclass
class Strike:
    """One instant: what was sent, when (s after the start of the process), and what came of it."""

    command: str
    life: int
    signals: list[str]
    delay: float
    ignored: bool = False
    code: int | None = None
    took: float = 0.0
    early: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Subject:
    """A command under fire.

    Attributes:
        words: Its command line; called with the folder to work in, in which it may prepare something.
        seconds: About how long it lives; signals are sent until then.
        check: Raises `AssertionError` where the folder lacks something once the command has ended; None where it is
            not left alone to end.
    """

    words: Callable[[Path], list[object]]
    seconds: float
    check: Callable[[Path], None] | None = None


def start(home: Path, words: list[object], log: Path, ignored: bool = False) -> "subprocess.Popen[bytes]":
    """Start gamsearch in a session of its own, in some cases with SIGINT ignored as a shell script's `&` does."""
    with log.open("wb") as file:
        return subprocess.Popen(
            command(*words),
            cwd=home,
            env=environment(),
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if ignored else None,
        )


def strike(subject: Subject, name: str, life: int, home: Path, rng: random.Random) -> Strike:
    """Start the command, send it one or two signals, and judge how it ended."""
    delay = rng.uniform(0, EARLY_S if rng.random() < 0.3 else subject.seconds)
    sent = [rng.choice(SIGNALS) for _ in range(2 if rng.random() < 0.3 else 1)]
    one, gap, log = Strike(name, life, sent, round(delay, 4), rng.random() < 0.1), rng.uniform(0, 0.1), home / "log.txt"
    process = start(home, subject.words(home), log, one.ignored)
    begun = time.monotonic()
    for number, wait in zip(sent, (delay, gap), strict=False):
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait)
        process.send_signal(getattr(signal, number))
    hit = time.monotonic()
    try:
        one.code = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    one.took = round(time.monotonic() - hit, 2)
    text = log.read_text(errors="replace")
    one.early = hit - begun < EARLY_S and (one.code or 0) not in (0, 130) and _before_handler(text)
    one.problem = "" if one.early else _problem(one, text)
    return one


def _before_handler(text: str) -> bool:
    """Whether the interpreter itself was hit: nothing was printed, or a traceback of its start and first import."""
    files = [line for line in text.splitlines() if "/gamsearch/" in line and "File" in line]
    starts = all("/gamsearch/__init__.py" in line or "/gamsearch/signals/" in line for line in files)
    return not text or (starts and ("Fatal Python error: init" in text or "KeyboardInterrupt" in text))


def _problem(one: Strike, text: str) -> str:
    if one.code is None:
        return f"it did not end within {PATIENCE_S:.0f} s: {text[-300:]}"
    if "Traceback" in text or "Exception ignored" in text:
        return f"exit code {one.code} with a traceback: {text[-3000:]}"
    left = one.command == "worker" and one.code == 2 and ("to join" in text or "ended before" in text)
    if one.code not in (0, 130) and not left:
        return f"exit code {one.code}: {text[-300:]}"
    if one.code == 130 and text.count("everything recorded is kept") != 1:
        return f"exit code 130 without its sentence: {text[-300:]}"
    return ""


def life(subject: Subject, name: str, number: int, seed: int) -> list[Strike]:
    """Strike a command in one folder until it has ended by itself, then let it end and check what it leaves."""
    rng, strikes = random.Random(f"{seed} {name} {number}"), list[Strike]()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        while len(strikes) < STRIKES and not any(one.code == 0 or one.problem for one in strikes):
            strikes.append(strike(subject, name, number, home, rng))
            strikes[-1].problem = strikes[-1].problem or _orphans(home)
        if subject.check is not None and not strikes[-1].problem:
            log = home / "log.txt"
            try:
                code = start(home, subject.words(home), log).wait(300)
                assert code == 0, f"resumed, exit code {code}: {log.read_text(errors='replace')[-2000:]}"
                subject.check(home)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                strikes[-1].problem = str(error) or repr(error)
    return strikes


def _orphans(home: Path) -> str:
    """Worker processes of a run that outlive it."""
    if not store.exists(home / "results" / "a"):
        return ""
    study = store.load(home / "results" / "a")
    try:
        eventually(lambda: not alive_pids(study), PATIENCE_S)
    except AssertionError:
        pids = alive_pids(study)
        for pid in pids:
            kill(pid)
        return f"processes {pids} outlive their run"
    return ""


# replays -------------------------------------------------------------------------------------------------------------
def _replay(home: Path, *more: object, seconds: float = 0.03) -> list[object]:
    if not (home / "table.json").exists():
        timed_table(home, SITES, seconds)
    return list(search_of(home, home / "table.json", home / "little.yaml", *more))


def _check_search(home: Path, size: int = SIZE) -> None:
    study = store.load(home / "results" / "a")
    front = checked(study, size)
    assert study.user_attrs.get("ended"), "the search has not ended"
    assert size != SIZE or front == _front(), "another front than that of an undisturbed search"


@cache
def _front() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        assert start(home, _replay(home, seconds=0.0), home / "log.txt").wait(120) == 0
        return checked(store.load(home / "results" / "a"), SIZE)


def worker_life(subject: Subject, name: str, number: int, seed: int) -> list[Strike]:
    """Strike workers that join a search which another process leads and finishes."""
    rng, strikes = random.Random(f"{seed} {name} {number}"), list[Strike]()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        leader = start(home, _replay(home, seconds=0.2), home / "leader.txt")
        while leader.poll() is None and len(strikes) < STRIKES and not any(one.problem for one in strikes):
            strikes.append(strike(subject, name, number, home, rng))
        try:
            assert leader.wait(300) == 0, (home / "leader.txt").read_text(errors="replace")[-2000:]
            _check_search(home)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            strikes[-1].problem = strikes[-1].problem or f"the search that was joined: {error}"
            kill(leader.pid)
    return strikes


# trainings -----------------------------------------------------------------------------------------------------------
def _trained(home: Path) -> list[object]:
    data = demo.make(_shared() / "data", train=12, val=6, imgsz=64)
    return ["run", "--data", data, "--space", "gam-demo", *TRAINED, "--name", "a"]


@cache
def _shared() -> Path:
    """A folder for what the real trainings share, which goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="gamsearch-signals-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _finished(home: Path) -> None:
    """Put a finished run into the folder."""
    template = _shared() / "finished"
    if not template.exists():
        template.mkdir()
        assert start(template, _trained(template), template / "log.txt").wait(300) == 0
    if not (home / "results").exists():
        shutil.copytree(template / "results", home / "results")


def _verified(home: Path) -> list[object]:
    _finished(home)
    return ["verify", "results/a", "--seeds", 2, "--epochs", 1, "--top", 1]


def _check_verified(home: Path) -> None:
    recorded = store.load(home / "results" / "a").user_attrs["verification"]["trainings"]
    seeds = {key: [one["seed"] for one in trainings] for key, trainings in recorded.items()}
    assert len(seeds) == 2 and all(sorted(each) == [0, 1] for each in seeds.values()), f"trained {seeds}"


def _exported(home: Path) -> list[object]:
    _finished(home)
    return ["export", "results/a", "--trial", 1]


def _check_exported(home: Path) -> None:
    found = {path.suffix for path in (home / "results" / "a" / "export").iterdir()}
    assert {".pt", ".onnx", ".torchscript", ".yaml", ".py"} <= found, f"exported {found}"


def _served(home: Path) -> list[object]:
    return ["serve", "--storage", f"sqlite:///{home}/study.db", "--port", free_port()]


SUBJECTS = {
    "run": Subject(_replay, 7.0, _check_search),
    "workers": Subject(lambda home: _replay(home, "--workers", 2), 7.0, _check_search),
    "worker": Subject(lambda home: ["worker", "results/a", "--wait", 1], 6.0),
    "train": Subject(_trained, 25.0, lambda home: _check_search(home, 3)),
    "verify": Subject(_verified, 20.0, _check_verified),
    "export": Subject(_exported, 15.0, _check_exported),
    "demo": Subject(lambda home: ["run"], 30.0),
    "serve": Subject(_served, 4.0),
}
SHARES = {"run": 8, "workers": 3, "worker": 3, "train": 2, "verify": 2, "export": 1, "demo": 1, "serve": 1}
"""How often each command has its turn."""


def turns(commands: list[str]) -> Iterator[tuple[str, int]]:
    """The lives in order, each with its number, mixed so that a part of them is a fair sample."""
    number, rng = 0, random.Random(0)
    while True:
        cycle = [name for name in commands for _ in range(SHARES[name])]
        rng.shuffle(cycle)
        for name in cycle:
            yield name, number
            number += 1


def table(strikes: list[Strike]) -> str:
    """The result: per command and number of signals the instants, those that held, and the slowest end."""
    rows: dict[tuple[str, str], list[Strike]] = defaultdict(list)
    for one in strikes:
        kind = " + ".join(one.signals) if len(one.signals) == 1 else "two signals"
        rows[one.command, kind].append(one)
    lines = [
        "| command | signal | instants | held | before the handler | slowest end (s) |",
        "|---|---|--:|--:|--:|--:|",
    ]
    everything = {("all", "all"): strikes} if strikes else {}
    for (name, kind), cases in [*sorted(rows.items()), *everything.items()]:
        early, broken = sum(one.early for one in cases), sum(bool(one.problem) for one in cases)
        slowest = max(one.took for one in cases)
        lines.append(f"| {name} | {kind} | {len(cases)} | {len(cases) - broken - early} | {early} | {slowest:.1f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500, help="instants")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--log", type=Path, help="file of finished lives; they are not repeated")
    options = parser.parse_args()
    known = options.log.read_text().splitlines() if options.log and options.log.exists() else []
    strikes = [Strike(**json.loads(line)) for line in known]
    done = {(one.command, one.life) for one in strikes}
    for name, number in turns(options.commands):
        if len(strikes) >= options.rounds:
            break
        if (name, number) in done:
            continue
        fresh = (worker_life if name == "worker" else life)(SUBJECTS[name], name, number, options.seed)
        for one in fresh:
            if one.problem:
                print(f"BROKEN {one}\n{one.problem}", flush=True)
        strikes += fresh
        if options.log:
            with options.log.open("a") as file:
                file.writelines(json.dumps(asdict(one)) + "\n" for one in fresh)
    print(table(strikes))
    return int(any(one.problem for one in strikes))


if __name__ == "__main__":
    sys.exit(main())
