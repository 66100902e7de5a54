"""The trainer of the baseline stage: resumable, with a curve, for a number of epochs or until its curve is flat."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gamsearch.analysis.learning_curve import Reading, decay_epochs, flat_after, is_read
from gamsearch.evaluation import AutoBudget, TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.parser.build import Model
from gamsearch.tasks import task_of
from gamsearch.training import resume
from gamsearch.training.trainer import LeanTrainer, OnEpoch


class BaselineTrainer(LeanTrainer):
    """A lean trainer that writes a checkpoint after each epoch but the last, so that the stage can resume.

    It validates less often the longer it trains, since only its curve and its final weights matter. Under an
    `AutoBudget` the learning rate is constant until the curve is flat, and then decays linearly to `lrf`.
    """

    shared_splits = ()

    def __init__(self, model: Model, arguments: Mapping[str, Any], on_epoch: OnEpoch, budget: TrialBudget, **more: Any):
        super().__init__(model, arguments, on_epoch, resumable=True, **more)
        self.auto = budget if isinstance(budget, AutoBudget) else None
        self.primary = metric_named(task_of(model.yaml).primary)
        self.curve: list[Reading] = [(int(epoch), value) for epoch, value in (self.paused or {}).get("curve", [])]

    def save_model(self) -> bool:
        """Write a checkpoint to resume from; no Ultralytics checkpoint."""
        if self.epoch + 1 < self.epochs:
            resume.keep(self, kept_in(Path(self.save_dir)), {"curve": [list(reading) for reading in self.curve]})
        return False

    def validate(self) -> tuple[dict[str, float], float | None]:
        """Validate where the curve has a reading and at the end; no metrics in between."""
        epoch = self.epoch + 1
        if epoch < self.epochs and not is_read(epoch):
            return {}, None
        metrics, fitness = super().validate()
        self.curve.append((epoch, self.primary.compute(metrics)))
        self._end_after_decay(epoch)
        return metrics, fitness

    def _setup_train(self, *args: Any) -> None:
        super()._setup_train(*args)
        self._end_after_decay(self.start_epoch)

    def _setup_scheduler(self) -> None:
        super()._setup_scheduler()
        if self.auto is not None:
            optimizer: Any = self.optimizer
            self.lf: Any = self._relative_rate
            self.scheduler: Any = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_lambda=self.lf)

    def _relative_rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0, relative to `lr0`."""
        after = self._decay_after()
        share = 1.0 if after is None else min(1.0, (self.epochs - epoch) / (self.epochs - after + 1))
        return share * (1.0 - self.args.lrf) + self.args.lrf

    def _decay_after(self) -> int | None:
        if self.auto is None:
            return None
        return self.auto.decay_after or flat_after(self.curve, self.auto.fewest, self.auto.epochs)

    def _end_after_decay(self, done: int) -> None:
        """Set the last epoch where it is known; `done` epochs are trained."""
        after = self._decay_after()
        if after is not None and done >= after:
            self.epochs = self.args.epochs = after + decay_epochs(after)
            if self.args.close_mosaic and done > self.epochs - self.args.close_mosaic:
                self._close_dataloader_mosaic()


def kept(folder: Path, epochs: int) -> resume.State | None:
    """Read the checkpoint of an unfinished training.

    Args:
        folder: The folder of the training.
        epochs: Its epochs.

    Returns:
        The checkpoint; None if there is none that such a training can resume.
    """
    state = resume.read(kept_in(folder), 1)
    return state if state is not None and state["epoch"] < epochs else None


def kept_in(folder: Path) -> Path:
    """Name the file of an unfinished training.

    Args:
        folder: The folder of the training.

    Returns:
        Its checkpoint.
    """
    return folder / "kept.pt"
