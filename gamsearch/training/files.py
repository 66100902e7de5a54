"""The files of trainings: weights of finished ones, checkpoints of those that are paused or under way."""

from pathlib import Path

from gamsearch.architecture import Architecture
from gamsearch.evaluation import TrialBudget
from gamsearch.models.saving import write_weights
from gamsearch.training import resume
from gamsearch.training.resume import State
from gamsearch.training.setup import Folders
from gamsearch.training.trainer import LeanTrainer


class TrainingFiles:
    """The files of one training in `folders`: that of `architecture` at the seed of `budget`."""

    def __init__(self, folders: Folders, architecture: Architecture, budget: TrialBudget):
        self.folders, self.budget = folders, budget
        self.name = f"{architecture.key}-seed{budget.seed}.pt"

    @property
    def checkpoint(self) -> Path | None:
        """Where the training is kept while it is not finished."""
        return self.folders.paused / self.name if self.folders.paused is not None else None

    def read(self) -> State | None:
        """The checkpoint of a training that was paused after `budget.done` epochs, or interrupted later."""
        path, artifacts = self.checkpoint, self.folders.artifacts
        if path is None:
            return None
        found = resume.read(path, self.budget.done)
        if found is None and artifacts is not None and artifacts.download(f"paused/{self.name}", path):
            found = resume.read(path, self.budget.done)
        return found

    def keep(self, trainer: LeanTrainer, state: State) -> None:
        """Write a checkpoint."""
        if self.checkpoint is not None:
            resume.keep(trainer, self.checkpoint, state)

    def upload(self) -> None:
        """Upload the checkpoint for other machines."""
        if self.checkpoint is not None and self.folders.artifacts is not None:
            self.folders.artifacts.upload(self.checkpoint, f"paused/{self.name}")

    def forget(self) -> None:
        """Delete the checkpoint of a training that has ended."""
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)

    def finish(self, trainer: LeanTrainer) -> None:
        """Keep the weights that were validated last, upload them, delete the checkpoint."""
        if self.folders.weights is not None:
            path = self.folders.weights / self.name
            write_weights(trainer.validated.cpu(), path)
            if self.folders.artifacts is not None:
                self.folders.artifacts.upload(path, f"weights/{self.name}")
        self.forget()
