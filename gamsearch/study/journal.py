"""The study's journal on disk: every line survives the death of the process, every result a power failure."""

import json
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileSymlinkLock

from gamsearch.errors import RunError
from gamsearch.files import UnreadableError, check_regular
from gamsearch.signals import stop_request
from gamsearch.study.outage import Outage, Patience, is_temporary

LARGEST = 1 << 28
"""Bytes of a journal; 10,000 trials take a quarter of it."""
GRACE_S = 3
"""Seconds after which Optuna's own lock, which outlives a killed process, is broken."""
POLL_S = 0.002
"""Seconds between two attempts to take the kernel's lock."""


class Journal(JournalFileBackend):
    """Optuna's journal file for several processes that may die at any moment.

    It calls `fsync` only when a trial starts or ends or the study itself is written: a trial has some 25 lines, and
    syncing each of them takes three quarters of a search's time. The other lines go to the operating system at once,
    so a killed process loses none; a power failure can lose those of unfinished trials. Processes exclude each other
    with a lock that the kernel frees when its holder dies; Optuna's lock is also held, for the dashboard.
    """

    def __init__(self, path: Path):
        with suppress(FileNotFoundError):
            _check(path)
        self.path, self.patience = path, Patience(str(path))
        self.mutex = FileLock(path.with_name(".journal.lock"))
        self.lock = JournalFileSymlinkLock(str(path), grace_period=GRACE_S)
        self.lock._lock_target_file = path.name  # relative to the link: Optuna waits forever for a dangling one
        super().__init__(str(path), lock_obj=self.lock)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The operations from a number on; a file server that does not answer is waited for."""
        outage, number = Outage(self.patience), log_number_from
        while True:
            try:
                for log in super().read_logs(number):
                    yield log
                    number += 1
            except OSError as error:
                outage.wait(error)
            except ValueError as error:
                what = f"{self.path} is damaged in line {number + 1}; restore it or use a new --name"
                raise RunError(what) from error
            else:
                outage.end()
                return

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append one line per operation under the lock: all of them or, if the disk is full, none; never twice."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode("utf-8")
        outage, sync = Outage(self.patience), any(map(_needs_sync, logs))
        begun: list[int] = []
        while True:
            try:
                self._append(lines, sync, begun)
            except OSError as error:
                outage.wait(error)
            else:
                outage.end()
                return

    def _append(self, lines: bytes, sync: bool, begun: list[int]) -> None:
        """Append lines unless an attempt that failed, which began at the last of `begun`, wrote them all the same."""
        with self._locked(), self.path.open("rb+", buffering=0) as file:
            cut_torn_line(file)
            if not (begun and _holds(file, begun[-1], lines)):
                begun.append(file.seek(0, os.SEEK_END))
                try:
                    _write(file, lines)
                except OSError as error:
                    with suppress(OSError):  # what cannot be cut now is cut before the next line
                        file.truncate(begun[-1])
                    self._refuse_unwritable(error)
                    raise
            try:
                if sync:
                    os.fsync(file.fileno())
            except OSError as error:  # other processes may have read the lines already, so they stay
                self._refuse_unwritable(error)
                raise

    def repair(self) -> bool:
        """Cut a torn last line under the lock; return whether there was one."""
        with self._locked(), self.path.open("rb+", buffering=0) as file:
            return cut_torn_line(file)

    def _refuse_unwritable(self, error: OSError) -> None:
        """Say what to do about a failed write, unless it may pass by itself."""
        if not is_temporary(error):
            raise RunError(
                f"{self.path} cannot be written ({error.strerror}); make room on the disk, then run the same command "
                "again"
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold both locks."""
        with self.mutex.acquire(poll_interval=POLL_S):
            link = Path(f"{self.path}.lock")
            if link.is_symlink() and not link.exists():  # the folder was moved
                link.unlink(missing_ok=True)
            self.lock.acquire()
            try:
                with stop_request.deferred():
                    yield
            finally:
                with suppress(RuntimeError):  # another process considered this one dead and broke the lock
                    self.lock.release()


def _check(path: Path) -> None:
    """Refuse a device, a pipe or an endless file in place of a journal."""
    try:
        check_regular(path, LARGEST)
    except UnreadableError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: UnreadableError) -> RunError:
    """Say that a journal cannot be read.

    Args:
        path: The journal.
        error: Why not.

    Returns:
        The error to raise.
    """
    return RunError(f"{path} cannot be read: {error}; restore it or use a new --name")


class Snapshot(BaseJournalBackend):
    """A read-only journal as it was at one moment, with its `content`; a torn last line is left out."""

    def __init__(self, content: bytes):
        self.lines = [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The operations from a number on, oldest first; parsed one by one, since all of them take much memory."""
        return map(json.loads, self.lines[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse to write."""
        raise RunError("a record that was opened as read-only cannot be written")


def cut_torn_line(file: IO[bytes]) -> bool:
    """Cut a journal back to its last newline after a kill during a write; return whether it was cut.

    The caller must hold the journal's lock, or it could cut a line that another process is writing.
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
    """Write all of `content`: an unbuffered write may stop early, as on the last block of a full disk."""
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def _holds(file: IO[bytes], start: int, content: bytes) -> bool:
    """Whether a file holds `content` at byte `start`."""
    file.seek(start)
    return file.read(len(content)) == content


def _needs_sync(log: dict[str, Any]) -> bool:
    """Whether the operation starts or ends a trial, or sets an attribute of the study."""
    return "state" in log or ("study_id" in log and "user_attr" in log)
