"""Damage the record of a run in many ways and read it: every reader must answer, or refuse it in one sentence.

    python benchmarks/fuzz_records.py [--cases 1000] [--seed 0] [--folder results/bccd-yolov8n]

Each case changes one line of a copy of the journal: it is left out, doubled, moved, cut, or one value in it is left out
or replaced by a hostile one. Then the status, the report with all its parts, a comparison and an export read it. A
case is broken if one of them ends with an exception other than a `GamsearchError`, or if a control character reaches
what a terminal or a file is given. The table at the end counts cases per kind of damage; exit code 1 if any is broken.
"""

import argparse
import copy
import json
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from gamsearch.cli.main import main as command_line
from gamsearch.errors import GamsearchError
from gamsearch.reporting.terminal import plain_table
from gamsearch.study import store
from gamsearch.study.table import read_record

ROOT = Path(__file__).parents[1]
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**70,
    1e400,
    float("nan"),
    0.5,
    "",
    "x",
    "\x1b[31mred\x07\x1b]0;title\x07",
    "\ud800",
    "\u202e\u0000",
    "=HYPERLINK(1)",
    "../../x",
    "9" * 5000,
    [],
    [None],
    [[[]]],
    {},
    {"": ""},
    {"\x1b[2J": "\x1b[2J"},
    {"epoch": 1},
)
UNSAFE = ("\x1b", "\x07", "\u202e", "\x00")
Lines = list[str]
Damage = Callable[[Lines, np.random.Generator], Lines]


def line_left_out(lines: Lines, rng: np.random.Generator) -> Lines:
    at = _any(lines, rng)
    return lines[:at] + lines[at + 1 :]


def line_doubled(lines: Lines, rng: np.random.Generator) -> Lines:
    at = _any(lines, rng)
    return lines[: at + 1] + lines[at:]


def lines_swapped(lines: Lines, rng: np.random.Generator) -> Lines:
    a, b = _any(lines, rng), _any(lines, rng)
    changed = list(lines)
    changed[a], changed[b] = changed[b], changed[a]
    return changed


def line_cut(lines: Lines, rng: np.random.Generator) -> Lines:
    at = _any(lines, rng)
    return [*lines[:at], lines[at][: int(rng.integers(len(lines[at])))], *lines[at + 1 :]]


def file_cut(lines: Lines, rng: np.random.Generator) -> Lines:
    return lines[: _any(lines, rng)]


def value_left_out(lines: Lines, rng: np.random.Generator) -> Lines:
    return _with_changed_value(lines, rng, lambda parent, key: parent.pop(key))


def value_replaced(lines: Lines, rng: np.random.Generator) -> Lines:
    value = VALUES[int(rng.integers(len(VALUES)))]
    return _with_changed_value(lines, rng, lambda parent, key: parent.__setitem__(key, copy.deepcopy(value)))


def key_renamed(lines: Lines, rng: np.random.Generator) -> Lines:
    def rename(parent: Any, key: Any) -> None:
        if isinstance(parent, dict):
            parent[str(rng.choice(["x", "\x1b[2J", "9", "architecture", "metrics"]))] = parent.pop(key)

    return _with_changed_value(lines, rng, rename)


def bytes_changed(lines: Lines, rng: np.random.Generator) -> Lines:
    at = _any(lines, rng)
    text = list(lines[at])
    for _ in range(3):
        text[int(rng.integers(len(text)))] = chr(int(rng.integers(1, 256)))
    return [*lines[:at], "".join(text).replace("\n", " "), *lines[at + 1 :]]


DAMAGES: tuple[Damage, ...] = (
    line_left_out,
    line_doubled,
    lines_swapped,
    line_cut,
    file_cut,
    value_left_out,
    value_replaced,
    key_renamed,
    bytes_changed,
)


def _any(lines: Lines, rng: np.random.Generator) -> int:
    return int(rng.integers(len(lines)))


def _with_changed_value(lines: Lines, rng: np.random.Generator, change: Callable[[Any, Any], Any]) -> Lines:
    """Change one value at any depth of one line."""
    at = _any(lines, rng)
    content = json.loads(lines[at])
    places = list(_places(content))
    if not places:
        return lines
    change(*places[int(rng.integers(len(places)))])
    return [*lines[:at], json.dumps(content), *lines[at + 1 :]]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every `(container, key)` below a value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def read(folder: Path, healthy: Path, thorough: bool) -> None:
    """Read a record in every way; raise `AssertionError` where a control character gets through.

    Args:
        folder: The damaged run.
        healthy: An undamaged one, to compare it with.
        thorough: Write the whole report, the comparison and an export as well, which takes seconds.
    """
    _command("status", folder)
    try:
        _safe(plain_table(read_record(store.snapshot(folder), "run")))
    except GamsearchError as error:
        _safe(str(error))
    if thorough:
        _command("report", folder)
        _command("compare", folder, healthy, "--out", folder / "compared")
        _command("export", folder)
        for path in folder.rglob("*"):
            if path.suffix in (".html", ".csv", ".md", ".tex", ".yaml", ".svg"):
                _safe(path.read_text(encoding="utf-8"))


def _command(*words: Any) -> None:
    """Run a command of the command line, which must end with 0, or with 2 and one sentence."""
    said, errors = StringIO(), StringIO()
    with redirect_stdout(said), redirect_stderr(errors):
        code = command_line([str(word) for word in words])
    _safe(said.getvalue() + errors.getvalue())
    assert code in (0, 2), f"exit code {code}"
    assert code == 0 or errors.getvalue().count("\n") == 1, errors.getvalue()[-300:]


def _safe(text: str) -> None:
    for character in UNSAFE:
        assert character not in text, f"{character!r} gets through: {text[max(0, text.find(character) - 40) :][:90]!r}"


def run_case(source: Path, number: int, seed: int, thorough: bool = False) -> tuple[str, str]:
    """Damage a copy of a record and read it.

    Args:
        source: The undamaged run.
        number: Number of the case, which determines the damage.
        seed: Seed of all cases.
        thorough: As of `read`.

    Returns:
        The kind of damage, and the traceback if the case is broken, else an empty string.
    """
    damage = DAMAGES[number % len(DAMAGES)]
    lines = (source / "study.journal").read_text(encoding="utf-8").splitlines()
    changed = damage(lines, np.random.default_rng([seed, number]))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        folder.mkdir()
        text = "".join(f"{line}\n" for line in changed)
        (folder / "study.journal").write_bytes(text.encode("utf-8", errors="surrogatepass"))
        try:
            read(folder, source, thorough)
        except Exception:
            return damage.__name__, traceback.format_exc()
    return damage.__name__, ""


def _summary(trace: str) -> str:
    """The last frame in the package and the error, on one line."""
    lines = trace.strip().splitlines()
    frames = [line.strip().partition("gamsearch/")[2] for line in lines if "/gamsearch/" in line]
    return f"{lines[-1][:160]}   {frames[-1] if frames else ''}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--thorough", type=int, default=20, help="every how many cases the whole report is written")
    parser.add_argument("--folder", type=Path, default=ROOT / "results" / "bccd-yolov8n")
    options = parser.parse_args()
    tried, broken, shown = Counter[str](), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "healthy"
        shutil.copytree(options.folder, source)
        for number in range(options.first, options.first + options.cases):
            name, trace = run_case(source, number, options.seed, number % options.thorough == 0)
            tried[name] += 1
            if trace:
                broken[name] += 1
                shown[_summary(trace)] += 1
    print(f"{'damage':<20}{'cases':>8}{'held':>8}")
    for name in tried:
        print(f"{name:<20}{tried[name]:>8}{tried[name] - broken[name]:>8}")
    print(f"{'all':<20}{tried.total():>8}{tried.total() - broken.total():>8}")
    for text, times in shown.most_common():
        print(f"{times} x {text}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
