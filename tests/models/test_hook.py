"""The start-up file: the stock `yolo` of an environment of its own knows the modules with it and not without."""

import os
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

import pytest
import torch
from support.gam_detectors import ROWS, save_checkpoint, save_yaml, small_data
from support.paths import ROOT

from gamsearch.errors import RunError
from gamsearch.models import hook


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """A virtual environment that finds gamsearch and the packages of the tests; only it is written to."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    packages = Path(run(home, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
    (packages / "tests.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    return home


def run(home: Path, *words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the environment's Python without PYTHONPATH."""
    folder = folder or home
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(home / ("Scripts" if sys.platform == "win32" else "bin") / "python"), "-W", "ignore", *words]
    return subprocess.run(
        command, cwd=folder, env={**kept, "YOLO_CONFIG_DIR": str(folder)}, capture_output=True, text=True, timeout=200
    )


def yolo(home: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The `yolo` command, whose script is these two lines."""
    small = ("imgsz=32", "device=cpu", "workers=0", "plots=False", f"project={folder}", "name=out", "exist_ok=True")
    return run(home, "-c", "from ultralytics.cfg import entrypoint\nentrypoint()", *words, *small, folder=folder)


def test_the_stock_yolo_trains_a_yaml_and_validates_a_checkpoint_with_the_hook_only(environment, tmp_path):
    save_yaml(tmp_path, ROWS).rename(tmp_path / "best-yolov8n.yaml")
    save_checkpoint(tmp_path, "best.pt")
    (tmp_path / "Arial.ttf").touch()
    data = small_data(tmp_path)
    train = ("train", "model=best-yolov8n.yaml", f"data={data}", "epochs=1", "batch=2")
    without = yolo(environment, tmp_path, *train)
    assert without.returncode and "KeyError: 'GAM'" in without.stderr
    installed = run(environment, "-m", "gamsearch", "install-hook")
    assert installed.returncode == 0 and "undo with `gamsearch install-hook --remove`" in installed.stdout
    trained = yolo(environment, tmp_path, *train)
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert "no model scale passed" not in trained.stdout + trained.stderr
    kept = torch.load(tmp_path / "out" / "weights" / "last.pt", weights_only=False)
    assert [type(m).__name__ for m in (kept["ema"] or kept["model"]).model].count("GAM") == 2
    validated = yolo(environment, tmp_path, "val", "model=best.pt", f"data={data}")
    assert validated.returncode == 0, validated.stderr[-2000:]
    removed = run(environment, "-m", "gamsearch", "install-hook", "--remove")
    assert removed.returncode == 0 and removed.stdout.startswith("removed ")
    assert "no hook is installed" in run(environment, "-m", "gamsearch", "install-hook", "--remove").stdout


def test_the_hook_imports_nothing_when_python_starts(environment):
    packages = Path(run(environment, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
    assert "wrote" in hook.install(packages)
    started = time.perf_counter()
    shown = run(environment, "-c", "import sys; print([n for n in sys.modules if n in ('gamsearch', 'ultralytics')])")
    assert shown.stdout.strip() == "[]" and not shown.stderr and time.perf_counter() - started < 5
    hook.remove(packages)


def test_without_gamsearch_the_hook_says_so_and_ultralytics_still_imports(environment):
    code = f"""
import sys, importlib.util
sys.modules["gamsearch"] = None
exec({hook.FINDER!r}, {{"sys": sys}})
print(importlib.util.find_spec("ultralytics").name)
"""
    done = run(environment, "-c", code)
    assert done.returncode == 0 and "gamsearch cannot be imported" in done.stderr


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hook, "_check_installed", lambda folder: None)
    with pytest.raises(RunError, match="cannot be written to .*import gamsearch"):
        hook.install(tmp_path / "none")
    (tmp_path / hook.FILE).mkdir()
    with pytest.raises(RunError, match="cannot be written to"):
        hook.remove(tmp_path)


def test_a_checkout_that_is_not_installed_is_refused(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    code = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {sysconfig.get_path("purelib")!r}]
from gamsearch.cli.main import main
sys.exit(main(["install-hook"]))
"""
    done = run(tmp_path / "bare", "-c", code, folder=tmp_path)
    assert done.returncode == 2 and "not installed in this environment" in done.stderr
