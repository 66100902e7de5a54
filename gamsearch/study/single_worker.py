"""The worker registry of a search that no other worker shares."""

from collections.abc import Iterator
from contextlib import contextmanager

from gamsearch.signals import stop_request

POLL_S = 0.3
"""Seconds that an idle worker sleeps between two looks."""


class SingleWorker:
    """The worker registry of a search without other workers.

    Attributes:
        id: ID of this worker; empty if it is the only one.
        leads: Whether this worker opens the study for the others.
        leaving: Whether this worker is to stop after its epoch.
    """

    id = ""
    leads = True
    leaving = False

    def alive(self, worker: str) -> bool:
        """Check whether a worker may still be alive.

        Args:
            worker: ID of the worker.

        Returns:
            Whether it may be alive; an unknown worker is not.
        """
        return False

    def others(self) -> list[str]:
        """Return the IDs of the other workers that may still be alive."""
        return []

    def tasks(self) -> set[str]:
        """Return the tasks besides trials that the others are working on."""
        return set()

    @contextmanager
    def working_on(self, task: str) -> Iterator[None]:
        """Publish a task besides trials while the context lasts.

        Args:
            task: Name of the task.

        Yields:
            None.
        """
        yield

    def wait(self) -> None:
        """Sleep for a moment while the others are working; end with `KeyboardInterrupt` if a signal asks for it."""
        stop_request.sleep(POLL_S)
