"""Where a run came from: the command line, the processor, and the commit of the checkout."""

import subprocess
import sys
from pathlib import Path

from gamsearch.runs import provenance


def test_the_command_line_can_be_pasted_into_a_shell(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gamsearch", "run", "--name", "two words"])
    assert provenance.command_line() == "python -m gamsearch run --name 'two words'"


def test_the_recorded_versions_are_a_part_of_all_versions():
    assert provenance.recorded_versions().items() <= provenance.versions().items()
    assert set(provenance.recorded_versions()) == set(provenance.RECORDED)


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def test_the_commit_is_that_of_the_checkout_and_marks_uncommitted_changes(tmp_path: Path):
    assert provenance.commit(tmp_path) is None
    git(tmp_path, "init")
    assert provenance.commit(tmp_path) is None  # no commit yet
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    clean = provenance.commit(tmp_path)
    assert clean is not None and len(clean) == 40
    (tmp_path / "a").write_text("2")
    assert provenance.commit(tmp_path) == f"{clean}-dirty"


def test_without_git_the_commit_is_unknown_and_nothing_fails(tmp_path: Path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert provenance.commit(tmp_path) is None


def test_the_processor_is_named_with_and_without_cpuinfo(tmp_path: Path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Some CPU 3000\n")
    assert provenance.processor(tmp_path / "cpuinfo") == "Some CPU 3000"
    assert provenance.processor(tmp_path / "none")
