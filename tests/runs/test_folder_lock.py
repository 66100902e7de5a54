"""One writer per run folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

from gamsearch.errors import RunError
from gamsearch.runs.folder_lock import FILE, held, is_locked, make_folder, running_state


def test_a_held_folder_is_locked_and_names_its_holder(tmp_path: Path):
    assert not is_locked(tmp_path)
    with held(tmp_path, "verification"):
        assert is_locked(tmp_path)
        assert running_state(tmp_path).startswith(f"running (verification by process {os.getpid()} on ")
    assert not is_locked(tmp_path) and not (tmp_path / FILE).exists()


def test_a_folder_can_be_held_only_once(tmp_path: Path):
    code = "import sys, pathlib; from gamsearch.runs.folder_lock import held\nwith held(pathlib.Path(sys.argv[1])): ..."
    command = [sys.executable, "-c", code, str(tmp_path)]
    with held(tmp_path):
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "is in use by another run; wait for it or give another --name" in second.stderr
    assert subprocess.run(command, cwd=ROOT, timeout=60).returncode == 0


def test_asking_for_the_lock_does_not_create_it_and_does_not_follow_a_link(tmp_path: Path):
    assert not is_locked(tmp_path) and list(tmp_path.iterdir()) == []
    (tmp_path / ".lock").symlink_to(tmp_path / "elsewhere")
    assert not is_locked(tmp_path) and not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("note", [None, "", "7", '{"pid": "x"}', '{"pid": 1, "host": "a"}'])
def test_a_missing_or_damaged_note_names_nobody(tmp_path: Path, note):
    if note is not None:
        (tmp_path / FILE).write_text(note)
    assert running_state(tmp_path) == "running"


def test_sigterm_interrupts_the_holder_and_the_handler_is_restored(tmp_path: Path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), held(tmp_path):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 5)
    assert signal.getsignal(signal.SIGTERM) == before and not is_locked(tmp_path)


def test_a_folder_is_created_with_its_parents_and_left_empty(tmp_path: Path):
    make_folder(tmp_path / "results" / "a")
    assert list((tmp_path / "results" / "a").iterdir()) == []


def test_a_folder_that_is_not_writable_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"is not writable \(.*\); change its permissions or give another --out"):
        make_folder(tmp_path / "file" / "a")
