"""The script for GPUs runs where there is none, as far as that goes, and says so where it does not."""

import json
import os
import subprocess
import sys

from support.paths import ROOT

SCRIPT = [sys.executable, str(ROOT / "benchmarks" / "gpu_check.py")]


def test_the_script_measures_and_writes_both_files_on_a_cpu(tmp_path):
    words = ["--device", "cpu", "--quick", "--parts", "latency", "step", "--out", str(tmp_path)]
    done = subprocess.run([*SCRIPT, *words], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    modules = {name: row for name, row in parts["latency"]["figures"].items() if name != "conditions"}
    assert len(modules) >= 2 and all(row["ratio"] > 0 for row in modules.values())
    assert all(row["images_per_s"] > 0 for row in parts["step"]["figures"].values())
    assert "## Latency" in (tmp_path / "gpu.md").read_text()


def test_the_script_refuses_a_machine_without_a_gpu(tmp_path):
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*SCRIPT, "--out", str(tmp_path)], capture_output=True, text=True, timeout=100, env=hidden)
    assert done.returncode == 2 and "PyTorch sees no GPU here" in done.stderr and not list(tmp_path.iterdir())
