"""An Optuna storage that retries its calls while the server is unreachable."""

import time
from collections.abc import Callable
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from gamsearch.errors import RunError, one_line
from gamsearch.study import unreachable
from gamsearch.study.urls import masked

RETRY_S = 600.0
"""Seconds to keep retrying while a storage is unreachable."""
LONGEST_PAUSE_S = 5.0
"""Longest pause between two attempts, in seconds; pauses double from 0.4 s."""
UNREACHABLE = ("OperationalError", "InterfaceError", "DisconnectionError", "AdminShutdown", "PendingRollbackError")
"""Exceptions of SQLAlchemy and of the database drivers, by name since none of them need be installed."""
GRPC_UNREACHABLE = ("UNAVAILABLE", "UNKNOWN", "DEADLINE_EXCEEDED")


class RetryingStorage:
    """A storage that repeats failed calls for up to `retry_s` seconds while its server is unreachable.

    It has all public methods of `BaseStorage` and passes them to `storage`. `location` names it in error messages.
    """

    def __init__(self, storage: BaseStorage, location: str, retry_s: float = RETRY_S):
        self._storage, self._location, self._retry_s = storage, location, retry_s

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the storage; `RunError` once it has been unreachable for too long."""
        begun, retries, next_report = time.monotonic(), 0, 0.0
        while True:
            try:
                answer = getattr(self._storage, name)(*arguments, **named)
                if next_report:
                    unreachable.report_back(self._location)
                return answer
            except optuna.exceptions.UpdateFinishedTrialError:
                starting = any(value is TrialState.RUNNING for value in (*arguments, *named.values()))
                if retries and name == "set_trial_state_values" and not starting:
                    return True  # the first attempt took effect, only its reply was lost
                raise
            except Exception as error:
                if not _is_unreachable(error):
                    raise
                waited = time.monotonic() - begun
                if waited > self._retry_s:
                    raise RunError(
                        f"the storage {self._location} has not answered for {self._retry_s:.0f} s "
                        f"({masked(one_line(error))[:200]}); everything recorded is kept, so run the same command "
                        "again when it is back"
                    ) from error
                if retries and waited >= next_report:  # the first retry is silent: a reply may just have been lost
                    next_report = waited + unreachable.REPORT_S
                    unreachable.report(self._location, self._retry_s - waited)
            retries += 1
            time.sleep(min(0.2 * 2**retries, LONGEST_PAUSE_S))


def _retrying(name: str) -> Callable[..., Any]:
    """A method that calls the storage's method `name` with retries."""

    def call(self: RetryingStorage, *arguments: Any, **named: Any) -> Any:
        return self._call(name, *arguments, **named)

    return call


for _name, _value in vars(BaseStorage).items():
    if callable(_value) and not _name.startswith("_"):
        setattr(RetryingStorage, _name, _retrying(_name))
BaseStorage.register(RetryingStorage)


def _is_unreachable(error: BaseException | None) -> bool:
    """Whether an error or one of its causes says that the server is unreachable, not that the call was wrong."""
    while error is not None:
        if isinstance(error, (ConnectionError, TimeoutError)) or type(error).__name__ in UNREACHABLE:
            return True
        code = getattr(error, "code", None)
        if callable(code) and getattr(code(), "name", "") in GRPC_UNREACHABLE:
            return True
        error = error.__cause__ or error.__context__  # a session whose rollback failed too is the context
    return False
