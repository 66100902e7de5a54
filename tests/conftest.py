"""The environment of every test, set before Ultralytics is imported, and the data set that pipeline tests share."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# Ultralytics reads these once, when it is imported. A settings folder of its own keeps the user's settings untouched.
os.environ.update(
    YOLO_OFFLINE="1",
    YOLO_AUTOINSTALL="false",
    YOLO_VERBOSE="false",
    YOLO_CONFIG_DIR=tempfile.mkdtemp(prefix="gamsearch-tests-"),
    OMP_NUM_THREADS="1",
    WANDB_MODE="offline",
    TRACKIO_DIR=os.path.join(tempfile.gettempdir(), f"gamsearch-trackio-{os.getpid()}"),
)
if not os.environ.get("GAMSEARCH_TEST_DEVICE", "").startswith("cuda"):  # the same tests on every machine
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_unconfigure() -> None:
    """Take the settings folder and what trackers kept away again."""
    for name in ("YOLO_CONFIG_DIR", "TRACKIO_DIR"):
        shutil.rmtree(os.environ[name], ignore_errors=True)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data YAML of 12 train and 6 val pictures of 64 x 64 px; shared by all tests, so do not write into it."""
    from gamsearch.runs import demo

    return demo.make(tmp_path_factory.mktemp("demo") / "digits", train=12, val=6, imgsz=64)


LOWEST = "8.4.0"


@pytest.fixture(scope="session")
def lowest(tmp_path_factory) -> Path:
    """A folder with the lowest supported Ultralytics and nothing else."""
    folder = tmp_path_factory.mktemp("lowest")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*command, f"ultralytics=={LOWEST}"], capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"no package index gave ultralytics {LOWEST}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return folder
