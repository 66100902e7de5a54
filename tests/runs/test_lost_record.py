"""The record of a run is taken away or damaged while the run works: it ends with one sentence."""

import shutil
from pathlib import Path

import optuna
import pytest
from made_up import eventually, free_port, said, search_of, start
from support.searches import open_study

from gamsearch.study import proxy, store


def _damage(folder: Path) -> None:
    with (folder / store.JOURNAL).open("ab") as file:
        file.write(b'{"op_code": 5, "worker\n')


def _empty(folder: Path) -> None:
    (folder / store.JOURNAL).write_bytes(b"")


def _delete(folder: Path) -> None:
    """Delete a folder in which the run deletes files at the same time."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


WAYS = {
    "moved": (lambda folder: folder.rename(folder.parent / "b"), "is no longer there"),
    "deleted": (_delete, "is no longer there"),
    "replaced by an empty folder": (lambda folder: (_delete(folder), folder.mkdir()), "is no longer there"),
    "damaged": (_damage, "is damaged in line"),
    "emptied": (_empty, "is not a readable gamsearch record"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_whose_folder_is_lost_ends_with_one_sentence(tmp_path, little, way):
    run = start(tmp_path, *search_of(tmp_path, *little))
    open_study(tmp_path)
    change, sentence = WAYS[way]
    change(tmp_path / "results" / "a")
    assert run.wait(60) == 2, said(tmp_path)
    _one_sentence(tmp_path, sentence)


def test_a_run_whose_study_a_client_deletes_ends_with_one_sentence(tmp_path, little):
    pytest.importorskip("grpc", reason="the gRPC proxy needs grpcio")
    port = free_port()
    server = start(tmp_path, "serve", "--storage", f"sqlite:///{tmp_path}/served.db", "--port", port)
    url = f"grpc://localhost:{port}"
    eventually(lambda: "serving" in said(tmp_path))
    run = start(tmp_path, *search_of(tmp_path, *little, "--storage", url))
    client = proxy.connect(url)
    eventually(lambda: any(s.user_attrs.get("open") for s in optuna.study.get_all_study_summaries(client)))
    optuna.delete_study(study_name="a", storage=client)
    assert run.wait(60) == 2, said(tmp_path)
    server.terminate()
    assert server.wait(20) == 130
    _one_sentence(tmp_path, "is no longer in")


def _one_sentence(here: Path, sentence: str) -> None:
    text = said(here)
    assert "Traceback" not in text and "Exception ignored" not in text
    errors = [line for line in text.splitlines() if line.startswith("gamsearch: ") and "stopped" not in line]
    assert len(errors) == 1 and sentence in errors[0], text
