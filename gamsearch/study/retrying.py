"""An Optuna storage whose calls are repeated while it is unreachable, and whose errors are never a candidate's."""

import json
from collections.abc import Callable
from typing import Any

from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from gamsearch.errors import GamsearchError
from gamsearch.study.outage import RETRY_S, Outage, Patience


class RetryingStorage:
    """A storage that repeats failed calls for up to `retry_s` seconds while it is unreachable.

    It has all public methods of `BaseStorage` and passes them to `storage`. `location` names it in error messages. A
    call raises `GamsearchError`, or what Optuna documents for a wrong call.
    """

    def __init__(self, storage: BaseStorage, location: str, retry_s: float = RETRY_S):
        self._storage, self._patience = storage, Patience(location, retry_s)

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the storage; `RunError` if it cannot be used, or has been unreachable for too long."""
        outage = Outage(self._patience)
        while True:
            try:
                answer = getattr(self._storage, name)(*arguments, **named)
            except UpdateFinishedTrialError:
                starting = any(value is TrialState.RUNNING for value in (*arguments, *named.values()))
                if outage.attempts and name == "set_trial_state_values" and not starting:
                    return True  # the first attempt took effect, only its reply was lost
                raise
            except (GamsearchError, DuplicatedStudyError):
                raise
            except Exception as error:
                if _is_wrong(name, error, (*arguments, *named.values())):
                    raise
                outage.wait(error)
            else:
                outage.end()
                return answer


def _retrying(name: str) -> Callable[..., Any]:
    """A method that calls the storage's method `name` with retries."""

    def call(self: RetryingStorage, *arguments: Any, **named: Any) -> Any:
        return self._call(name, *arguments, **named)

    return call


for _name, _value in vars(BaseStorage).items():
    if callable(_value) and not _name.startswith("_"):
        setattr(RetryingStorage, _name, _retrying(_name))
BaseStorage.register(RetryingStorage)


def _is_wrong(name: str, error: Exception, values: tuple[Any, ...]) -> bool:
    """Whether the call was wrong, not the storage: an unknown name, or a value that JSON cannot hold."""
    if name == "get_study_id_from_name":
        return type(error) is KeyError
    return name.endswith("_attr") and isinstance(error, (TypeError, ValueError)) and not _writable(values)


def _writable(values: tuple[Any, ...]) -> bool:
    try:
        json.dumps(values)
    except (TypeError, ValueError):
        return False
    return True
