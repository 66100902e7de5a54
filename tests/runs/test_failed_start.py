"""A start that is refused leaves every folder as it was."""

from pathlib import Path

import pytest
from filelock import FileLock

from gamsearch.cli.main import main
from gamsearch.runs.failed_start import NewFiles


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("names: [a]\n")
    return tmp_path


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize(
    "words",
    [
        ["--space", "nowhere"],  # of the demonstration, whose data would be made first
        ["--data", "nowhere.yaml"],
        ["--data", "bad.yaml"],
        ["--data", "DATA", "--model", "nowhere.pt"],
        ["--data", "DATA", "--space", "nowhere"],
        ["--data", "DATA", "--sampler", "nowhere"],
        ["--data", "DATA", "--epochs", "0"],
        ["--from", "nowhere"],
        ["--table", "nowhere"],
        ["--storage", "sqlite:////nowhere/a.db", "--space", "nowhere"],
        ["--data", "DATA", "--space", "nowhere", "--out", "a/b/c"],
    ],
    ids=" ".join,
)
def test_a_refused_start_leaves_nothing_behind(here: Path, tiny_data: Path, words: list[str]):
    before = files(here)
    assert main(["run", *(str(tiny_data) if word == "DATA" else word for word in words)]) == 2
    assert files(here) == before


def test_what_was_in_the_folder_before_stays(here: Path, tiny_data: Path):
    mine = here / "results" / "mine" / "data" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    before = files(here)
    assert main(["run", "--data", str(tiny_data), "--space", "nowhere", "--name", "mine"]) == 2
    assert main(["run", "--space", "nowhere", "--name", "mine"]) == 2  # the demonstration's data are not these
    assert files(here) == before and mine.read_text() == "mine"


def test_the_files_of_another_process_stay(here: Path):
    folder = here / "run"
    new_files = NewFiles(folder)
    folder.mkdir()
    (folder / "data").mkdir()
    with FileLock(folder / ".lock"), pytest.raises(KeyboardInterrupt), new_files.removed_on_failure():
        raise KeyboardInterrupt
    assert (folder / "data").exists()


def test_files_of_a_run_that_has_its_study_stay(here: Path):
    new_files = NewFiles(here / "run")
    with pytest.raises(KeyboardInterrupt), new_files.removed_on_failure():
        (here / "run" / "data").mkdir(parents=True)
        new_files.keep()
        raise KeyboardInterrupt
    assert (here / "run" / "data").exists()
