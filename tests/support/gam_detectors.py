"""A small detector with two GAM rows, its files, and fresh interpreters that use them."""

import copy
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import torch
import yaml as pyyaml
from torch import nn

from gamsearch.attention.gam import GAM
from gamsearch.parser.build import build
from support.paths import ROOT

ROWS = {
    "nc": 2,
    "scales": {"n": [0.33, 0.25, 1024]},
    "backbone": [
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "GAM", ["c2", 8]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 1, "GAM", ["c2", 4, 4, True, "zeros"]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 1, "Conv", [128, 3, 2]],
    ],
    "head": [[[4, 5, 6], 1, "Detect", ["nc"]]],
}


def rows(**changes: object) -> dict:
    return copy.deepcopy({**ROWS, "scale": "n", **changes})


def with_row(row: list) -> dict:
    """The small detector with its first attention row replaced."""
    yaml = rows()
    yaml["backbone"][2] = row
    return yaml


def gams(model: nn.Module) -> list[GAM]:
    return [m for m in model.modules() if isinstance(m, GAM)]


def run_python(code: str, folder: Path, path: tuple[Path, ...] = (ROOT,), **environment: str) -> str:
    """Run code in a fresh interpreter in `folder` and return its output; fail if it fails."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "YOLO_CONFIG_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        cwd=folder,
        env={**variables, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def save_yaml(folder: Path, yaml: dict) -> Path:
    file = folder / "best.yaml"
    file.write_text(pyyaml.safe_dump({key: value for key, value in yaml.items() if key != "scale"}))
    return file


def save_checkpoint(folder: Path, name: str = "gam.pt") -> Path:
    torch.manual_seed(0)
    model = build(rows(), nc=2)
    file = folder / name
    torch.save({"model": model.half(), "train_args": {}, "epoch": -1}, file)
    return file


def small_data(folder: Path) -> Path:
    """Four images of noise with one box each."""
    from PIL import Image

    for kind in ("images", "labels"):
        (folder / "set" / kind).mkdir(parents=True)
    for i in range(4):
        pixels = (torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(i)) * 255).byte().numpy()
        Image.fromarray(pixels).save(folder / "set" / "images" / f"{i}.png")
        (folder / "set" / "labels" / f"{i}.txt").write_text(f"{i % 2} 0.5 0.5 0.4 0.6\n")
    file = folder / "data.yaml"
    file.write_text(f"path: {folder / 'set'}\ntrain: images\nval: images\nnames: [a, b]\n")
    return file
