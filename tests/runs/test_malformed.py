"""Malformed input ends in one sentence and exit code 2, never in a traceback, and nothing is written elsewhere."""

import io
import json
import pickle
import shutil
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gamsearch.cli.main import main
from gamsearch.study import store
from gamsearch.study.table import read_record

SECONDS = 20
"""Far more than a refusal takes, for the machine may be busy."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every path around `folder`, with the contents of files; the folders of runs left out."""
    context = folder.parent
    paths = [p for p in context.rglob("*") if "results" not in p.relative_to(context).parts]
    return {str(p.relative_to(context)): p.read_bytes() if p.is_file() else None for p in paths}


def outcome(*words: str) -> tuple[int, str]:
    """Exit code and standard error of a command."""
    errors = io.StringIO()
    with redirect_stderr(errors), redirect_stdout(io.StringIO()):
        code = main(list(words))
    return code, errors.getvalue()


def is_one_sentence(text: str) -> bool:
    return text.startswith("gamsearch: ") and text.count("\n") == 1 and text.endswith("\n") and "Traceback" not in text


def refused(here: Path, *words: str) -> str:
    """Run a command that must be refused, quickly and without a trace; return its sentence."""
    before, begun = tree(here), time.monotonic()
    code, said = outcome(*words)
    assert code == 2 and is_one_sentence(said), (code, said)
    assert time.monotonic() - begun < SECONDS
    assert tree(here) == before
    return said


# ── space files ───────────────────────────────────────────────────────────────────────────────────────────────────────

GOOD_SPACE = "detector: yolov8n\nsites: [4, 6]\nattention: {GAM: {rate: [4, 8]}}\n"

SPACES: dict[str, bytes | str] = {
    "empty": "",
    "a scalar": "42\n",
    "a list": "- 1\n- 2\n",
    "not closed": "sites: [\n",
    "a tab": "a:\n\t- b\n",
    "random bytes": bytes(range(256)),
    "latin-1": "detector: yolov8n # \xe9".encode("latin-1"),
    "utf-16": "detector: yolov8n".encode("utf-16"),
    "a python object": "detector: !!python/object/apply:os.system ['touch x']\n",
    "a python name": "sites: !!python/name:os.system\n",
    "an alias": "a: &a [1]\nsites: *a\n",
    "a billion laughs": "a: &a [x, x]\n"
    + "".join(f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)),
    "nested endlessly": "sites: " + "[" * 5000 + "]" * 5000,
    "larger than any": "# " + "x" * (1 << 20) + "\n" + GOOD_SPACE,
    "an invalid date": "detector: 2024-99-99\n",
    "an unhashable key": "? [1]\n: 2\n",
    "a mapping as key": "? {a: 1}\n: 2\n",
    "a long whole number": "sites: [" + "9" * 5000 + "]\nattention: {GAM: {rate: 4}}\ndetector: yolov8n\n",
    "two documents": GOOD_SPACE + "---\n" + GOOD_SPACE,
    "no attention": "detector: yolov8n\n",
    "attention null": "detector: yolov8n\nattention:\n",
    "attention a list": "detector: yolov8n\nattention: [GAM]\n",
    "a module that is a number": "detector: yolov8n\nattention: {4: {rate: 4}}\n",
    "a module of lists": "detector: yolov8n\nattention: {GAM: [4]}\n",
    "a rate that is a text": "detector: yolov8n\nattention: {GAM: {rate: four}}\n",
    "a rate of zero": "detector: yolov8n\nattention: {GAM: {rate: 0}}\n",
    "a negative rate": "detector: yolov8n\nattention: {GAM: {rate: -4}}\n",
    "a rate that is NaN": "detector: yolov8n\nattention: {GAM: {rate: .nan}}\n",
    "a rate that is a list": "detector: yolov8n\nattention: {GAM: {rate: [[4]]}}\n",
    "a rate that is a mapping": "detector: yolov8n\nattention: {GAM: {rate: {a: 4}}}\n",
    "a rate that is true": "detector: yolov8n\nattention: {GAM: {rate: true}}\n",
    "an option that is a list": "detector: yolov8n\nattention: {GAM: {rate: 4, [1]: 2}}\n",
    "a site beyond": GOOD_SPACE.replace("[4, 6]", "[400]"),
    "a negative site": GOOD_SPACE.replace("[4, 6]", "[-1]"),
    "a site that is a text": GOOD_SPACE.replace("[4, 6]", "everywhere"),
    "a site that is a number with a point": GOOD_SPACE.replace("[4, 6]", "[4.5]"),
    "a site that is true": GOOD_SPACE.replace("[4, 6]", "[true]"),
    "sites in sites": GOOD_SPACE.replace("[4, 6]", "[[4], [6]]"),
    "sites null": GOOD_SPACE.replace("[4, 6]", ""),
    "sites a mapping": GOOD_SPACE.replace("[4, 6]", "{a: 4}"),
    "a detector of numbers": GOOD_SPACE.replace("yolov8n", "[1]"),
    "a detector out of the way": GOOD_SPACE.replace("yolov8n", "../../../../etc/passwd"),
    "a detector with a NUL": GOOD_SPACE.replace("yolov8n", '"yolo\\0v8n"'),
    "a detector with a NUL in a path": GOOD_SPACE.replace("yolov8n", '"a/yolo\\0v8n.yaml"'),
    "a detector of great length": GOOD_SPACE.replace("yolov8n", "y" * 5000),
    "rules a list": GOOD_SPACE + "rules: [max_modules]\n",
    "an unknown rule": GOOD_SPACE + "rules: {most: 3}\n",
    "max_modules a text": GOOD_SPACE + "rules: {max_modules: two}\n",
    "not_together a number": GOOD_SPACE + "rules: {not_together: 4}\n",
    "not_together of texts": GOOD_SPACE + "rules: {not_together: [[a, b]]}\n",
    "a limit that is a list": GOOD_SPACE + "limits: {params_m: [1]}\n",
    "a limit that is infinite": GOOD_SPACE + "limits: {params_m: .inf}\n",
    "a limit below zero": GOOD_SPACE + "limits: {params_m: -1}\n",
    "an unknown limit": GOOD_SPACE + "limits: {speed: 1}\n",
    "a limit with a list for a name": GOOD_SPACE + "limits: {[1]: 1}\n",
    "objectives null": GOOD_SPACE + "objectives:\n",
    "objectives twice": GOOD_SPACE + "objectives: [map50, map50]\n",
    "objectives of numbers": GOOD_SPACE + "objectives: [1, 2]\n",
    "objectives of lists": GOOD_SPACE + "objectives: [[map50]]\n",
    "semantics of lists": GOOD_SPACE + "semantics: [[inline]]\n",
    "illegal of mappings": GOOD_SPACE + "illegal: {a: b}\n",
    "an unknown key": GOOD_SPACE + "limit: {params_m: 1}\n",
    "an escape sequence": GOOD_SPACE + '"\\e[2J": 1\n',
}


@pytest.mark.parametrize("case", SPACES)
def test_space_file(here, case):
    content = SPACES[case]
    (here / "space.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    said = refused(here, "show", "space.yaml")
    assert said.strip().isprintable()
    assert ("alias" in said) == (case in ("an alias", "a billion laughs"))


def mutated(good: bytes, draw: Callable[..., Any]) -> bytes:
    """A few bytes cut out, put in or changed."""
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.integers(0, 8))
        content[place : place + length] = draw(st.binary(max_size=8))
    return bytes(content)


FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(data=st.data())
def test_a_space_file_with_any_damage_is_read_or_refused(here, data):
    (here / "space.yaml").write_bytes(mutated(GOOD_SPACE.encode(), data.draw))
    code, said = outcome("show", "space.yaml")
    assert code == 0 or (code == 2 and is_one_sentence(said)), said


# ── model YAMLs ───────────────────────────────────────────────────────────────────────────────────────────────────────

GOOD_MODEL = """nc: 3
scales: {n: [0.33, 0.25, 1024]}
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [128, 3, 2]]
  - [-1, 1, C2f, [128, True]]
head:
  - [[2], 1, Detect, [nc]]
"""

MODELS: dict[str, str] = {
    "no backbone": "head: [[-1, 1, Detect, [80]]]\n",
    "a backbone of texts": "backbone: [a, b]\nhead: [[[1], 1, Detect, [80]]]\n",
    "a row too short": GOOD_MODEL.replace("[-1, 1, C2f, [128, True]]", "[-1, C2f]"),
    "a row that reads itself": GOOD_MODEL.replace("[-1, 1, C2f, [128, True]]", "[2, 1, C2f, [128, True]]"),
    "a row that reads a text": GOOD_MODEL.replace("[-1, 1, C2f, [128, True]]", "[a, 1, C2f, [128, True]]"),
    "a width that is a text": GOOD_MODEL.replace("[128, 3, 2]", "[wide, 3, 2]"),
    "a width that is NaN": GOOD_MODEL.replace("[128, 3, 2]", "[.nan, 3, 2]"),
    "an infinite width": GOOD_MODEL.replace("[128, 3, 2]", "[.inf, 3, 2]"),
    "no width": GOOD_MODEL.replace("[128, 3, 2]", "[]"),
    "a module that is a list": GOOD_MODEL.replace("C2f", "[C2f]"),
    "a module that is a number": GOOD_MODEL.replace("C2f", "7"),
    "scales of texts": GOOD_MODEL.replace("[0.33, 0.25, 1024]", "small"),
    "scales of texts in a list": GOOD_MODEL.replace("[0.33, 0.25, 1024]", "[a, b, c]"),
    "a scale that is not there": GOOD_MODEL + "scale: q\n",
    "no detection head": GOOD_MODEL.replace("Detect", "Classify"),
    "channels that are a text": GOOD_MODEL + "channels: many\n",
    "repeats that are a text": GOOD_MODEL.replace("[-1, 1, C2f", "[-1, many, C2f"),
    "repeats that are a list": GOOD_MODEL.replace("[-1, 1, C2f", "[-1, [1], C2f"),
    "a site beyond": GOOD_MODEL.replace("[[2], 1", "[[7], 1"),
}


@pytest.mark.parametrize("case", MODELS)
def test_model_yaml(here, case):
    (here / "model.yaml").write_text(MODELS[case])
    (here / "space.yaml").write_text("sites: [1]\nattention: {GAM: {rate: 4}}\ndetector: yolov8n\n")
    refused(here, "show", "space.yaml", "--model", "model.yaml")


CODE = "__import__('pathlib').Path('ran').touch()"

HOSTILE_MODELS: dict[str, str] = {
    "an activation that is code": GOOD_MODEL + f'activation: "{CODE}"\n',
    "an activation with code inside": GOOD_MODEL + f'activation: "nn.SiLU({CODE})"\n',
    "a function in a row": GOOD_MODEL.replace("C2f, [128, True]", "load_checkpoint, [evil.pt]"),
    "a whole model in a row": GOOD_MODEL.replace("C2f, [128, True]", "DetectionModel, [evil.yaml]"),
    "an attribute of torch.nn": GOOD_MODEL.replace("C2f, [128, True]", "nn.modules, [1]"),
    "weights from the network": GOOD_MODEL.replace("C2f, [128, True]", "TorchVision, [128, resnet18, DEFAULT]"),
    "endless repeats": GOOD_MODEL.replace("[-1, 1, C2f", "[-1, 1000000000, C2f"),
    "an endless kernel": GOOD_MODEL.replace("[128, 3, 2]", "[128, 1000000000, 2]"),
}


@pytest.mark.parametrize("case", HOSTILE_MODELS)
def test_model_yaml_that_would_run_or_fetch_something(here, tiny_data, case):
    (here / "model.yaml").write_text(HOSTILE_MODELS[case])
    (here / "space.yaml").write_text("sites: [1]\nattention: {GAM: {rate: 4}}\ndetector: yolov8n\n")
    words = ["--data", str(tiny_data), "--model", "model.yaml", "--space", "space.yaml", "--imgsz", "64"]
    refused(here, "run", *words, "--batch", "2", "--name", "hostile")
    assert not list(here.rglob("ran"))


# ── data YAMLs and labels ─────────────────────────────────────────────────────────────────────────────────────────────

DATA: dict[str, bytes | str] = {
    "empty": "",
    "a list": "[1, 2]\n",
    "random bytes": bytes(range(256)),
    "a python object": "train: !!python/object/apply:os.system ['touch x']\n",
    "an alias": "names: &n [a]\ntrain: *n\n",
    "nested endlessly": "names: " + "[" * 5000,
    "train null": "train:\nval: images/val\nnames: [a]\n",
    "train a number": "train: 3\nval: images/val\nnames: [a]\n",
    "train a mapping": "train: {a: b}\nval: images/val\nnames: [a]\n",
    "train out of the way": "train: ../../../../nowhere\nval: images/val\nnames: [a]\n",
    "train with a NUL": 'train: "a\\0b"\nval: images/val\nnames: [a]\n',
    "train of great length": f"train: {'x' * 5000}\nval: images/val\nnames: [a]\n",
    "names a number": "train: images/train\nval: images/val\nnames: 3\n",
    "names a text": "train: images/train\nval: images/val\nnames: cat\n",
    "names with keys of texts": "train: images/train\nval: images/val\nnames: {a: b}\n",
    "names with gaps": "train: images/train\nval: images/val\nnames: {0: a, 5: b}\n",
    "names with an endless key": "train: images/train\nval: images/val\nnames: {.inf: a}\n",
    "names with a key of lists": "train: images/train\nval: images/val\nnames: {[1]: a}\n",
    "nc that does not fit": "train: images/train\nval: images/val\nnames: [a]\nnc: 7\n",
    "path a list": "path: [a]\ntrain: images/train\nval: images/val\nnames: [a]\n",
    "path with a NUL": 'path: "a\\0b"\ntrain: images/train\nval: images/val\nnames: [a]\n',
    "path null and nothing there": "path: null\ntrain: images/train\nval: images/val\nnames: [a]\n",
    "a script to download": f'train: images/train\nval: images/val\nnames: [a]\ndownload: "{CODE}"\n',
}


@pytest.mark.parametrize("case", DATA)
def test_data_yaml(here, case):
    content = DATA[case]
    (here / "data.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(here, "run", "--data", "data.yaml")
    assert not list(here.rglob("ran"))


LABELS: dict[str, bytes] = {
    "words": b"cat 0.5 0.5 0.2 0.2\n",
    "too few columns": b"0 0.5 0.5\n",
    "pixels": b"0 320 240 50 50\n",
    "a class too many": b"77 0.5 0.5 0.2 0.2\n",
    "half a class": b"0.5 0.5 0.5 0.2 0.2\n",
    "an infinite coordinate": b"0 inf 0.5 0.2 0.2\n",
    "random bytes": bytes(range(128, 256)),
    "a NUL": b"0 0.5 0.5 0.2 0.2\0\n",
    "an endless number": b"0 " + b"9" * 5000 + b" 0.5 0.2 0.2\n",
    "one endless line": b"0.1 " * 20000 + b"\n",
}


@pytest.mark.parametrize("case", LABELS)
def test_label_file(here, tiny_data, case):
    shutil.copytree(tiny_data.parent, here / "data")
    label = sorted((here / "data").rglob("labels/train/*.txt"))[0]
    label.write_bytes(LABELS[case])
    refused(here, "run", "--data", str(here / "data" / tiny_data.name))


# ── replay tables ─────────────────────────────────────────────────────────────────────────────────────────────────────

POINTS = [{"epoch": 1, "map50_95": 0.1, "map50": 0.2}]
ROW = {
    "architecture": {"detector": "yolov8n", "placements": []},
    "metrics": {"params_m": 3.0, "gflops": 1.0, "latency_ms": 10.0},
    "curves": {"0": POINTS},
}
TABLE = {"detector": "yolov8n", "epochs": 1, "seeds": [0], "rows": [ROW]}

TABLES: dict[str, Any] = {
    "a list": [1],
    "a number": 3,
    "no rows": {**TABLE, "rows": []},
    "rows null": {**TABLE, "rows": None},
    "rows of numbers": {**TABLE, "rows": [1]},
    "seeds of texts": {**TABLE, "seeds": ["a"]},
    "no seeds": {**TABLE, "seeds": []},
    "no epochs": {**TABLE, "epochs": 0},
    "endless epochs": {**TABLE, "epochs": 10**12},
    "epochs infinite": {**TABLE, "epochs": float("inf")},
    "a detector that is a number": {**TABLE, "detector": 3},
    "a detector that is not there": {**TABLE, "detector": "yolov99"},
    "an unknown space": {**TABLE, "space": "nowhere"},
    "a space out of the way": {**TABLE, "space": "../../etc/passwd"},
    "a curve too short": {**TABLE, "epochs": 5},
    "a curve of texts": {**TABLE, "rows": [{**ROW, "curves": {"0": "up"}}]},
    "a NaN": {**TABLE, "rows": [{**ROW, "curves": {"0": [{**POINTS[0], "map50": float("nan")}]}}]},
    "a metric that is a text": {**TABLE, "rows": [{**ROW, "metrics": {"params_m": "many"}}]},
    "a metric that is a list": {**TABLE, "rows": [{**ROW, "metrics": {"params_m": [1]}}]},
    "no latency": {**TABLE, "rows": [{**ROW, "metrics": {"params_m": 1.0}}]},
    "an architecture that is a text": {**TABLE, "rows": [{**ROW, "architecture": "GAM"}]},
    "placements of texts": {**TABLE, "rows": [{**ROW, "architecture": {"detector": "a", "placements": ["b"]}}]},
    "options that are a list": {
        **TABLE,
        "rows": [
            {**ROW, "architecture": {"detector": "a", "placements": [{"site": 4, "module": "GAM", "options": [1]}]}}
        ],
    },
}


@pytest.mark.parametrize("case", TABLES)
def test_replay_table(here, case):
    (here / "table.json").write_text(json.dumps(TABLES[case]))
    refused(here, "run", "--table", "table.json", "--trials", "2", "--epochs", "1", "--name", "replayed")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"seeds": ' + b"9" * 5000 + b"}"])
def test_replay_table_that_is_no_json(here, content):
    (here / "table.json").write_bytes(content)
    refused(here, "run", "--table", "table.json")


# ── results folders ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a finished run over the shipped table."""
    home = tmp_path_factory.mktemp("finished")
    words = ["run", "--evaluator", "replay", "--sampler", "random", "--trials", "3", "--noise-seeds", "2"]
    code, said = outcome(*words, "--out", str(home / "results"), "--name", "good")
    assert code == 0, said
    return home / "results" / "good"


@pytest.fixture
def damaged(here: Path, finished: Path) -> Path:
    """A copy of it to spoil."""
    shutil.copytree(finished, here / "results" / "bad")
    return here / "results" / "bad"


def lines_of(folder: Path) -> list[str]:
    return (folder / store.JOURNAL).read_text().splitlines()


def with_attribute(folder: Path, name: str, value: Any) -> None:
    """Append to the journal what sets a user attribute of the study."""
    line = {"op_code": 2, "worker_id": "x", "study_id": 0, "user_attr": {name: value}}
    with (folder / store.JOURNAL).open("a") as file:
        file.write(json.dumps(line) + "\n")


def with_trial_attribute(folder: Path, number: int, name: str, value: Any) -> None:
    """Change what the journal says of a trial's user attribute."""
    changed = []
    for line in lines_of(folder):
        form = json.loads(line)
        if form.get("trial_id") == number and name in form.get("user_attr", {}):
            form["user_attr"][name] = value
        changed.append(json.dumps(form))
    (folder / store.JOURNAL).write_text("\n".join(changed) + "\n")


JOURNALS: dict[str, Callable[[list[str]], bytes | list[str]]] = {
    "empty": lambda lines: b"",
    "a newline": lambda lines: b"\n",
    "random bytes": lambda lines: bytes(range(256)) + b"\n",
    "not JSON in the middle": lambda lines: [*lines[:5], "{", *lines[5:]],
    "a number for an operation": lambda lines: [*lines[:5], "7", *lines[5:]],
    "a list for an operation": lambda lines: [*lines[:5], "[]", *lines[5:]],
    "an operation without a code": lambda lines: [*lines, "{}"],
    "an unknown code": lambda lines: [*lines, '{"op_code": 99, "worker_id": "x"}'],
    "a code that is a text": lambda lines: [*lines, '{"op_code": "a", "worker_id": "x"}'],
    "no study": lambda lines: lines[1:],
    "another study": lambda lines: [lines[0].replace('"gamsearch"', '"other"'), *lines[1:]],
    "no objectives": lambda lines: [line for line in lines if '"objectives":[' not in line],
    "an endless nesting": lambda lines: [*lines, "[" * 100_000],
    "an endless number": lambda lines: [*lines, "9" * 5000],
    "a truncated start": lambda lines: "\n".join(lines).encode()[200:],
}


@pytest.mark.parametrize("case", JOURNALS)
def test_journal(here, damaged, case):
    content = JOURNALS[case](lines_of(damaged))
    text = content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode()
    (damaged / store.JOURNAL).write_bytes(text)
    for command in ("report", "status", "export", "verify", "compare"):
        refused(here, command, "results/bad")
    refused(here, "run", "--name", "bad")
    assert (damaged / store.JOURNAL).read_bytes() in (text, text[: text.rfind(b"\n") + 1])


ATTRIBUTES: dict[str, tuple[str, Any]] = {
    "objectives a text": ("objectives", "map50"),
    "objectives unknown": ("objectives", ["speed"]),
    "objectives of lists": ("objectives", [["map50"]]),
    "settings a list": ("settings", [1]),
    "settings with a text for a number": ("settings", {"epochs": "many"}),
    "settings with an endless number": ("settings", {"epochs": 10**400}),
    "settings with arguments in a list": ("settings", {"train": ["lr0"]}),
    "settings with a mapping for a name": ("settings", {"name": {}}),
    "a detector that is a text": ("detector", "yolov8n"),
    "a detector's YAML that is a list": ("detector", {"name": "a", "yaml": []}),
    "a reference point of texts": ("reference_point", ["a", "b"]),
    "a reference point of no objectives": ("reference_point", []),
    "objectives of another number": ("objectives", ["map50_95"]),
    "seeds that are a number": ("baseline_seeds", 4),
    "seeds of texts": ("baseline_seeds", [{"map50_95": "high"}]),
    "confirmations that are a list": ("confirmations", []),
    "confirmations of numbers": ("confirmations", {"a": 1}),
    "a stage that is a list": ("baseline_stage", []),
    "a baseline's curve of texts": ("baseline_stage", {"curve": [["1", "up"]]}),
    "a verification that is a text": ("verification", "done"),
    "a finalist whose key is a path": ("verification", {"finalists": [{"key": "../../x", "label": "a"}]}),
    "a finalist of texts": ("verification", {"finalists": ["a"]}),
    "trainings of texts": ("verification", {"trainings": {"baseline": "all"}}),
    "another schema": ("schema", 99),
    "a schema that is a list": ("schema", [1]),
}


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_attribute_of_a_study(here, damaged, case):
    with_attribute(damaged, *ATTRIBUTES[case])
    for command in ("report", "status", "export", "verify"):
        refused(here, command, "results/bad")
    refused(here, "run", "--name", "bad")


TRIALS: dict[str, tuple[str, Any]] = {
    "a key that is a path": ("key", "../../../x"),
    "a key that is a number": ("key", 7),
    "a label that is a list": ("label", ["GAM"]),
    "an endless label": ("label", "x" * 10**6),
    "a text for an architecture": ("architecture", "GAM@4"),
    "a placement without a site": ("architecture", {"detector": "yolov8n", "placements": [{"module": "GAM"}]}),
    "a site that is a text": (
        "architecture",
        {"detector": "yolov8n", "placements": [{"site": "4", "module": "GAM", "options": {}}]},
    ),
    "a measurement that is a list": ("measurement", []),
    "a measurement of texts": ("measurement", {"metrics": {"map50_95": "high"}}),
    "a measurement without metrics": ("measurement", {"metrics": {}}),
    "a curve of texts": ("measurement", {"metrics": {}, "curve": ["up"]}),
    "an infinite metric": ("measurement", {"metrics": {"map50_95": float("inf")}}),
    "built metrics in a list": ("built", [1]),
    "a seed that is a text": ("seed", "0"),
    "trained epochs below zero": ("epochs_trained", -1),
}


@pytest.mark.parametrize("case", TRIALS)
def test_attribute_of_a_trial(here, damaged, case):
    with_trial_attribute(damaged, 0, *TRIALS[case])
    for command in ("report", "status", "export"):
        refused(here, command, "results/bad")


@FUZZ
@given(data=st.data())
def test_a_journal_with_any_damage_is_read_or_refused(here, finished, data):
    folder = here / "results" / "fuzzed"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / store.JOURNAL).write_bytes(mutated((finished / store.JOURNAL).read_bytes(), data.draw))
    code, said = outcome("status", "results/fuzzed")
    assert code == 0 or (code == 2 and is_one_sentence(said)), said


@FUZZ
@given(data=st.data())
def test_a_journal_that_ends_anywhere_is_read_or_refused(here, finished, data):
    folder = here / "results" / "cut"
    folder.mkdir(parents=True, exist_ok=True)
    whole = (finished / store.JOURNAL).read_bytes()
    (folder / store.JOURNAL).write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    code, said = outcome("status", "results/cut")
    assert code == 0 or (code == 2 and is_one_sentence(said)), said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    "objectives",
    "space",
    "fingerprints",
    "ended",
    "settings",
    "detector",
    "baseline_seeds",
    "reference_point",
    "verification",
    "confirmations",
    "baseline_stage",
)


OF_TRIALS = ("architecture", "label", "reason", "built", "foreseen", "measurement", "curve", "stop", "epochs_trained")


def reported(folder: Path) -> None:
    """Write the page of a run, or refuse it in one sentence."""
    from gamsearch.errors import GamsearchError
    from gamsearch.reporting.html_page import page

    try:
        record = read_record(store.snapshot(folder), "odd")
    except GamsearchError as error:
        assert "\n" not in str(error)
        return
    page(record)


@FUZZ
@given(name=st.sampled_from(NAMES), value=JSON)
@example(name="baseline_seeds", value=[])
def test_any_value_of_an_attribute_of_the_study_is_read_or_refused(here, finished, name, value):
    folder = here / "results" / "odd"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(finished / store.JOURNAL, folder)
    with_attribute(folder, name, value)
    reported(folder)


@FUZZ
@given(number=st.integers(0, 3), name=st.sampled_from(OF_TRIALS), value=JSON)
def test_any_value_of_an_attribute_of_a_trial_is_read_or_refused(here, finished, number, name, value):
    folder = here / "results" / "odd"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(finished / store.JOURNAL, folder)
    with_trial_attribute(folder, number, name, value)
    reported(folder)


def test_links_out_of_a_run_are_not_followed(here, damaged):
    (here / "precious").write_text("precious")
    for name in ("trials.csv", "report.html"):
        (damaged / name).unlink()
        (damaged / name).symlink_to(here / "precious")
        assert "link" in refused(here, "report", "results/bad")
    (here / "folder").mkdir()
    (damaged / "export").symlink_to(here / "folder")
    assert "link" in refused(here, "export", "results/bad")
    assert "link" in refused(here, "run", "--name", "bad")


@pytest.mark.parametrize("content", [b"", b"7", b"{}", b'{"pid": "x"}', b"\xff", b'{"pid": 1, "host": 1, "task": [], '])
def test_status_tolerates_a_damaged_note_about_the_holder(here, damaged, content):
    (damaged / ".worker.json").write_bytes(content)
    code, said = outcome("status", "results/bad")
    assert (code, said) == (0, "")


# ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Payload:
    """Unpickling it would leave a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (CODE,)


def archive(content: bytes, folder: str = "x") -> bytes:
    """What torch.save would write around a pickle."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr(f"{folder}/data.pkl", content)
        file.writestr(f"{folder}/version", "3\n")
        file.writestr(f"{folder}/byteorder", "little")
    return made.getvalue()


CHECKPOINTS: dict[str, bytes] = {
    "empty": b"",
    "random bytes": bytes(range(256)) * 4,
    "a text": b"weights",
    "a broken archive": b"PK\x03\x04" + b"\0" * 100,
    "an archive of nothing": archive(b""),
    "an archive of random bytes": archive(bytes(range(256))),
    "an empty dictionary": archive(pickle.dumps({}, 2)),
    "a list": archive(pickle.dumps([1, 2], 2)),
    "a model that is a text": archive(pickle.dumps({"model": "yolo"}, 2)),
    "code in an archive": archive(pickle.dumps(Payload(), 2)),
    "code beside a model": archive(pickle.dumps({"model": None, "more": Payload()}, 2)),
    "code in a bare pickle": pickle.dumps(Payload(), 2),
    "code in a newer pickle": archive(pickle.dumps(Payload(), 4)),
    "a tensor of endless size": archive(b"\x80\x02" + b"X" + struct.pack("<I", 2**32 - 1) + b"a."),
    "another archive": archive(pickle.dumps({}, 2), "../../elsewhere"),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_checkpoint(here, tiny_data, case):
    (here / "model.pt").write_bytes(CHECKPOINTS[case])
    refused(here, "run", "--data", str(tiny_data), "--model", "model.pt", "--name", "foreign")
    assert not list(here.rglob("ran"))


@FUZZ
@given(content=st.binary(max_size=300), packed=st.booleans())
def test_any_bytes_for_a_checkpoint_are_refused(here, content, packed):
    from gamsearch.errors import ModelError
    from gamsearch.models.checkpoint import open_checkpoint

    (here / "model.pt").write_bytes(archive(content) if packed else content)
    with pytest.raises(ModelError) as refusal:
        open_checkpoint(here / "model.pt")
    assert "\n" not in str(refusal.value)


# ── manifests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _manifests() -> Iterator[tuple[str, Callable[[str], str | bytes]]]:
    yield "empty", lambda text: ""
    yield "random bytes", lambda text: bytes(range(256))
    yield "another form", lambda text: text.replace("manifest: 1", "manifest: 2")
    yield "a python object", lambda text: text + "x: !!python/object/apply:os.system ['touch ran']\n"
    yield "an unknown setting", lambda text: text.replace("trials:", "trails:")
    yield "a path for a name", lambda text: text.replace("name: good", "name: ../good")
    yield "cut in the middle", lambda text: text[:400]
    yield "nested endlessly", lambda text: "a: " + "[" * 5000
    yield "twice as long", lambda text: text + "# " + "x" * (1 << 20)


MANIFESTS = dict(_manifests())


@pytest.mark.parametrize("case", MANIFESTS)
def test_manifest(here, damaged, case):
    changed = MANIFESTS[case]((damaged / "manifest.yaml").read_text())
    (here / "manifest.yaml").write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    refused(here, "run", "--from", "manifest.yaml", "--name", "again")
    assert not list(here.rglob("ran"))


# ── command lines ─────────────────────────────────────────────────────────────────────────────────────────────────────

COMMANDS: dict[str, list[str]] = {
    "an endless seed": ["--seed", "99999999999999999999"],
    "endless epochs": ["--epochs", "99999999999"],
    "an endless image": ["--imgsz", "3200000000"],
    "endless trials": ["--trials", "99999999999999"],
    "a negative batch": ["--batch", "-1"],
    "a name that is a path": ["--name", "../../x"],
    "a name that is hidden": ["--name", ".git"],
    "an endless name": ["--name", "x" * 300],
    "an out of great length": ["--out", "x" * 5000],
    "data of great length": ["--data", "x" * 5000 + ".yaml"],
    "data that is a folder": ["--data", "."],
    "a model from the network": ["--model", "https://127.0.0.1:1/model.pt"],
    "a model of great length": ["--model", "x" * 5000 + ".pt"],
    "a table of great length": ["--evaluator", "replay", "--table", "x" * 5000],
    "a table that is a folder": ["--table", "."],
    "a device of words": ["--device", "the fast one"],
    "no objectives": ["--objectives", ""],
    "training arguments without a value": ["--train", "="],
    "a training argument that is nested": ["--train", "lr0=" + "(" * 500 + ")" * 500],
    "a training argument with code": ["--train", f"lr0={CODE}"],
    "a training argument that resumes": ["--train", "resume=evil.pt"],
    "a training argument with a file": ["--train", "cfg=evil.yaml"],
    "an escape sequence": ["--sampler", "\x1b[2J\n\rthaw"],
    "a manifest that is a folder": ["--from", "."],
    "a budget of nothing": ["--budget", "0h"],
    "an endless budget": ["--budget", "9" * 400 + "h"],
}


@pytest.mark.parametrize("case", COMMANDS)
def test_command_line_of_run(here, tiny_data, case):
    words = COMMANDS[case]
    own = any(name in words for name in ("--data", "--table", "--from", "--evaluator"))
    said = refused(here, "run", *([] if own else ["--data", str(tiny_data)]), *words)
    assert said.strip().isprintable()
    assert not list(here.rglob("ran"))


@pytest.mark.parametrize("command", ["report", "status", "export", "verify", "compare"])
@pytest.mark.parametrize("folder", ["nowhere", "x" * 5000, "file", ".", "/dev/null"])
def test_command_line_of_the_other_commands(here, command, folder):
    (here / "file").write_text("no folder")
    refused(here, command, folder)


@pytest.mark.parametrize("words", [["--top", "0"], ["--seeds", "1"], ["--epochs", "0"], ["--train", "resume=a.pt"]])
def test_command_line_of_verify(here, damaged, words):
    refused(here, "verify", "results/bad", *words)


# ── other files of a run ──────────────────────────────────────────────────────────────────────────────────────────────

BYTES = [b"", b"{}", b"[1]", bytes(range(256)), b"PK\x03\x04" + b"\0" * 40, archive(pickle.dumps(Payload(), 2))]


@pytest.mark.parametrize("content", BYTES, ids=["empty", "mapping", "list", "random", "zip", "code"])
def test_weights_detections_and_latencies(here, content):
    from gamsearch.analysis.image_bootstrap import Detections
    from gamsearch.errors import RunError
    from gamsearch.models.latency.table import LatencyTable
    from gamsearch.models.saving import read_weights

    (here / "file.pt").write_bytes(content)
    for read in (
        lambda: read_weights(None, here / "file.pt"),
        lambda: Detections.load(here / "file.pt"),
        lambda: LatencyTable.read(here / "file.pt", {}),
    ):
        with pytest.raises(RunError) as refusal:
            read()
        assert "\n" not in str(refusal.value)
    assert not list(here.rglob("ran"))
