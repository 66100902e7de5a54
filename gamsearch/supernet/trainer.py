"""Train a shared network: at each step one random architecture of the space, and measure architectures in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, RunError, one_line
from gamsearch.evaluation import TrialBudget
from gamsearch.models import device as devices
from gamsearch.models.inherit import audit_against
from gamsearch.models.saving import write_weights
from gamsearch.parser.build import Model
from gamsearch.space.search_space import SearchSpace
from gamsearch.supernet.network import build_shared
from gamsearch.supernet.paths import Paths
from gamsearch.supernet.switch import activate
from gamsearch.training.baseline_trainer import kept, kept_in
from gamsearch.training.recipe import ATTENTION_LR, SHORT_TRAINING, arguments
from gamsearch.training.stepwise_trainer import StepwiseTrainer
from gamsearch.training.task_parts import trainer_for
from gamsearch.training.trainer import OnEpoch

WEIGHTS = "supernet.pt"
"""The file of a trained shared network, in its folder."""


class TrainedNetwork:
    """A shared network on its data: train it, then measure architectures in it.

    Args:
        space: The space.
        baseline: The trained stock model to inherit from.
        data: The data YAML.
        device: Where to train and measure.
        folder: Where its weights and the checkpoint of an unfinished training are kept.
        user: Ultralytics training arguments that the user gave.
    """

    def __init__(
        self,
        space: SearchSpace,
        baseline: Model,
        data: Path,
        device: torch.device,
        folder: Path,
        user: Mapping[str, Any] | None = None,
    ):
        self.space, self.baseline, self.data, self.device = space, baseline, data, device
        self.folder, self.user = folder, dict(user or {})
        self._trainer: StepwiseTrainer | None = None

    @property
    def weights(self) -> Path:
        """The file of the trained weights."""
        return self.folder / WEIGHTS

    def train(self, budget: TrialBudget, on_epoch: OnEpoch = lambda epoch, results: None) -> None:
        """Train the network; a finished one is kept as it is, an interrupted training resumes after its last epoch.

        Args:
            budget: Epochs, image size, batch and seed.
            on_epoch: Called with `(epoch, results)` after each epoch.

        Raises:
            RunError: It cannot be trained.
        """
        if self.weights.exists():
            return
        trainer: StepwiseTrainer | None = None
        try:
            trainer = self._built(budget, on_epoch, kept(self.folder, budget.epochs))
            trainer.train()
            write_weights(trainer.validated.cpu(), self.weights)
        except CandidateFailed as failure:
            raise RunError(f"the shared network could not be trained ({failure.detail})") from failure
        except RuntimeError as error:
            raise RunError(f"the shared network could not be trained: {one_line(error)[:300]}") from error
        finally:
            if trainer is not None:
                trainer.close()
        kept_in(self.folder).unlink(missing_ok=True)

    def measure(self, architecture: Architecture, budget: TrialBudget) -> dict[str, float]:
        """Validate an architecture with the shared weights.

        Args:
            architecture: An architecture of the space.
            budget: The budget of the network's training.

        Returns:
            The trained metrics by name.

        Raises:
            CandidateFailed: It cannot be measured, e.g. since its map is not finite or memory ran out.
        """
        try:
            if self._trainer is None:
                self._trainer = self._built(budget, lambda epoch, results: None)
                self._trainer.prepare(self.weights)
            results = self._trainer.measure(lambda model: activate(model, architecture))
        except (RuntimeError, MemoryError) as error:
            reason = "out_of_memory" if devices.is_out_of_memory(error) else "error"
            raise CandidateFailed(reason, one_line(error)[:300]) from error
        return {metric.name: float(metric.compute(results)) for metric in self.space.detector.task.trained_metrics}

    def close(self) -> None:
        """Release the memory of the network."""
        if self._trainer is not None:
            self._trainer.close()
            self._trainer = None
            devices.release_memory(self.device)

    def _built(self, budget: TrialBudget, on_epoch: OnEpoch, paused: dict[str, Any] | None = None) -> StepwiseTrainer:
        network, paths = build_shared(self.space, self.baseline, budget.imgsz, budget.seed), Paths(self.space)

        def check(model: nn.Module) -> None:
            audit = audit_against(model, self.baseline, network.row_map)
            if not audit.complete:
                raise CandidateFailed("build", f"the trainer's set-up lost inherited weights: {audit}")

        recipe = {**SHORT_TRAINING, "nbs": budget.batch}
        trainer: StepwiseTrainer = trainer_for(network.model, StepwiseTrainer)(
            network.model,
            arguments(recipe, budget, self.data, self.device, self.folder, self.user),
            on_epoch,
            lambda model, stream: activate(model, paths.sample(stream)),
            lambda model: activate(model, self.space.baseline),
            fresh=network.fresh(self.user.get(ATTENTION_LR)),
            check_setup=check,
            paused=paused,
        )
        return trainer
