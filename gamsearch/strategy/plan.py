"""What a search is to do, and what it tells while it does it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gamsearch.evaluation import Budget
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.allowance import Allowance
from gamsearch.strategy.stopping import NAMED, Stopping


class Progress(Protocol):
    """What a search tells while it runs; `gamsearch.runs.progress` shows it."""

    def started(self, number: int, label: str, used: float, allowance: Allowance) -> None: ...
    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None: ...
    def ended(self, number: int, outcome: str, gain: float | None) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What a search is to do: the space, the budget of one trial, what it may use up, by which sampler.

    `noise_seeds` is the number of seeds at which the baseline control is measured (trial 0's included). `seed` is the
    sampler's; the budget's is that of the trainings.
    """

    space: SearchSpace
    budget: Budget
    allowance: Allowance
    sampler: str = "auto"
    noise_seeds: int = 3
    stopping: Stopping = field(default_factory=lambda: NAMED["off"])
    seed: int = 0

    @property
    def trials(self) -> int:
        """About how many full trainings the allowance is worth; a large number where that is not known."""
        return self.allowance.full_trainings(self.budget.epochs)
