"""Share one device among processes: trainings hold it together, a latency measurement holds it alone.

One file per user, machine and device has two lockable bytes, the turnstile and the room. A training passes through the
turnstile and holds the room as a shared lock. A measurement locks the turnstile, waits until the room is empty, and
locks it exclusively; between batches each training checks the turnstile and, if it is locked, leaves the room until it
opens. So a measurement waits for one batch of each training, however many there are.

These are POSIX record locks: the kernel releases them when a process ends for any reason, and forked children, such as
data-loader workers, do not inherit them. They belong to the process, so each process has one `DeviceLock` per device,
and nothing else may open its file: closing it would release the locks. Where they do not exist (Windows), measurements
exclude only one another. Processes find each other through the temporary directory, which must be the same for all.
"""

import getpass
import os
import platform
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock

from gamsearch.errors import RunError
from gamsearch.models import device as devices
from gamsearch.signals import stop_request

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TURNSTILE, ROOM = 0, 1
"""The bytes that are locked; the file itself stays empty."""

_LOCKS: dict[tuple[int, Path], "DeviceLock"] = {}


def lock_of(device: torch.device) -> "DeviceLock":
    """Get this process's lock of a device.

    Args:
        device: The device.

    Returns:
        The same object in each call.

    Raises:
        RunError: The lock's file cannot be used.
    """
    key = os.getpid(), path_of(device)
    if key not in _LOCKS:
        _LOCKS[key] = DeviceLock(device, key[1])
    return _LOCKS[key]


def path_of(device: torch.device) -> Path:
    """The lock file of a device; its name has a CUDA device's UUID, since `CUDA_VISIBLE_DEVICES` renumbers devices."""
    name = device.type
    if device.type == "cuda":
        name += f"-{getattr(torch.cuda.get_device_properties(device), 'uuid', device.index or 0)}"
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    plain = re.sub(r"[^\w.-]", "_", f"gamsearch-{user}-{platform.node()}-{name}.lock")
    return Path(tempfile.gettempdir()) / plain


class DeviceLock:
    """One device's lock in this process: free, `shared` or `exclusive`."""

    def __init__(self, device: torch.device, path: Path):
        self.device, self.path = device, path
        self.shared = self.exclusive = False
        self._file = -1 if fcntl is None else _opened(path)

    def enter(self) -> None:
        """Share the device as soon as no measurement holds it or waits for it; a no-op if it is shared already."""
        assert not self.exclusive, "a measurement must not train"
        if not self.shared:
            self._lock(TURNSTILE, exclusive=False)
            self._unlock(TURNSTILE)
            self._lock(ROOM, exclusive=False)
            self.shared = True

    def leave(self) -> None:
        """Stop sharing the device; a no-op if it is not shared."""
        self._unlock(ROOM)
        self.shared = False

    def yield_to_measurement(self) -> None:
        """Between two batches: if a measurement is waiting, finish queued work, leave, and enter again after it.

        Raises:
            KeyboardInterrupt: A signal has asked this process to stop.
        """
        stop_request.check()
        if not self.shared:
            return
        if self._lock(TURNSTILE, exclusive=False, wait=False):
            self._unlock(TURNSTILE)
            return
        devices.synchronize(self.device)
        self.leave()
        self.enter()

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Hold the device alone, as soon as every training that shares it has finished its batch."""
        assert not self.shared, "a training must not measure: it would not wait for itself"
        assert not self.exclusive, "a measurement must not start another: its end would release the device"
        if fcntl is None:
            with FileLock(self.path):
                yield
            return
        try:
            self._lock(TURNSTILE, exclusive=True)
            self._lock(ROOM, exclusive=True)
            self.exclusive = True
            yield
        finally:
            self.exclusive = False
            self._unlock(ROOM)
            self._unlock(TURNSTILE)

    def _lock(self, byte: int, exclusive: bool, wait: bool = True) -> bool:
        """Lock a byte of the file and return True, or False if that would have to wait and `wait` is False."""
        if fcntl is None:
            return True
        how = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.lockf(self._file, how, 1, byte)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: another process holds it
            return False
        except OSError as error:
            raise _unusable(self.path, error.strerror) from error
        return True

    def _unlock(self, byte: int) -> None:
        if fcntl is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)


def _opened(path: Path) -> int:
    """Open the file, creating it if it is missing; `RunError` if it is not a regular file of this user."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(path, error.strerror) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
        os.close(descriptor)
        raise _unusable(path, "not a regular file of yours")
    os.utime(descriptor)  # keeps cleaners of old temporary files away from it
    return descriptor


def _unusable(path: Path, why: str | None) -> RunError:
    return RunError(f"{path}, the lock of a device, cannot be used ({why}); delete it, or set TMPDIR to another folder")
