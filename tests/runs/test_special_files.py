"""Devices, pipes and endless files in a run's folder from elsewhere are refused at once, whoever reads them."""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from support.paths import ROOT

from gamsearch.analysis.prediction_comparison import FILE
from gamsearch.cli.main import main
from gamsearch.reporting import predictions_section
from gamsearch.study import journal

NAMES = (
    "study.journal",
    "storage.json",
    "trials.csv",
    "manifest.yaml",
    ".lock",
    "report.html",
    ".storage-unreachable",
    "report/predictions.json",
    "report/validation-1.jpg",
    "a folder/of the user/file",
)
JPEG = b"\xff\xd8 a picture"
CONTENT = {"shown": [{"file": "validation-1.jpg"}]}
KINDS = ("pipe", "device", "link to itself")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(ROOT / "results" / "bccd-yolov8n" / "study.journal", run)
    return run


def put(path: Path, kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to(path.name)


def in_time(*words: str) -> int | None:
    """The exit code of a command, or None if it does not end within a minute."""
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(main(list(words))), daemon=True)
    thread.start()
    thread.join(60)
    return ended[0] if ended else None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_special_file_is_refused_at_once(folder, capsys, name, kind):
    put(folder / name, kind)
    for words in (("status", str(folder)), ("report", str(folder)), ("compare", str(folder), str(folder))):
        code = in_time(*words)
        said = capsys.readouterr().err
        assert code == 2, (words, code)
        assert said.startswith("gamsearch: ") and said.count("\n") == 1, said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("kind", ("pipe", "device"))
@pytest.mark.parametrize("option", ("--from", "--table", "--space", "--data"))
def test_a_special_file_is_refused_as_an_option(tmp_path, monkeypatch, capsys, kind, option):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "file.yaml", kind)
    assert in_time("run", option, "file.yaml") == 2
    said = capsys.readouterr().err
    assert said.startswith("gamsearch: ") and said.count("\n") == 1, said


def test_a_journal_without_end_is_refused(folder, capsys, monkeypatch):
    os.truncate(folder / "study.journal", journal.LARGEST + 1)  # sparse: it takes no space
    assert main(["status", str(folder)]) == 2
    assert "larger than 256 MiB" in capsys.readouterr().err


@pytest.mark.parametrize("linked", ("report", "report/validation-1.jpg"))
def test_no_picture_from_elsewhere_gets_into_a_report(folder, tmp_path, capsys, linked):
    """A received run must not put a private picture of its reader on a page that the reader passes on."""
    private = tmp_path / "private"
    private.mkdir()
    (private / "validation-1.jpg").write_bytes(JPEG)
    (private / FILE.rpartition("/")[2]).write_text(json.dumps(CONTENT))
    (folder / linked).parent.mkdir(exist_ok=True)
    (folder / linked).symlink_to(private / linked.partition("/")[2])
    if linked != "report":
        (folder / FILE).write_text(json.dumps(CONTENT))
    assert main(["report", str(folder)]) == 2
    assert "is a link out of the run's folder" in capsys.readouterr().err
    assert not (folder / "report.html").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ("predictions.json", "validation-1.jpg"))
def test_predictions_are_read_from_regular_files_of_bounded_size(folder, name):
    (folder / "report").mkdir()
    (folder / FILE).write_text(json.dumps(CONTENT))
    (folder / "report" / "validation-1.jpg").write_bytes(JPEG)
    assert predictions_section.read(folder)["shown"][0]["source"]
    (folder / "report" / name).write_bytes(JPEG + b" " * (1 << 20))
    assert predictions_section.read(folder) == {}
    put(folder / "report" / name, "pipe")
    assert predictions_section.read(folder) == {}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ("train.txt", "labels/train/0000.txt"))
def test_a_special_file_in_a_data_set_is_refused(tiny_data, tmp_path, capsys, name, kind):
    data = shutil.copytree(tiny_data.parent, tmp_path / "data")
    (data / "train.txt").write_text("".join(f"{path}\n" for path in sorted((data / "images" / "train").iterdir())))
    text = (data / "data.yaml").read_text().replace("train: images/train", "train: [train.txt]")
    (data / "data.yaml").write_text(text)
    assert (data / "labels" / "train" / "0000.txt").is_file() and "train.txt" in text
    put(data / name, kind)
    assert in_time("run", "--data", str(data / "data.yaml"), "--name", "x", "--out", str(tmp_path)) == 2
    said = capsys.readouterr().err
    assert said.startswith("gamsearch: ") and said.count("\n") == 1 and (Path(name).name in said or "/dev/zero" in said)
