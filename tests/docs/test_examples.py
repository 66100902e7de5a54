"""The examples run as they are."""

import os
import subprocess
from pathlib import Path

import pytest
from support.paths import ROOT

from gamsearch.cli.main import parser

EXAMPLES = ROOT / "examples"


@pytest.mark.filterwarnings("ignore")  # the notebook client's own
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    texts = [str(out) for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    assert (
        any(answer in text for text in texts for answer in ("Yes: ", "No: ", "Unclear: "))
        and (tmp_path / "results/notebook/report.html").is_file()
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.sh")), ids=lambda path: path.name)
def test_a_shell_script_is_valid_and_its_commands_can_be_parsed(path: Path):
    assert subprocess.run(["bash", "-n", str(path)]).returncode == 0
    trace = f'python() {{ shift 2; printf "%s\\n" "$*"; }}; exec() {{ "$@"; }}; {path.read_text()}'
    for task in ("0", "3"):
        done = subprocess.run(
            ["bash", "-c", trace], env={**os.environ, "SLURM_ARRAY_TASK_ID": task}, capture_output=True, text=True
        )
        lines = done.stdout.strip().splitlines()
        assert lines, done.stderr
        for line in lines:
            parser().parse_args(line.split())
