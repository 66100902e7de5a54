"""A journal as it was at one moment, for whoever only reads: no lock, no repair, no write."""

from collections.abc import Iterable, Sequence
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from gamsearch.errors import RunError


class Snapshot(BaseJournalBackend):
    """Optuna's view of the operations in `logs`, oldest first."""

    def __init__(self, logs: Sequence[dict[str, Any]]):
        self.logs = logs

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise RunError("a record that was opened for reading alone cannot be written")
