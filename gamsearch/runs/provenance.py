"""Where a run came from: command line, versions, machine, and the commit of a checkout. No torch."""

import os
import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    *("ultralytics", "torch", "torchvision", "optuna", "numpy", "scipy", "scikit-learn", "pandas", "moocore"),
    *("opencv-python", "opencv-python-headless", "pillow", "onnxruntime"),
)
"""Packages that results may depend on; those not installed are left out."""
RECORDED = ("gamsearch", "python", "ultralytics", "torch", "optuna", "numpy")
"""Packages whose versions are recorded with the settings and must agree among workers; the manifest lists all."""

GIT_SECONDS = 10


def command_line() -> str:
    """Return the command as the user typed it."""
    return "python -m gamsearch " + shlex.join(sys.argv[1:])


def versions() -> dict[str, str]:
    """Return the versions of gamsearch, Python and the installed packages among `PACKAGES`."""
    from gamsearch import __version__

    found = {"gamsearch": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def recorded_versions() -> dict[str, str]:
    """Return the versions that are recorded with a run's settings."""
    found = versions()
    return {name: found[name] for name in RECORDED if name in found}


def machine() -> dict[str, str | int]:
    """Return operating system, processor, number of cores, and PyTorch's threads if it is loaded."""
    facts: dict[str, str | int] = {"os": platform.platform(), "cpu": processor(), "cores": os.cpu_count() or 1}
    torch = sys.modules.get("torch")
    return facts if torch is None else {**facts, "threads": torch.get_num_threads()}


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's model name on Linux, and what `platform` reports elsewhere."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def commit(root: Path = Path(__file__).parents[2]) -> str | None:
    """Return the git commit of the checkout, with `-dirty` if it has uncommitted changes; None outside a checkout."""
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
