"""Give gamsearch damaged inputs of every kind: each must be read, or refused in one sentence.

    python benchmarks/fuzz_inputs.py [--examples 500] [--kinds data,table] [--seed 0]
    python benchmarks/fuzz_inputs.py --kinds data --atheris 600

Hypothesis takes a valid file apart: values are left out, renamed or replaced by hostile ones at any depth, and a few
bytes of the text are cut, put in or changed. Command lines are made from the options of the parser. A case is broken if
it ends with an exception other than a `GamsearchError`, with an exit code other than 0 and 2, with more than one
sentence, or with a control character on the terminal. The table counts cases per kind; exit code 1 if any is broken,
and the smallest broken case is printed. Damaged journals are in `fuzz_records.py`.

With `--atheris SECONDS` the cases of one kind are guided by the coverage that they reach (`pip install atheris`).
"""

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import yaml
from hypothesis import HealthCheck, given, seed, settings
from PIL import Image

from gamsearch.cli.main import main as command_line
from gamsearch.cli.main import parser as command_parser

UNSAFE = frozenset(map(chr, [*range(9), *range(11, 32), 127, *range(0x80, 0xA0), 0x202E]))
Run = Callable[[Path, bytes], None]

SPACE = {
    "detector": "yolov8n",
    "sites": [4, 6],
    "semantics": "inline",
    "attention": {"GAM": {"rate": [4, 8]}},
    "rules": {"max_modules": 1},
    "limits": {"params_m": "+10%"},
    "objectives": ["map50_95", "params_m"],
}
MODEL = {
    "nc": 3,
    "backbone": [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [32, 3, 2]], [-1, 1, "C2f", [32, True]]],
    "head": [[[1, 2], 1, "Detect", ["nc"]]],
}
DATA = {"path": "", "train": "images/train", "val": "images/val", "nc": 2, "names": {0: "cat", 1: "dog"}, "channels": 3}
BASELINE_ROW = {
    "architecture": {"detector": "yolov8n", "placements": []},
    "metrics": {"params_m": 3.0, "gflops": 1.0, "latency_ms": 10.0},
    "curves": {"0": [{"epoch": 1, "map50_95": 0.1, "map50": 0.2}]},
}
PLACEMENT = {"site": 4, "module": "GAM", "options": {"rate": 4}, "semantics": "inline"}
ROW = {**BASELINE_ROW, "architecture": {"detector": "yolov8n", "placements": [PLACEMENT]}}
TABLE = {"detector": "yolov8n", "space": "gam", "epochs": 1, "seeds": [0], "rows": [BASELINE_ROW, ROW]}

TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "",
            "nan",
            "1e400",
            "-1",
            "GAM",
            "yolov8n",
            "gam",
            "../../x",
            "/dev/zero",
            "~",
            "=1+1",
            "\x1b[31mred\x07",
            "\ud800",
        ]
    ),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from([2**31, -(2**63), 2**70, 10**300]),
    st.floats(),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(TEXTS, part, max_size=3), max_leaves=6
)
ASCII = st.characters(min_codepoint=32, max_codepoint=126)
WORDS = st.one_of(
    st.text(ASCII, max_size=6),
    st.text(max_size=3),
    st.sampled_from(
        ["1", "0", "2", "0.5", "9" * 400, "auto", "cpu", "cpu:99", "cuda:7", "0,0", "random", "thaw", "a=b"]
    ),
    st.sampled_from(
        ["lr0=1e400", "fraction=-1", "mosaic={{{", "resume=x.pt", "sqlite:///", "grpc://a", "postgresql://:@/"]
    ),
)


@st.composite
def damaged(draw: st.DrawFn, document: Any) -> Any:
    """A copy of a document in which one to three values are left out, renamed or replaced."""
    changed = json.loads(json.dumps(document)) if draw(st.booleans()) else dict(document)
    changed = _copied(changed)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(changed))
        if not places:
            break
        parent, key = places[draw(st.integers(0, len(places) - 1))]
        action = draw(st.sampled_from(("replace", "leave out", "rename")))
        if action == "replace":
            parent[key] = draw(VALUES)
        elif action == "leave out":
            del parent[key]
        elif isinstance(parent, dict):
            parent[draw(st.one_of(TEXTS, st.integers(-1, 3)))] = parent.pop(key)
    return changed


@st.composite
def files(draw: st.DrawFn, document: Any, write: Callable[[Any], str]) -> bytes:
    """The bytes of a damaged document: its values, its text, or both."""
    content = bytearray(_encoded(write(draw(damaged(document)) if draw(st.integers(0, 3)) else document)))
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 3)))):
        place, length = draw(st.integers(0, max(len(content) - 1, 0))), draw(st.integers(0, 8))
        content[place : place + length] = draw(st.text(ASCII, max_size=8).map(str.encode) | st.binary(max_size=2))
    return bytes(content)


@st.composite
def command_lines(draw: st.DrawFn) -> bytes:
    """Words for a command of the parser, as JSON; none of them can begin a training, for there is no data."""
    commands = command_parser().commands
    name = draw(st.sampled_from(sorted(set(commands) - {"serve", "install-hook"})))  # these two do not end or write
    actions = [action for action in commands[name]._actions if action.option_strings]
    known = st.sampled_from(actions).flatmap(lambda action: _option(action))
    unknown = st.lists(st.sampled_from(("--", "-", "--nothing", "--out", ".", "results/mine")) | WORDS, max_size=1)
    words = [name, *(word for part in draw(st.lists(known | unknown, max_size=4)) for word in part)]
    if name == "run":
        words += ["--data", "none.yaml"]
    return _encoded(json.dumps(words))


def _option(action: argparse.Action) -> st.SearchStrategy[list[str]]:
    """An option with a value if it takes one: often a valid number, else any word."""
    flag = st.sampled_from(sorted(action.option_strings)).map(lambda text: [text])
    if action.nargs == 0:
        return flag
    value = st.one_of(st.integers(0, 3).map(str), WORDS)
    return st.tuples(flag, value).map(lambda pair: [*pair[0], pair[1]])


def _copied(value: Any) -> Any:
    """A deep copy whose parts are not shared: a document names some constants twice."""
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


def as_yaml(value: Any) -> str:
    return str(yaml.safe_dump(value, allow_unicode=True, sort_keys=False))


def space(here: Path, content: bytes) -> None:
    (here / "space.yaml").write_bytes(content)
    command("show", "space.yaml")


def model(here: Path, content: bytes) -> None:
    (here / "model.yaml").write_bytes(content)
    (here / "space.yaml").write_text("{detector: yolov8n, sites: [2], attention: {GAM: {rate: [4]}}}")
    command("show", "space.yaml", "--model", "model.yaml")


def data(here: Path, content: bytes) -> None:
    """The model is missing, so a data YAML that is accepted is refused one step later."""
    (here / "data.yaml").write_bytes(content)
    command("run", "--data", "data.yaml", "--model", "none.pt", "--name", "mine")


def table(here: Path, content: bytes) -> None:
    (here / "table.json").write_bytes(content)
    command("run", "--table", "table.json", "--trials", "1", "--epochs", "1", "--noise-seeds", "1", "--name", "mine")


def manifest(here: Path, content: bytes) -> None:
    (here / "manifest.yaml").write_bytes(content)
    (here / "table.json").write_text(json.dumps(TABLE))
    command("run", "--from", "manifest.yaml", "--name", "mine")


def words(here: Path, content: bytes) -> None:
    command(*json.loads(content.decode("utf-8", errors="surrogatepass")))


KINDS: dict[str, tuple[st.SearchStrategy[bytes], Run]] = {
    "space": (files(SPACE, as_yaml), space),
    "model": (files(MODEL, as_yaml), model),
    "data": (files(DATA, as_yaml), data),
    "table": (files(TABLE, json.dumps), table),
    "manifest": (st.deferred(lambda: files(written_manifest(), as_yaml)), manifest),
    "words": (command_lines(), words),
}
"""For each kind of input a strategy for its bytes, and what reads them."""


def command(*given_words: str) -> None:
    """Run a command; raise `AssertionError` unless it ends with 0, or with 2 and one sentence.

    Args:
        given_words: The words after `python -m gamsearch`.
    """
    said, errors = StringIO(), StringIO()
    with redirect_stdout(said), redirect_stderr(errors):
        try:
            code = command_line(list(given_words))
        except SystemExit as leaving:  # of --help and --version
            code = int(leaving.code or 0)
    printed = said.getvalue() + errors.getvalue()
    unsafe = sorted(UNSAFE.intersection(printed))
    assert not unsafe, f"{unsafe} reach the terminal: {printed[:300]!r}"
    assert code in (0, 2), f"exit code {code}"
    assert code == 0 or errors.getvalue().count("\n") == 1, errors.getvalue()[-300:]


@contextmanager
def workplace() -> Iterator[Path]:
    """A new working directory with two tiny images, from which nothing outside is reached by a relative path."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as scratch:
        for split in ("train", "val"):
            for part in ("images", "labels"):
                (Path(scratch) / part / split).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(Path(scratch) / "images" / split / f"{split}.png")
            (Path(scratch) / "labels" / split / f"{split}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
        os.chdir(scratch)
        try:
            yield Path(scratch)
        finally:
            os.chdir(before)


def written_manifest() -> Any:
    """The manifest of a run that replays `TABLE`."""
    with workplace() as here:
        table(here, _encoded(json.dumps(TABLE)))
        return yaml.safe_load((here / "results" / "mine" / "manifest.yaml").read_text(encoding="utf-8"))


def property_of(kind: str, examples: int, tried: Counter[str]) -> Callable[[], None]:
    """The property that every input of a kind is read or refused, as a test of Hypothesis.

    Args:
        kind: One of `KINDS`.
        examples: Number of cases.
        tried: Counts them.

    Returns:
        The test; calling it raises what breaks the smallest broken case.
    """
    strategy, run = KINDS[kind]

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def holds(content: bytes) -> None:
        tried[kind] += 1
        with workplace() as here:
            run(here, content)

    return holds


def _guided(kind: str, seconds: int) -> None:
    """Let atheris look for cases of a kind; it ends the process, with an error if one is broken."""
    import atheris

    with atheris.instrument_imports(include=["gamsearch"]):
        import gamsearch.space.search_space
        import gamsearch.training.dataset  # noqa: F401
    atheris.instrument_all()
    test: Any = property_of(kind, 1, Counter())
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}"], test.hypothesis.fuzz_one_input)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", type=int, metavar="SECONDS", default=0)
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if options.atheris:
        _guided(kinds[0], options.atheris)
    tried, broken = Counter[str](), Counter[str]()
    for kind in kinds:
        try:
            seed(options.seed)(property_of(kind, options.examples, tried))()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            broken[kind] = len(getattr(error, "exceptions", [error]))
            sys.excepthook(type(error), error, error.__traceback__)
    print(f"{'input':<12}{'cases':>8}{'broken':>8}   (a broken kind ends at its smallest cases)")
    for kind in kinds:
        print(f"{kind:<12}{tried[kind]:>8}{broken[kind]:>8}")
    print(f"{'all':<12}{tried.total():>8}{broken.total():>8}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
