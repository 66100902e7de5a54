"""No command changes a file of the user's data, whatever it holds; what cannot be read is left out and named."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hostile import UNREADABLE, make_hostile, make_read_only, state_of

import gamsearch as package
from gamsearch.cli.main import main
from gamsearch.runs.worker import WorkerOptions, run_worker
from gamsearch.study import store
from gamsearch.training.data_listing import LISTING
from gamsearch.training.data_listing import UNREADABLE as UNREADABLE_LIST
from gamsearch.training.dataset import DataSet

NOBODY = 65534
SEARCH = [
    "--space",
    "gam-demo",
    "--trials",
    "1",
    "--imgsz",
    "64",
    "--batch",
    "4",
    "--epochs",
    "1",
    "--noise-seeds",
    "2",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    yield folder
    for path in folder.rglob("*"):  # so that pytest can remove it
        if path.is_dir():
            os.chmod(path, 0o755)


def _obey_permissions() -> None:
    """Let the permissions of files hold for root as well: give up CAP_DAC_OVERRIDE before the program starts."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.fixture(scope="module")
def searched(home: Path) -> subprocess.CompletedProcess[str]:
    """A search of hostile data in a read-only folder."""
    data = make_hostile(home / "My Pets" / "set.v1")
    make_read_only(data.parent)
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    before = state_of(data.parent)
    words = ["run", "--data", os.path.relpath(data, home), *SEARCH]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "gamsearch", *words],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=_obey_permissions,
    )
    assert state_of(data.parent) == before
    return done


def test_read_only_data_are_searched_and_unreadable_images_are_named(home: Path, searched):
    assert searched.returncode == 0, searched.stderr
    folder = home / "results" / "set.v1-yolov8n-gam-demo"  # named after the folder of data.yaml
    assert "8 train and 8 val images" in searched.stdout.replace("\n", " ")
    assert "5 of 13 train images cannot be read and are left out" in " ".join(searched.stdout.split())
    assert all(name in (folder / UNREADABLE_LIST).read_text() for name in UNREADABLE)
    assert "5 of 13 train images cannot be read" in (folder / "report.html").read_text()
    assert store.snapshot(folder).user_attrs["settings"]["data"] == str(home / "My Pets" / "set.v1" / "data.yaml")


@pytest.fixture(scope="module")
def run(home: Path, searched) -> tuple[Path, Path]:
    """The run and its data, moved to a folder in which everything may be written."""
    folder, data = home / "results" / "set.v1-yolov8n-gam-demo", home / "moved" / "data.yaml"
    shutil.copytree(home / "My Pets" / "set.v1", data.parent)
    for path in [data.parent, *data.parent.rglob("*")]:
        os.chmod(path, 0o777)
    return folder, data


def test_resume_verify_worker_export_and_from_change_no_file_of_moved_data(run, tmp_path, monkeypatch, capsys):
    folder, data = run
    monkeypatch.chdir(tmp_path)
    before = state_of(data.parent)
    place = ["--out", str(folder.parent), "--name", folder.name, "--data", str(data)]
    assert main(["run", "--trials", "2", *place]) == 0, capsys.readouterr().err
    assert store.snapshot(folder).user_attrs["settings"]["data"] == str(data)  # later commands find it
    assert main(["verify", str(folder), "--top", "1", "--seeds", "2", "--epochs", "1"]) == 0, capsys.readouterr().err
    assert main(["export", str(folder)]) == 0, capsys.readouterr().err
    again = ["run", "--from", str(folder), "--data", str(data), "--name", "again"]
    assert main(again) == 0, capsys.readouterr().err
    assert "already ended" in run_worker(WorkerOptions(folder, data=str(data)), _Silent())
    assert state_of(data.parent) == before


def test_changed_data_are_refused_and_the_files_that_differ_are_named(run, tmp_path, monkeypatch, capsys):
    folder, data = run
    monkeypatch.chdir(tmp_path)
    shutil.copytree(data.parent, tmp_path / "changed")
    changed = tmp_path / "changed"
    (changed / "images" / "train" / "3.jpg").unlink()
    (changed / "labels" / "val" / "2.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with (changed / "images" / "val" / "4.jpg").open("ab") as file:
        file.write(b"more")
    place = ["--out", str(folder.parent), "--name", folder.name]
    for words in (
        ["run", *place, "--data", "changed/data.yaml"],
        ["run", "--from", str(folder), "--data", "changed/data.yaml", "--name", "other"],
        ["verify", str(folder), "--data", "changed/data.yaml"],
    ):
        assert main(words) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "3 differ: train images/train/3.jpg is missing; the labels of val images/val/2.jpg changed" in said
        assert "val images/val/4.jpg had" in said
    assert not (tmp_path / "results").exists()  # a start that fails leaves nothing


def test_the_fingerprint_and_the_listing_are_those_of_the_untouched_data(run):
    folder, data = run
    assert store.snapshot(folder).user_attrs["fingerprints"]["data"] == DataSet.read(data).fingerprint
    assert (folder / LISTING).stat().st_size < 60 * len(DataSet.read(data).lines) + 100


class _Silent:
    def __getattr__(self, name: str):
        return lambda *args, **options: None
