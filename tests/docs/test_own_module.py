"""The example of a user's own module: searched, exported and run without gamsearch, in at most 30 lines."""

import os
import shutil
import subprocess
from pathlib import Path

from support.hidden import run_hidden
from support.paths import ROOT

EXAMPLE = ROOT / "examples" / "own_module"
SMALL = "--trials 1 --imgsz 64 --batch 4 --epochs 1 --baseline-epochs 1 --noise-seeds 1"


def test_the_example_of_an_own_module_is_at_most_thirty_lines():
    lines = [line for path in EXAMPLE.iterdir() if path.is_file() for line in path.read_text().splitlines()]
    assert len(list(filter(str.strip, lines))) <= 30


def test_an_own_module_is_searched_exported_and_run_where_neither_it_nor_gamsearch_is_installed(tiny_data, tmp_path):
    """The example's commands with a small budget; trial 1 has the module, whatever such a short training shows."""
    here = tmp_path / "own"
    shutil.copytree(EXAMPLE, here, ignore=shutil.ignore_patterns("__pycache__"))
    commands = (here / "search.sh").read_text().replace("--name mine", f"--name mine {SMALL}")
    commands = commands.replace("--pick map50_95", "--trial 1")
    done = subprocess.run(
        ["bash", "-ec", commands, "search.sh", str(tiny_data)],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0 and "trial 1: MyGate@6" in done.stdout + done.stderr, done.stdout + done.stderr
    export = here / "results" / "mine" / "export"
    shutil.copy(next((Path(tiny_data).parent / "images" / "val").iterdir()), export / "picture.png")
    code = (here / "use.py").read_text().replace("best_modules", "trial_1_modules").replace("best.pt", "trial-1.pt")
    proof = "\nimport sys; print('gamsearch' in sys.modules and hasattr(sys.modules['gamsearch'], 'search'))"
    found = run_hidden(export, code + proof, YOLO_VERBOSE="false").splitlines()
    assert "torch.Size([" in found[-2] and found[-1] == "False"
