"""A start that fails leaves no file and no folder that was not there before. No torch."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gamsearch.runs.folder_lock import FILE, LOCK
from gamsearch.study.storages import FILE as STORAGE

WRITTEN = (FILE, STORAGE, "data", "space", LOCK)
"""What a start writes into a run's folder before the study exists; the lock is removed last."""


class NewFiles:
    """What a start adds to a run's folder.

    Args:
        folder: The run's folder, before anything is written.
    """

    def __init__(self, folder: Path):
        self.new_folders = [path for path in (folder, *folder.parents) if not path.exists()]
        self.new_files = [folder / name for name in WRITTEN if not (folder / name).exists()]
        self.lock = FileLock(folder / LOCK)
        self.kept = False

    def keep(self) -> None:
        """Keep them from here on, because the run has its study."""
        self.kept = True

    @contextmanager
    def removed_on_failure(self) -> Iterator[None]:
        """Remove them when the block raises, unless they are kept or another process works in the folder."""
        try:
            yield
        except BaseException:
            if not self.kept and self._is_free():
                self._remove()
            raise

    def _is_free(self) -> bool:
        path = Path(self.lock.lock_file)
        if not path.exists():
            return path.parent.exists()
        try:
            with self.lock.acquire(timeout=0):
                return True
        except (Timeout, OSError):
            return False

    def _remove(self) -> None:
        for path in self.new_files:
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for path in self.new_folders:
            with suppress(OSError):  # somebody else uses it
                path.rmdir()
