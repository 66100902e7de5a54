"""The study's journal on disk: every line survives the death of the process, every result that of the machine."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from gamsearch.errors import RunError

GRACE_S = 3
"""After so long Optuna's own lock, which outlives a killed process, is broken."""
POLL_S = 0.002


class Journal(JournalFileBackend):
    """Optuna's journal file for several processes that can die at any moment.

    It waits for the disk only where a trial ends or the study itself is written: a trial has some 25 lines, and waiting
    for each of them is three quarters of what a search costs. The others are handed to the operating system at once,
    so a killed process loses none; a power failure can lose those of trials that had not ended. Processes exclude each
    other by a lock that the kernel frees when its holder dies; Optuna's lock is held as well, for the dashboard's sake.
    """

    def __init__(self, path: Path):
        self.path = path
        self.mutex = FileLock(path.with_name(".journal.lock"))
        self.lock = JournalFileSymlinkLock(str(path), grace_period=GRACE_S)
        self.lock._lock_target_file = path.name  # as seen from the link: Optuna waits for ever for one that dangles
        super().__init__(str(path), lock_obj=self.lock)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append one line per operation while no other process does; all of them or, on a full disk, none."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self._alone(), self.path.open("rb+", buffering=0) as file:
            cut_torn_line(file)
            end = file.seek(0, os.SEEK_END)
            try:
                _write(file, lines.encode("utf-8"))
            except OSError as error:
                file.truncate(end)
                raise self._unwritable(error) from error
            try:
                if any(map(_decisive, logs)):
                    os.fsync(file.fileno())
            except OSError as error:  # others may have read the lines already, so they stay
                raise self._unwritable(error) from error

    def repair(self) -> bool:
        """Cut a torn last line while no other process writes; return whether there was one."""
        with self._alone(), self.path.open("rb+", buffering=0) as file:
            return cut_torn_line(file)

    def _unwritable(self, error: OSError) -> RunError:
        return RunError(
            f"{self.path} cannot be written ({error.strerror}); make room on the disk, then the same command goes on"
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.mutex.acquire(poll_interval=POLL_S):
            link = Path(f"{self.path}.lock")
            if link.is_symlink() and not link.exists():  # of a folder that was moved
                link.unlink(missing_ok=True)
            self.lock.acquire()
            try:
                yield
            finally:
                with suppress(RuntimeError):  # somebody took us for dead and broke it
                    self.lock.release()


def cut_torn_line(file: IO[bytes]) -> bool:
    """Cut a journal back to its last newline after a kill in the middle of a write; return whether it was cut.

    Only for who holds the journal's lock: a reader could cut what a writer is writing.
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return False
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return False
    file.seek(0)
    file.truncate((file.read() or b"").rfind(b"\n") + 1)
    return True


def _write(file: IO[bytes], content: bytes) -> None:
    """Write all of it: an unbuffered write may stop early, as before the last block of a full disk."""
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def _decisive(log: dict[str, Any]) -> bool:
    """Whether the operation ends or begins a trial, or sets an attribute of the study."""
    return "state" in log or ("study_id" in log and "user_attr" in log)
