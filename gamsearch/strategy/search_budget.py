"""What a search may use up: a number of full trainings, of epochs, or of time."""

import re
from dataclasses import dataclass

from gamsearch.errors import OptionError

FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(h|hours?|min|minutes?|epochs?)")
MANY = 100_000
MOST = 10**6
"""Hours, minutes or epochs of a budget; more is a mistake."""


@dataclass(frozen=True)
class SearchBudget:
    """`amount` of `unit`: `trainings` (of the whole brief budget), `epochs`, or `hours` that trials took.

    The trial at work when it is used up is finished. Controls (the baseline, the confirmation) do not count.
    """

    amount: float
    unit: str = "trainings"

    @classmethod
    def parse(cls, text: str) -> "SearchBudget":
        """Read `--budget`: 3h, 90min or 200epochs."""
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
        """How much is used up after `epochs` of training, `each` to a full training, in trials that took `seconds`."""
        return {"trainings": epochs / each, "epochs": float(epochs), "hours": seconds / 3600}[self.unit]

    def full_trainings(self, each: int) -> int:
        """How many full trainings of `each` epochs it is worth; `MANY` for a time."""
        if self.unit == "hours":
            return MANY
        return max(1, int(self.amount if self.unit == "trainings" else self.amount // each))

    def state(self, used: float) -> str:
        """E.g. `12 of 40 trainings`, `0.4 of 3 hours`."""
        digits = 1 if self.unit == "hours" else 0
        return f"{used:.{digits}f} of {self.amount:g} {self.unit}"
