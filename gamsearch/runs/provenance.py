"""Where a run takes place: versions, processor, threads, operating system, and the commit of a checkout. No torch."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    *("ultralytics", "torch", "torchvision", "optuna", "numpy", "scipy", "scikit-learn", "pandas", "moocore"),
    *("opencv-python", "opencv-python-headless", "pillow", "onnxruntime"),
)
"""What a figure may depend on; those that are not installed are left out."""

GIT_SECONDS = 10


def versions() -> dict[str, str]:
    """Versions of gamsearch, Python and the installed ones of `PACKAGES`."""
    from gamsearch import __version__

    found = {"gamsearch": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str | int]:
    """Operating system, processor, its cores, and the threads that PyTorch uses if it is loaded."""
    facts: dict[str, str | int] = {"os": platform.platform(), "cpu": processor(), "cores": os.cpu_count() or 1}
    torch = sys.modules.get("torch")
    return facts if torch is None else {**facts, "threads": torch.get_num_threads()}


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model name where Linux tells it, else what Python knows."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def commit(root: Path = Path(__file__).parents[2]) -> str | None:
    """The git commit that gamsearch runs from, with `-dirty` after uncommitted changes; None outside a checkout."""
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command,
            env={**clean, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
