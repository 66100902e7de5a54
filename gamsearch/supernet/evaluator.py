"""Evaluate architectures in a trained shared network: a validation each, no training."""

import time
from collections.abc import Mapping

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed
from gamsearch.evaluation import EpochReport, Measurement, TrialBudget
from gamsearch.supernet.trainer import TrainedNetwork
from gamsearch.training.costs import Costs
from gamsearch.training.evaluator import TrainingEvaluator


class SharedEvaluator:
    """Measure architectures with shared weights; their costs are predicted, those of the baseline measured.

    Figures of shared weights tell architectures apart. They are no results: what a search of them recommends is to be
    trained on its own.

    Args:
        network: The trained shared network.
        budget: The budget of its training.
        evaluator: Measures the baseline's costs and predicts the others'.
    """

    def __init__(self, network: TrainedNetwork, budget: TrialBudget, evaluator: TrainingEvaluator):
        self.network, self.budget = network, budget
        self.costs: Costs = evaluator.costs

    def evaluate(self, architecture: Architecture, budget: TrialBudget, report: EpochReport) -> Measurement:
        """Report the costs, then the metrics of the shared weights, as if after the last epoch.

        Args:
            architecture: What to measure.
            budget: Its epochs, which are not trained.
            report: Called before and after the measurement; what it raises passes through.

        Returns:
            All figures.

        Raises:
            CandidateFailed: The costs of the architecture cannot be predicted.
        """
        started = time.monotonic()
        built = self._costs(architecture)
        report(0, built)
        figures = self.network.measure(architecture, self.budget)
        report(budget.epochs, figures)
        seconds = round(time.monotonic() - started, 2)
        return Measurement(
            {**built, **figures}, [{"epoch": budget.epochs, **figures}], {"shared": True, "seconds": seconds}
        )

    def predict_costs(self, architecture: Architecture) -> Mapping[str, float] | None:
        """Predict the metrics that are known before training.

        Args:
            architecture: Any architecture of the space.

        Returns:
            Built metrics and `latency_ratio`; None where latency is not predicted.
        """
        return self.costs.predicted(architecture)

    def _costs(self, architecture: Architecture) -> dict[str, float]:
        if architecture.is_baseline:
            return self.costs.measured_baseline(self.budget.imgsz)
        predicted = self.costs.predicted(architecture)
        if predicted is None:
            raise CandidateFailed("error", f"the costs of {architecture.label} cannot be predicted")
        return dict(predicted)
