"""What a search is to do, and what it tells while it does it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gamsearch.evaluation import TrialBudget
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING, StoppingSettings


class Progress(Protocol):
    """What a search tells while it runs; `gamsearch.runs.progress` shows it."""

    def started(self, number: int, label: str, used: float, search_budget: SearchBudget) -> None: ...
    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None: ...
    def ended(self, number: int, outcome: str, gain: float | None) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What a search is to do: the space, the budget of one trial, what it may use up, by which sampler.

    `noise_seeds` is the number of seeds at which the baseline control is measured (trial 0's included). `seed` is the
    sampler's; the budget's is that of the trainings.
    """

    space: SearchSpace
    trial_budget: TrialBudget
    search_budget: SearchBudget
    sampler: str = "auto"
    noise_seeds: int = 3
    stopping: StoppingSettings = field(default_factory=lambda: STOPPING["off"])
    seed: int = 0

    @property
    def trials(self) -> int:
        """About how many full trainings the allowance is worth; a large number where that is not known."""
        return self.search_budget.full_trainings(self.trial_budget.epochs)
