"""The other workers as a search meets them: the trials they are at work on, those of dead ones, and who takes what."""

import time

import optuna
from optuna.trial import FrozenTrial, TrialState

from gamsearch.study import recovery, store
from gamsearch.study.workers import SingleWorker, owner

SWEEP_S = 5.0
"""So often a worker looks for dead ones."""


class TrialClaims:
    """The other workers of `study`, as the one that `registry` is of meets them."""

    def __init__(self, study: optuna.Study, registry: SingleWorker):
        self.study, self.registry, self._swept = study, registry, time.monotonic()

    def busy(self) -> list[FrozenTrial]:
        """The trials that other workers are at work on, dead ones that were not noticed yet among them."""
        return [t for t in store.trials(self.study, TrialState.RUNNING) if owner(t) != self.registry.own]

    def sweep(self) -> None:
        """From time to time take up what dead workers left."""
        if self.registry.own and time.monotonic() - self._swept > SWEEP_S:
            recovery.release_interrupted(self.study, self.registry)
            self._swept = time.monotonic()

    def claim(self, trial: optuna.Trial, key: str) -> int | None:
        """Take an architecture, or return the number of the trial that has it: of two at once, the earlier one.

        Both have written their key before they look, so at least one sees the other. The later one gives way; the
        earlier one waits until the later has given way or, if that looked first, has taken it.
        """
        repeated = store.trials(self.study)[trial.number].user_attrs.get("retry_of")
        while True:  # a trial does not give way to the dead one that it repeats
            own = (trial.number, repeated)
            twins = [t for t in self.busy() if t.number not in own and t.user_attrs.get("key") == key]
            taken = [t for t in twins if t.number < trial.number or t.user_attrs.get("claimed")]
            if taken:
                return taken[0].number
            if not twins:
                trial.set_user_attr("claimed", True)
                return None
            time.sleep(0.01)
            self.sweep()
