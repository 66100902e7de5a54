"""Several processes on one device: trainings share it, a latency measurement has it alone.

Two bytes of one file per user, machine and device are locked, the turnstile and the room. A training goes through the
turnstile and holds the room in common with others. A measurement shuts the turnstile, waits until the room is empty,
and has it; a training looks between two batches whether the turnstile is shut, and if so leaves until it opens. So a
measurement waits for one batch of each training, however many there are.

These are POSIX record locks: the kernel frees them when a process ends, however it ends, and a forked child, such as a
data loader's worker, inherits none. They belong to the process, so there is one `DeviceLock` for a device in each, and
nothing else may open its file: to close it would free them. Where there are none (Windows) measurements exclude one
another alone. Processes find each other by the temporary directory: they must have the same one.
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

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TURNSTILE, ROOM = 0, 1
"""The bytes that are locked; the file itself stays empty."""

_LOCKS: dict[tuple[int, Path], "DeviceLock"] = {}


def lock_of(device: torch.device) -> "DeviceLock":
    """This process's lock of the device; `RunError` if its file cannot be used."""
    place = os.getpid(), path_of(device)
    if place not in _LOCKS:
        _LOCKS[place] = DeviceLock(device, place[1])
    return _LOCKS[place]


def path_of(device: torch.device) -> Path:
    """Where the lock of a device is; a CUDA device goes by its UUID, since `CUDA_VISIBLE_DEVICES` renumbers them."""
    name = device.type
    if device.type == "cuda":
        name += f"-{getattr(torch.cuda.get_device_properties(device), 'uuid', device.index or 0)}"
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    plain = re.sub(r"[^\w.-]", "_", f"gamsearch-{user}-{platform.node()}-{name}.lock")
    return Path(tempfile.gettempdir()) / plain


class DeviceLock:
    """The lock of one device, as this process sees it: neither held, `shared` or `exclusive`."""

    def __init__(self, device: torch.device, path: Path):
        self.device, self.path = device, path
        self.shared = self.exclusive = False
        self._file = -1 if fcntl is None else _opened(path)

    def enter(self) -> None:
        """Share the device, once no measurement has it or waits for it; nothing if it is shared already."""
        assert not self.exclusive, "a measurement must not train"
        if not self.shared:
            self._lock(TURNSTILE, exclusive=False)
            self._unlock(TURNSTILE)
            self._lock(ROOM, exclusive=False)
            self.shared = True

    def leave(self) -> None:
        """Share the device no longer, if it was shared."""
        self._unlock(ROOM)
        self.shared = False

    def let_in(self) -> None:
        """Between two batches: if a measurement waits, finish what is queued, leave, and come back after it."""
        if not self.shared:
            return
        if self._lock(TURNSTILE, exclusive=False, wait=False):
            self._unlock(TURNSTILE)
            return
        devices.synchronize(self.device)
        self.leave()
        self.enter()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the device alone, once every training that shares it has come to the end of its batch."""
        assert not self.shared, "a training must not measure: it would not wait for itself"
        assert not self.exclusive, "a measurement must not begin another: its end would free the device"
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
        """Lock a byte of the file and return True; False if that is not possible at once and it was not to wait."""
        if fcntl is None:
            return True
        how = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.lockf(self._file, how, 1, byte)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: another process has it
            return False
        except OSError as error:
            raise _unusable(self.path, error.strerror) from error
        return True

    def _unlock(self, byte: int) -> None:
        if fcntl is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)


def _opened(path: Path) -> int:
    """A descriptor of the file, made if need be; `RunError` if it is not an ordinary file of this user's."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(path, error.strerror) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
        os.close(descriptor)
        raise _unusable(path, "not an ordinary file of yours")
    os.utime(descriptor)  # what clears old files away shall leave it
    return descriptor


def _unusable(path: Path, why: str | None) -> RunError:
    return RunError(f"{path}, by which runs share a device, cannot be used ({why}); delete it, or set TMPDIR elsewhere")
