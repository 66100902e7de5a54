"""What a search is to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gamsearch.architecture import Architecture
from gamsearch.evaluation import TrialBudget
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.samplers import AUTO, sampler_named
from gamsearch.strategy.screening import Screening
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING, StoppingSettings

FEW_TRIALS = 20
"""A search of fewer trials pauses nothing: it would compare hardly any complete training with the baseline."""


@dataclass(frozen=True)
class Plan:
    """What a search is to do.

    Attributes:
        space: The architectures that may be proposed.
        trial_budget: What one evaluation may cost; its seed is that of the trainings.
        search_budget: What all evaluations together may cost.
        sampler: The name of a sampler, or `auto`.
        noise_seeds: Seeds at which the baseline is trained, trial 0's included.
        stopping: When trainings stop early.
        seed: The sampler's seed.
        screening: What shared networks said of the space; None without a screening.
        imported: Architectures of the user's files by the names of these; they are trained first, and to the end.
    """

    space: SearchSpace
    trial_budget: TrialBudget
    search_budget: SearchBudget
    sampler: str = AUTO
    noise_seeds: int = 3
    stopping: StoppingSettings = field(default_factory=lambda: STOPPING["off"])
    seed: int = 0
    screening: Screening | None = None
    imported: Mapping[str, Architecture] = field(default_factory=dict)

    @property
    def trials(self) -> int:
        """About how many full trainings the search budget allows; a large number if it is a time."""
        return self.search_budget.full_trainings(self.trial_budget.epochs)

    def trains_to_the_end(self, used: float, epochs: int) -> bool:
        """Whether a training is to reach its end whatever it measures.

        This holds where the search has `FEW_TRIALS`, unless its `stopping` pauses by rank, and for the training that
        uses up the last of the trials: paused, it could not be resumed.

        Args:
            used: How much of the search budget is used up before the training.
            epochs: Epochs that the training still needs.

        Returns:
            False where the search budget is no number of trials.
        """
        budget = self.search_budget
        if budget.unit != "trainings":
            return False
        last = used + epochs / self.trial_budget.epochs >= budget.amount
        return last or (budget.amount < FEW_TRIALS and not self.stopping.by_rank)

    def with_rungs(self) -> "Plan":
        """The same plan with its rungs; every epoch is validated only if something reads the curve."""
        rungs = self.stopping.rungs(self.trial_budget.epochs)
        curve = self.stopping.on or sampler_named(self.sampler, self.space).reads_curves
        return replace(self, trial_budget=replace(self.trial_budget, rungs=rungs, curve=curve))
