"""Interpreters in which gamsearch is not installed."""

import subprocess
import sys
from pathlib import Path

HIDE = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in ("gamsearch", "plugged") else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""


def run_hidden(folder: Path, code: str, **environment: str) -> str:
    """Run code in `folder` in an interpreter that does not find gamsearch; return its output, fail if it fails."""
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", f"{HIDE}\nsys.path.insert(0, {str(folder)!r})\n{code}"],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
        env={"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "1", "OMP_NUM_THREADS": "1", **environment},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.strip()
