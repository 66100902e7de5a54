"""Time, memory and bytes that gamsearch takes where a study has thousands of trials.

    python benchmarks/load.py report --trials 2187
    python benchmarks/load.py trials --trials 10000 --workers 4 --storage postgresql

Both record a study made up in seconds; nothing is trained.

`report` runs the commands that read a study, each in a process of its own, and opens the study as a resumed search
does. The exit code is 1 if one of them takes more than 10 seconds, or if report.html has more than 2 MB beside plotly.

`trials` continues a study with several workers and prints what gamsearch does around each training, in milliseconds:
sampling, claim, history, records, stopping, heartbeats. A training is a pause, which is left out. Four workers and a
database keep two cores busy, so the time by the clock grows where trainings are short; `--seconds` sets their length.
The exit code is 1 if the median is above 50 ms.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

from large_study import make
from made_up import SPACE, command
from overhead import TARGET_MS
from own_work import measure
from plotly.offline import get_plotlyjs
from postgres import postgres

from gamsearch.errors import GamsearchError
from gamsearch.space.search_space import SearchSpace

SITES = (2, 4, 6, 9, 12, 15, 18, 8, 21)
LONGEST_S = 10.0
LARGEST_MB = 2.0
OPEN = "import sys; from pathlib import Path; from gamsearch.study import store; store.load(Path(sys.argv[1]))"


def report(options: argparse.Namespace) -> int:
    """Print the table of the commands that read a study; returns 1 if one is over the limits."""
    with tempfile.TemporaryDirectory() as here:
        folder = Path(here) / "large"
        maker = get_context("spawn").Process(target=_make, args=(folder, options.trials, options.epochs))
        maker.start()  # a process of its own: the peak memory of a process includes that of its parent at its start
        maker.join()
        if maker.exitcode:
            return 2
        calls = {
            "report": command("report", folder),
            "status": command("status", folder),
            "compare": command("compare", folder, folder, "--out", Path(here) / "compared"),
            "open": [sys.executable, "-c", OPEN, str(folder)],
        }
        print(f"{options.trials} trials, {options.epochs} epochs each\n")
        print(
            "| command | seconds | CPU seconds | peak memory (MB) | page besides plotly (MB) |\n|---|--:|--:|--:|--:|"
        )
        over = False
        for name, words in calls.items():
            wall, cpu, peak = _measured(words, Path(here))
            size = _size(Path(here), name)
            print(f"| {name} | {wall:.1f} | {cpu:.1f} | {peak:.0f} | {f'{size:.2f}' if size else ''} |", flush=True)
            over |= wall > LONGEST_S or size > LARGEST_MB
    print(f"\nlimits: {LONGEST_S:.0f} s, {LARGEST_MB:.0f} MB: {'MISSED' if over else 'met'}")
    return int(over)


def trials(options: argparse.Namespace) -> int:
    """Print the table of what gamsearch does around a training; returns 1 if the median is over the limit."""
    with tempfile.TemporaryDirectory() as here, ExitStack() as around:
        url = {"journal": "", "sqlite": f"sqlite:///{here}/study.db"}.get(options.storage)
        if url is None:
            url = around.enter_context(postgres()).url
        folder, each = Path(here) / "large", options.each
        table = measure(folder, options.trials, options.workers, each, options.seconds, options.sampler, url)
    new = table[~table["repeat"]]
    print(f"{options.trials} trials, {options.workers} workers, {options.storage}, sampler {options.sampler}")
    print(f"{len(new)} trials timed, {len(table) - len(new)} repeats left out\n")
    print("| ms a trial | median | p95 | mean |\n|---|--:|--:|--:|")
    for clock in ("wall", "cpu"):
        ms = new[clock]
        print(f"| {clock} | {ms.median():.0f} | {ms.quantile(0.95):.0f} | {ms.mean():.0f} |")
    over = new["wall"].median() > TARGET_MS
    print(f"\nlimit of the median: {TARGET_MS:.0f} ms: {'MISSED' if over else 'met'}")
    return int(over)


def _make(folder: Path, trials: int, epochs: int) -> None:
    make(folder, trials, _space(folder.parent, trials), epochs)


def _space(here: Path, trials: int) -> SearchSpace:
    """The smallest space of GAM at two rates that has so many architectures."""
    count = next((n for n in range(1, len(SITES) + 1) if 3**n >= trials), None)
    if count is None:
        raise SystemExit(f"--trials must be at most {3 ** len(SITES)}")
    file = here / "space.yaml"
    file.write_text(SPACE.format(sites=sorted(SITES[:count])))
    return SearchSpace.load(file)


def _measured(words: list[str], here: Path) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak memory in MB of a process that succeeds."""
    begun = time.monotonic()
    with (here / "output").open("w") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit((here / "output").read_text())
    return time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _size(here: Path, name: str) -> float:
    """Megabytes besides plotly of the page that a command wrote; 0 if it writes none."""
    pages = {"report": here / "large" / "report.html", "compare": here / "compared" / "compare.html"}
    if name not in pages:
        return 0.0
    return (len(pages[name].read_bytes()) - len(get_plotlyjs().encode())) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    read = commands.add_parser("report")
    read.add_argument("--trials", type=int, default=2187)
    read.add_argument("--epochs", type=int, default=5, help="length of a learning curve")
    read.set_defaults(command=report)
    run = commands.add_parser("trials")
    run.add_argument("--trials", type=int, default=10000, help="trials that the study has at the start")
    run.add_argument("--workers", type=int, default=4)
    run.add_argument("--storage", choices=("postgresql", "sqlite", "journal"), default="postgresql")
    run.add_argument("--sampler", default="random")
    run.add_argument("--each", type=int, default=30, help="trials of each worker")
    run.add_argument("--seconds", type=float, default=1.5, help="length of a training")
    run.set_defaults(command=trials)
    options = parser.parse_args()
    try:
        return int(options.command(options))
    except GamsearchError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
