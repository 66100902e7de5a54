"""Links in a run's folder, by which a folder from elsewhere could have files written outside of it."""

from collections.abc import Iterator
from pathlib import Path

from gamsearch.errors import RunError

WRITTEN = ("baseline", "export", "paused", "space", "verify", "weights", "workers")
"""The subfolders that gamsearch writes into."""


def refuse_links(folder: Path) -> None:
    """Raise `RunError` if something that gamsearch may write in `folder` is a link that leads out of it."""
    home = folder.resolve()
    for path in _entries(folder):
        if path.is_symlink() and not path.resolve().is_relative_to(home):
            raise RunError(f"{path} is a link out of the run's folder, which gamsearch does not follow; remove it")


def _entries(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    yield from folder.iterdir()
    for name in WRITTEN:
        below = folder / name
        if below.is_dir() and not below.is_symlink():
            yield from below.rglob("*")
