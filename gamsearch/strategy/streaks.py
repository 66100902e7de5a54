"""How many trials in a row were repeats, and how many were errors."""

from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState


@dataclass
class Streaks:
    """Counts of the latest trials of this worker.

    Attributes:
        repeats: Trials in a row that repeated a known architecture.
        errors: Trials in a row that ended with an unexpected exception.
        last_error: The reason of the last one of those.
    """

    repeats: int = 0
    errors: int = 0
    last_error: str = ""

    def count(self, trial: FrozenTrial) -> None:
        """Count a finished trial."""
        self.repeats = self.repeats + 1 if "recalled_from" in trial.user_attrs else 0
        if trial.state == TrialState.FAIL and "traceback" in trial.user_attrs:
            self.errors, self.last_error = self.errors + 1, trial.user_attrs.get("reason", "")
        else:
            self.errors = 0
