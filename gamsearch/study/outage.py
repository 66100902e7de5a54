"""A storage that does not answer: which errors pass by themselves, how long they are waited for, what others become.

Every call of a storage goes through `Outage`. It turns each error of a server, a driver or a disk into a `RunError`,
so that none of them can be taken for the failure of a candidate.
"""

import errno
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from gamsearch.errors import RunError, one_line
from gamsearch.signals import stop_request
from gamsearch.study import unreachable
from gamsearch.study.urls import masked

RETRY_S = 600.0
"""Seconds to keep retrying while a storage is unreachable."""
LONGEST_PAUSE_S = 5.0
"""Longest pause between two attempts, in seconds; pauses double from 0.4 s."""
TEMPORARY = (
    "OperationalError",
    "InterfaceError",
    "DisconnectionError",
    "AdminShutdown",
    "CrashShutdown",
    "PendingRollbackError",
    "ResourceClosedError",
    "InFailedSqlTransaction",
    "IdleInTransactionSessionTimeout",
    "ReadOnlySqlTransaction",  # of a standby that takes over
    "TimeoutError",  # SQLAlchemy's own, while all connections of its pool are in use
)
"""Exceptions of SQLAlchemy and of the database drivers, by name since none of them need be installed."""
GRPC_TEMPORARY = (
    "UNAVAILABLE",
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "CANCELLED",
    "ABORTED",
    "INTERNAL",
    "RESOURCE_EXHAUSTED",
)
ERRNO_TEMPORARY = tuple(
    getattr(errno, name)
    for name in (
        *("ESTALE", "EIO", "EREMOTEIO", "ENOLCK", "EAGAIN", "EBUSY", "EINTR", "ETIMEDOUT", "ENOTCONN", "EHOSTDOWN"),
        *("EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENETRESET", "ENOBUFS"),
    )
    if hasattr(errno, name)
)
"""What the operating system reports while a file server restarts; not every system has them all."""
LONGEST_CHAIN = 20
"""Causes of an error that are looked at."""
PERMANENT = re.compile(
    "no such table|does not exist|readonly database|not a database|malformed|unable to open database file|"
    "authentication failed|no pg_hba.conf entry|access denied|unknown database|cannot be used",
    re.IGNORECASE,
)
"""Texts of errors with a temporary name that no waiting mends."""


class StorageUnreachable(RunError):
    """The storage did not answer; it may do so later."""


@dataclass
class Patience:
    """How long calls of one storage are repeated.

    Attributes:
        location: The storage, without a password.
        retry_s: Seconds for which a call is repeated.
        exhausted: Whether a call was given up; those that follow are tried once, until one succeeds.
    """

    location: str
    retry_s: float = RETRY_S
    exhausted: bool = False


class Outage:
    """The failed attempts of one call."""

    def __init__(self, patience: Patience):
        self.patience, self.attempts = patience, 0
        self._begun: float | None = None
        self._next_report = 0.0

    def wait(self, error: Exception) -> None:
        """Pause before the next attempt.

        Args:
            error: What the last attempt raised.

        Raises:
            StorageUnreachable: The storage has been unreachable for too long.
            RunError: The error does not pass by itself.
        """
        patience, text = self.patience, masked(_cause(error))[:200]
        if not is_temporary(error):
            raise RunError(
                f"the storage {patience.location} cannot be used ({text}); everything recorded is kept, so fix that, "
                "then run the same command again"
            ) from error
        now = time.monotonic()
        self._begun = now if self._begun is None else self._begun  # not the call's: the machine may have slept in it
        waited = now - self._begun
        if waited > patience.retry_s or patience.exhausted:
            patience.exhausted = True
            raise StorageUnreachable(
                f"the storage {patience.location} has not answered for {patience.retry_s:.0f} s ({text}); everything "
                "recorded is kept, so run the same command again when it is back"
            ) from error
        if self.attempts and waited >= self._next_report:  # the first retry is silent: a reply may just have been lost
            self._next_report = waited + unreachable.REPORT_S
            unreachable.report(patience.location, patience.retry_s - waited)
        self.attempts += 1
        try:
            stop_request.sleep(min(0.2 * 2**self.attempts, LONGEST_PAUSE_S))
        except BaseException:  # the user stops the command, which must not wait again to write its end
            patience.exhausted = True
            raise

    def end(self) -> None:
        """Note that the storage answers."""
        self.patience.exhausted = False
        if self._next_report:
            unreachable.report_back(self.patience.location)


def is_temporary(error: BaseException) -> bool:
    """Check whether an error may pass by itself.

    Args:
        error: What a storage raised.

    Returns:
        Whether it or one of its causes says that the storage is unreachable or busy.
    """
    chain = list(_chain(error))
    said = [str(one) for one in chain if not hasattr(one, "statement")]  # which SQLAlchemy quotes, with its values
    return any(map(_temporary, chain)) and not any(map(PERMANENT.search, said))


def _temporary(error: BaseException) -> bool:
    if isinstance(error, (ConnectionError, TimeoutError)) or type(error).__name__ in TEMPORARY:
        return True
    if isinstance(error, OSError):
        return error.errno in ERRNO_TEMPORARY
    code = getattr(error, "code", None)
    if callable(code) and getattr(code(), "name", "") in GRPC_TEMPORARY:
        return True
    return getattr(error, "connection_invalidated", False) is True  # SQLAlchemy has dropped the connection


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it followed from; a session whose rollback failed as well is only the context."""
    for _ in range(LONGEST_CHAIN):  # a chain may be a circle
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _cause(error: BaseException) -> str:
    """The driver's own error, since Optuna wraps it in a guess of its own and SQLAlchemy quotes the statement."""
    for _ in range(LONGEST_CHAIN):
        error = error.__cause__ or error
    details = getattr(error, "details", None)  # of gRPC
    return one_line(f"{type(error).__name__}: {details() if callable(details) else error}")
