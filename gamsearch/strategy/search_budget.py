"""What a search may cost: a number of full trainings, of epochs, or of hours."""

import re
from dataclasses import dataclass

from gamsearch.errors import OptionError

FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(h|hours?|min|minutes?|epochs?)")
MANY = 100_000
"""Trainings that stand for a search whose budget is a time."""
MOST = 10**6
"""Hours, minutes or epochs of a budget; more is a mistake."""


@dataclass(frozen=True)
class SearchBudget:
    """What a search may cost. The trial that is running when it is used up is finished; controls do not count.

    Attributes:
        amount: How much of `unit`.
        unit: `trainings` (full short trainings), `epochs`, or `hours` that trials took.
    """

    amount: float
    unit: str = "trainings"

    @classmethod
    def parse(cls, text: str) -> "SearchBudget":
        """Parse `--budget`.

        Args:
            text: E.g. `3h`, `90min` or `200epochs`.

        Returns:
            The budget, in hours or epochs.

        Raises:
            OptionError: The text is neither a time nor a number of epochs.
        """
        match = FORM.fullmatch(text.strip().lower())
        if match is None or not 0 < float(match[1]) <= MOST:
            raise OptionError(
                f"--budget must be a time or a number of epochs such as 3h, 90min or 200epochs, not '{text[:80]}'"
            )
        amount, unit = float(match[1]), match[2]
        if unit.startswith("epoch"):
            return cls(amount, "epochs")
        return cls(amount / 60 if unit.startswith("min") else amount, "hours")

    def used(self, epochs: int, each: int, seconds: float) -> float:
        """Convert what trials cost into the unit of the budget.

        Args:
            epochs: Epochs of training so far.
            each: Epochs of a full training.
            seconds: Seconds that the trials took.

        Returns:
            How much is used up.
        """
        return {"trainings": epochs / each, "epochs": float(epochs), "hours": seconds / 3600}[self.unit]

    def full_trainings(self, each: int) -> int:
        """Estimate how many full trainings the budget allows.

        Args:
            each: Epochs of a full training.

        Returns:
            At least 1; `MANY` for a time.
        """
        if self.unit == "hours":
            return MANY
        return max(1, int(self.amount if self.unit == "trainings" else self.amount // each))

    def __str__(self) -> str:
        """E.g. `40 full trainings`, `1 epoch` or `3 hours`."""
        unit = "full trainings" if self.unit == "trainings" else self.unit
        return f"{self.amount:g} {unit.removesuffix('s') if self.amount == 1 else unit}"

    def state(self, used: float) -> str:
        """Say how much is used up.

        Args:
            used: In the unit of the budget.

        Returns:
            E.g. `12.4 of 40 full trainings`, `60 of 200 epochs` or `0.4 of 3 hours`.
        """
        digits = 0 if self.unit == "epochs" or used == int(used) else 1
        return f"{used:.{digits}f} of {self}"
