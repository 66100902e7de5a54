"""`clean`, and what a search deletes when it ends."""

from pathlib import Path

import pytest

from gamsearch.cli.main import main
from gamsearch.errors import RunError
from gamsearch.runs.cleaning import clean, delete_checkpoints
from gamsearch.runs.folder_lock import held
from gamsearch.study import store
from gamsearch.study.table import read_record

SHARED = ("screening/seed0/supernet.pt", "supernet/supernet.pt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A replay of two trainings whose folder also has the files of a real run, 1 MB each."""
    words = ["run", "--evaluator", "replay", "--sampler", "random", "--trials", "2", "--noise-seeds", "2"]
    assert main([*words, "--out", str(tmp_path), "--name", "mine"]) == 0
    key = read_record(store.load(tmp_path / "mine"), "mine").candidates.iloc[0]["key"]
    names = [f"weights/{key}-seed0.pt", f"weights/{key}-seed1.pt", "paused/a-seed0.pt", "baseline/baseline.pt"]
    for name in [*names, "baseline/kept.pt", "verify/scratch/x.npz", "verify/weights/v.pt", "export/best.pt", *SHARED]:
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(10**6))
    return tmp_path / "mine"


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_clean_deletes_what_nothing_reads_and_keeps_record_exports_and_weights(folder, capsys):
    before = names(folder)
    assert main(["clean", str(folder), "--dry-run"]) == 0
    listed = capsys.readouterr().out
    assert "2.0 MB in 2 files: checkpoints of paused" in listed and "would free 5.0 MB in 5 files" in listed
    assert names(folder) == before
    assert main(["clean", str(folder)]) == 0
    assert "freed 5.0 MB in 5 files" in capsys.readouterr().out
    gone = {"paused/a-seed0.pt", "baseline/kept.pt", "verify/scratch/x.npz", "screening/seed0/supernet.pt"}
    gone |= {name for name in before if name.endswith("-seed1.pt")}
    assert before - names(folder) == gone
    assert main(["report", str(folder)]) == 0


def test_only_weights_that_are_asked_for_are_deleted(folder):
    clean(folder, weights=True)
    left = names(folder)
    assert not any(name.startswith(("weights/", "verify/weights/", "supernet/")) for name in left)
    assert {"study.journal", "baseline/baseline.pt", "export/best.pt", "trials.csv"} <= left


def test_a_run_that_is_in_use_is_not_cleaned(folder):
    with held(folder), pytest.raises(RunError, match="is in use"):
        clean(folder)


def test_nothing_is_deleted_through_a_link(folder):
    (folder / "paused" / "a-seed0.pt").unlink()
    (folder / "paused" / "a-seed0.pt").symlink_to(folder / "study.journal")
    assert delete_checkpoints(folder) is None and (folder / "study.journal").is_file()
