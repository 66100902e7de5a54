"""The other workers from the view of a search: their running trials, the trials of dead ones, and who claims what."""

import time

import optuna
from optuna.trial import FrozenTrial, TrialState

from gamsearch.study import recovery
from gamsearch.study.history import History
from gamsearch.study.single_worker import SingleWorker
from gamsearch.study.worker_entries import owner

SWEEP_S = 5.0
"""Seconds between two looks for dead workers."""
POLL_S = 0.01
"""Seconds between two looks at a trial with the same architecture."""


class TrialClaims:
    """What the worker of `registry` needs to share the trials of a study with the others."""

    def __init__(self, history: History, registry: SingleWorker):
        self.history, self.registry, self._swept = history, registry, time.monotonic()

    def busy(self) -> list[FrozenTrial]:
        """Update the history and return the running trials of other workers, unnoticed dead ones included."""
        running = (t for t in self.history.update().unfinished if t.state == TrialState.RUNNING)
        return [t for t in running if owner(t) != self.registry.id]

    def sweep(self) -> None:
        """Enqueue the trials of dead workers again, at most every `SWEEP_S` seconds."""
        if self.registry.id and time.monotonic() - self._swept > SWEEP_S:
            recovery.release_interrupted(self.history.study, self.registry)
            self._swept = time.monotonic()

    def claim(self, trial: optuna.Trial, key: str) -> int | None:
        """Claim an architecture; of two trials that claim it at the same time, the earlier one gets it.

        Both have written their key before they look, so at least one sees the other. The later one gives way. The
        earlier one waits until the later one has given way or, if that looked first, has claimed it. The history is
        updated.

        Args:
            trial: The trial, whose key is already recorded.
            key: Key of the architecture.

        Returns:
            None if the claim succeeded, or the number of the trial that has the architecture.
        """
        repeated = trial.user_attrs.get("retry_of")
        while True:
            exempt = (trial.number, repeated)  # a retry does not give way to the dead trial that it repeats
            rivals = [t for t in self.busy() if t.number not in exempt and t.user_attrs.get("key") == key]
            claimed = [t for t in rivals if t.number < trial.number or t.user_attrs.get("claimed")]
            if claimed:
                return claimed[0].number
            if not rivals:
                trial.set_user_attr("claimed", True)
                return None
            self.registry.wait()
            self.sweep()
