"""One handler for the signals that ask a command to stop: Ctrl-C (SIGINT), SIGTERM and SIGHUP.

The first signal sets a flag and raises `StopRequested` where that is safe, which `deferred` and `allowed` say. A
library may swallow the exception, and Python does so in a destructor; so the flag is asked after every batch, between
trials and before the end. A second signal ends the process at once. What it leaves behind is what `kill -9` leaves: the
kernel releases its locks, and the next start repairs the rest.

Little is imported here, so that the handler is there a few milliseconds after Python.
"""

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPPED = 130
"""The exit code of a command that was stopped (128 + SIGINT)."""
SENTENCE = "gamsearch: stopped; everything recorded is kept, the same command resumes the run"
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
SHOW_CURSOR = b"\x1b[?25h"


class StopRequested(KeyboardInterrupt):
    """A signal asked for the end, and the exit code is ours.

    Python kills itself at its end if a plain `KeyboardInterrupt` ever passed through `exec`, which dataclasses call.
    """


class _State:
    """What this process was asked, and what it does with the next signal."""

    pid = 0
    """The process that the handler belongs to; 0 while it is not installed. Forked children inherit the handler."""
    ends_process = False
    """Whether a second signal ends the process; False where the Python interface is used in somebody's program."""
    requested = False
    deferred = False
    on_sigterm: Callable[[], None] | None = None
    exit_code: int | None = None
    """The exit code of a command that has ended, while Python shuts down."""


def is_command() -> bool:
    """Return whether this process is `python -m gamsearch` or the script `gamsearch`, from its first import on."""
    module = sys.argv[:1] == ["-m"] and "gamsearch" in sys.orig_argv
    return module or os.path.basename(sys.argv[0] if sys.argv else "") in ("gamsearch", "gamsearch.exe")


def install() -> None:
    """Handle the signals until this process ends; they only set the flag until `allowed`.

    SIGHUP stays ignored where it is (`nohup`). SIGINT does not: a shell script that starts a command in the background
    has it ignored, and nobody could stop the command then.
    """
    if _State.pid:
        return
    _State.pid, _State.ends_process, _State.deferred = os.getpid(), True, True
    for number in SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)
    atexit.register(_ignore)  # first registered, last called
    sys.unraisablehook = _quiet(sys.unraisablehook)
    threading.excepthook = _quiet(threading.excepthook)


def _ignore() -> None:
    """Ignore the signals while Python takes its handlers away."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _quiet(report: Callable[..., object]) -> Callable[..., None]:
    """Report no exception of a destructor, a callback or a thread once a stop was requested, which may be its cause."""

    def hook(*event: object) -> None:
        if not _State.requested:
            report(*event)

    return hook


def _handle(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _State.pid:
        os._exit(STOPPED)
    if _State.exit_code is not None:
        os._exit(_State.exit_code)
    if number == signal.SIGTERM and _State.on_sigterm is not None:
        leave, _State.on_sigterm = _State.on_sigterm, None
        leave()
        return
    if _State.requested and _State.ends_process:
        _end()
    _State.requested = True
    if not _State.deferred:
        raise StopRequested


def _end() -> None:
    """End the process without cleaning up; a live view has hidden the cursor of the terminal."""
    with suppress(OSError):
        if os.isatty(1):
            os.write(1, SHOW_CURSOR)
    with suppress(OSError):
        os.write(2, f"{SENTENCE}\n".encode())
    os._exit(STOPPED)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def was_requested() -> bool:
    """Return whether a signal has asked this process to stop."""
    return _State.requested


def check() -> None:
    """Raise `StopRequested` if a signal has asked this process to stop; other threads end with the main one."""
    if _State.requested and _in_main_thread():
        raise StopRequested


def sleep(seconds: float) -> None:
    """Sleep, then raise `StopRequested` if a signal has asked this process to stop.

    Args:
        seconds: How long; at most a few seconds, since a signal need not end the sleep.
    """
    time.sleep(seconds)
    check()


@contextmanager
def deferred() -> Iterator[None]:
    """Let a signal only set the flag within the block, such as a write to the record; raise at its end."""
    if not _in_main_thread():  # which no signal interrupts
        yield
        return
    before, _State.deferred = _State.deferred, True
    try:
        yield
    finally:
        _State.deferred = before
    if not before:
        check()


@contextmanager
def allowed() -> Iterator[None]:
    """Let a signal raise within the block, which takes long, although a block around it defers signals."""
    if not _in_main_thread():
        yield
        return
    before, _State.deferred = _State.deferred, False
    try:
        check()
        yield
    finally:
        _State.deferred = before


@contextmanager
def precedence() -> Iterator[None]:
    """Raise `StopRequested` instead of any other exception of the block once a stop was requested.

    A library that is interrupted may raise something else, which would be taken for the failure of a candidate.
    """
    try:
        yield
    except BaseException as error:
        if _State.requested and not isinstance(error, StopRequested):
            raise StopRequested from error
        raise


@contextmanager
def sigterm_calls(leave: Callable[[], None]) -> Iterator[None]:
    """Call `leave` on the first SIGTERM within the block instead of stopping; a second one stops."""
    _State.on_sigterm = leave
    try:
        yield
    finally:
        _State.on_sigterm = None


@contextmanager
def handled() -> Iterator[None]:
    """Handle the signals within the block where a program calls the Python interface; its own handlers stay.

    A second signal raises again, since the process is not ours to end. Outside the main thread signals are the
    program's.
    """
    if _State.pid or not _in_main_thread():
        yield
        return
    plain = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    _State.pid, _State.ends_process, _State.requested, _State.deferred = os.getpid(), False, False, False
    try:
        for number in before:
            if before[number] in plain:
                signal.signal(number, _handle)
        yield
    finally:
        for number in before:
            if before[number] in plain:
                signal.signal(number, before[number])
        _State.pid, _State.requested = 0, False


def report() -> int:
    """Say that the command was stopped.

    Returns:
        The exit code.
    """
    for stream, text in ((sys.stdout, ""), (sys.stderr, f"{SENTENCE}\n")):
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):  # a terminal or pipe that was closed; Python would fail on it again as it ends
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return STOPPED


def finish(code: int) -> None:
    """Let no signal disturb the end of a command.

    Args:
        code: Its exit code, with which a further signal ends the process at once.
    """
    _State.exit_code = code
