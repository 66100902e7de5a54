"""A start-up file that lets the stock `yolo` command of one environment know the attention modules.

Python runs the import line of a `.pth` file in site-packages whenever it starts. The line here only waits for
Ultralytics: whichever program imports it, gamsearch is imported first, which registers the modules.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from gamsearch.errors import RunError

FILE = "gamsearch_hook.pth"

FINDER = """
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "ultralytics":
            sys.meta_path.remove(Finder)
            try:
                import gamsearch
            except ImportError:
                print("gamsearch_hook.pth: gamsearch cannot be imported, so its modules are unknown", file=sys.stderr)
sys.meta_path.insert(0, Finder)
"""

CONTENT = (
    "# Lets Ultralytics know gamsearch's modules. Written by `gamsearch install-hook`, removed with --remove.\n"
    f"import sys; exec({FINDER!r}, {{'sys': sys}})\n"
)


def site_packages() -> Path:
    """The folder into which `pip install` puts packages for the Python that is running."""
    return Path(sysconfig.get_path("purelib"))


def install(folder: Path | None = None) -> str:
    """Write the start-up file; an existing one is renewed.

    Args:
        folder: The environment's site-packages; those of the Python that is running if left out.

    Returns:
        What was done and how to undo it, in one line.

    Raises:
        RunError: gamsearch is not installed in this environment, or the folder cannot be written to.
    """
    folder = folder or site_packages()
    _check_installed(folder)
    partial = folder / f"{FILE}.partial"  # Python reads files that end in .pth only
    try:
        partial.write_text(CONTENT, encoding="utf-8")
        partial.replace(folder / FILE)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return f"wrote {folder / FILE}: `yolo` now knows gamsearch's modules; undo with `gamsearch install-hook --remove`"


def remove(folder: Path | None = None) -> str:
    """Delete the start-up file.

    Args:
        folder: The environment's site-packages; those of the Python that is running if left out.

    Returns:
        What was done, in one line.

    Raises:
        RunError: The folder cannot be written to.
    """
    file = (folder or site_packages()) / FILE
    try:
        file.unlink()
    except FileNotFoundError:
        return f"there is no {file}, so no hook is installed in this environment"
    except OSError as error:
        raise _cannot_write(file.parent, error) from error
    return f"removed {file}"


def _check_installed(folder: Path) -> None:
    """Refuse where gamsearch is only found through the present folder or PYTHONPATH, as `yolo` would not find it."""
    code = "import importlib.util as u, sys; sys.exit(u.find_spec('gamsearch') is None)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    place = folder if folder.is_dir() else Path(os.sep)
    if subprocess.run([sys.executable, "-c", code], cwd=place, env=environment, check=False).returncode:
        raise RunError(
            "gamsearch is not installed in this environment, so the hook would not find it; install it first "
            "(`pip install .` in its folder)"
        )


def _cannot_write(folder: Path, error: OSError) -> RunError:
    return RunError(
        f"{folder} cannot be written to ({error.strerror}); use a virtual environment that is yours, or put "
        "`import gamsearch` before `from ultralytics import YOLO` in your script"
    )
