"""A little search in processes of its own: three sites, two rates each, every epoch takes a moment."""

from pathlib import Path

import optuna
from made_up import eventually

from gamsearch.study import store

LITTLE_SITES = "[4, 6, 9]"
LITTLE_SIZE = 27
"""Architectures of the space: three rates (one of them none) at each of three sites."""


def open_study(here: Path) -> optuna.Study:
    """The study of the search called `a`, once workers may join it."""
    folder = here / "results" / "a"
    eventually(lambda: (folder / store.JOURNAL).exists() and store.exists(folder))
    eventually(lambda: b'"open":true' in (folder / store.JOURNAL).read_bytes())
    return store.load(folder)
