"""Train a model that is changed before each step, e.g. a network that holds many architectures."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from gamsearch.models.saving import read_weights
from gamsearch.training import resume
from gamsearch.training.baseline_trainer import kept_in
from gamsearch.training.trainer import LeanTrainer, OnEpoch


class StepwiseTrainer(LeanTrainer):
    """A lean trainer that calls `change(model, stream)` before each step.

    The random stream is its own and starts anew at each epoch: the batches are those of other trainings at the same
    seed, and a training resumes after any epoch. It validates after the last epoch, after `reset(model)`.
    """

    shared_splits = ("val",)  # many epochs would fill the memory

    def __init__(
        self,
        model: Any,
        arguments: Mapping[str, Any],
        on_epoch: OnEpoch,
        change: Callable[[Any, random.Random], None],
        reset: Callable[[Any], None],
        **more: Any,
    ):
        super().__init__(model, {**arguments, "val": False, "save": True}, on_epoch, resumable=True, **more)
        self.change, self.reset, self.steps = change, reset, random.Random()
        self.add_callback("on_train_epoch_start", StepwiseTrainer._start_epoch)
        self.add_callback("on_train_batch_start", StepwiseTrainer._start_step)

    def _start_epoch(self) -> None:
        self.steps.seed(f"{self.args.seed}:{self.epoch}")

    def _start_step(self) -> None:
        self.change(self.model, self.steps)

    def validate(self) -> tuple[dict[str, float], float | None]:
        """Validate the model as `reset` leaves it."""
        self.reset(self.ema.ema)
        return super().validate()

    def save_model(self) -> bool:
        """Write a checkpoint to resume from; no Ultralytics checkpoint."""
        if self.epoch + 1 < self.epochs:
            resume.keep(self, kept_in(Path(self.save_dir)), {})
        return False

    def prepare(self, weights: Path) -> None:
        """Set up without training, to measure with the weights of an earlier training.

        Args:
            weights: A state dict that `write_weights` wrote.
        """
        self._setup_train()
        read_weights(self.ema.ema, weights)
        self.epoch = 0
        with torch.no_grad():  # the form of the losses, which differs between releases, is known after a batch
            self.loss, self.loss_items = self.model(self.preprocess_batch(next(iter(self.train_loader))))

    def measure(self, choose: Callable[[Any], None]) -> dict[str, float]:
        """Validate the model after a change, its batch-norm statistics re-estimated.

        Args:
            choose: Changes the model.

        Returns:
            Ultralytics' results.
        """
        choose(self.ema.ema)
        return LeanTrainer.validate(self)[0]

    def close(self) -> None:
        """Release all tensors; see `LeanTrainer`."""
        super().close()
        self.change, self.reset = (lambda model, stream: None), (lambda model: None)
