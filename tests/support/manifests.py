"""Runs with a manifest, for tests: replays that take a second, edited manifests, and commands that are refused."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from gamsearch.cli.main import main
from gamsearch.study import store
from gamsearch.study.table import trial_table

REPLAY = ["run", "--evaluator", "replay", "--sampler", "tpe", "--trials", "8"]


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in `folder`."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def content(folder: Path) -> dict[str, Any]:
    """The manifest in a run's folder, unchecked."""
    return yaml.safe_load((folder / "manifest.yaml").read_text(encoding="utf-8"))


def edited(folder: Path, **changes: Any) -> Path:
    """A copy of a run's manifest beside its folder, with other values; `a__b` names a nested key."""
    known = content(folder)
    for key, value in changes.items():
        *outer, last = key.split("__")
        place = known
        for name in outer:
            place = place[name]
        place[last] = value
    path = folder.parent / "edited.yaml"
    path.write_text(yaml.safe_dump(known), encoding="utf-8")
    return path


def refused(capsys, *words: str) -> str:
    """Run a command that must be refused; return its one sentence."""
    assert main(list(words)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("gamsearch: ")
    return lines[0]


def trials(folder: Path) -> pd.DataFrame:
    """The table of a run's trials."""
    return trial_table(store.load(folder))
