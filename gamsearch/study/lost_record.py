"""Say in one sentence what happened where the record of a run is taken away or damaged while the run works.

Optuna then raises whatever its code stumbles over (`KeyError`, `UnboundLocalError`, `AssertionError`), at any place.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gamsearch.errors import GamsearchError, RunError
from gamsearch.signals import stop_request
from gamsearch.study import store
from gamsearch.study.outage import StorageUnreachable
from gamsearch.study.storages import JOURNAL, Address

SETTLE_S = 1.0


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Raise what really ended the block: the loss of the record, or the first cause that Optuna's own error hides.

    Args:
        folder: The folder of a run whose study exists.

    Yields:
        None.

    Raises:
        RunError: The record is gone or damaged.
    """
    address = Address.of(folder)
    try:
        yield
    except Exception as error:
        cause = _cause(error)
        if not isinstance(cause, (KeyboardInterrupt, StorageUnreachable)) and (reason := _loss(address)):
            raise RunError(reason) from error
        if cause is None or cause is error:
            raise
        raise cause from error


def _cause(error: BaseException) -> BaseException | None:
    """Find what is for the user, the error itself or one that it hides: a request to stop, or a sentence."""
    known: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in known:
        if isinstance(cause, (KeyboardInterrupt, GamsearchError)):
            return cause
        known.append(cause)
        cause = cause.__cause__ or cause.__context__
    return None


def _loss(address: Address) -> str:
    """Say why the study cannot be used any more; empty if it can."""
    gone = address.folder if address.url or not address.folder.is_dir() else address.folder / JOURNAL
    if not gone.exists():
        return (
            f"{gone} is no longer there: it was moved or deleted while it was in use; put it back, then the same "
            "command resumes"
        )
    if address.url:  # a deletion fails our calls a moment before it is done
        stop_request.sleep(SETTLE_S)
    try:
        store.load(address.folder)
    except RunError as error:
        with suppress(RunError):
            if address.url and not address.exists():
                return (
                    f"the study '{address.study}' is no longer in {address.location}: it was deleted while it was in "
                    "use; restore the database, or give another --name"
                )
        return str(error)
    return ""
