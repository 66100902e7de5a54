"""What the tests of the runs folder share."""

import shutil
from pathlib import Path

import pytest
from made_up import checked, said, search_of, start, timed_table
from support.manifests import REPLAY, inside
from support.searches import LITTLE_SITES, LITTLE_SIZE

from gamsearch.cli.main import main
from gamsearch.study import store


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    """An empty folder, in which the test works."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def original(tmp_path_factory) -> Path:
    """The folder of a finished replay, which no test may write to."""
    home = tmp_path_factory.mktemp("original")
    with inside(home):
        assert main([*REPLAY, "--name", "a"]) == 0
    return home / "results" / "a"


@pytest.fixture
def replayed(original: Path, here: Path) -> Path:
    """The folder of a finished replay called `a`, inside the folder where the test works."""
    return Path(shutil.copytree(original, here / "results" / "a"))


@pytest.fixture
def little(tmp_path: Path) -> tuple[Path, Path]:
    """A table whose epochs take 0.08 s, and its search space."""
    return timed_table(tmp_path, LITTLE_SITES, 0.08)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> list[str]:
    """The front that a single undisturbed worker finds in that table."""
    here = tmp_path_factory.mktemp("undisturbed")
    assert start(here, *search_of(here, *timed_table(here, LITTLE_SITES, 0.0))).wait(120) == 0, said(here)
    return checked(store.load(here / "results" / "a"), LITTLE_SIZE)
