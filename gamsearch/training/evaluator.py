"""Real, short training: inherit the baseline, measure what the architecture costs, train a few epochs, validate."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, GamsearchError
from gamsearch.evaluation import EpochReport, Measurement, Paused, TrialBudget
from gamsearch.metrics import METRICS
from gamsearch.models import device as devices
from gamsearch.models.candidate import Candidate, build_candidate, fresh_parameters
from gamsearch.models.identity import starts_of
from gamsearch.models.inherit import audit_against
from gamsearch.space.detector import Detector
from gamsearch.training.costs import Costs
from gamsearch.training.files import TrainingFiles
from gamsearch.training.recipe import ATTENTION_LR, arguments
from gamsearch.training.resume import State
from gamsearch.training.setup import CostSettings, Folders, Recipe
from gamsearch.training.task_parts import trainer_for
from gamsearch.training.trainer import LeanTrainer

KEEP_EVERY_S = 60.0
"""Seconds between two checkpoints of a training under way, so that an interruption costs little."""
SMALLEST_BATCH = 2
"""Images; a batch norm cannot learn from one."""


class TrainingEvaluator:
    """Evaluate architectures by forking a baseline and training for the budget's epochs.

    An interrupted or paused training resumes where it was, bit for bit on CPU. A candidate that runs out of memory is
    tried again with half the batch, one that overflows in mixed precision in fp32, each once and with a note in the
    provenance.

    Args:
        detector: The stock detector.
        baseline: Its model, whose weights every candidate inherits.
        data: The data YAML.
        device: Where to train and measure.
        folders: Where files are kept.
        recipe: How candidates are trained.
        costs: How costs are measured and predicted.
    """

    def __init__(
        self,
        detector: Detector,
        baseline: nn.Module,
        data: Path,
        device: torch.device,
        folders: Folders,
        recipe: Recipe | None = None,
        costs: CostSettings | None = None,
    ):
        self.detector, self.baseline, self.data, self.device = detector, baseline, data, device
        self.folders, self.recipe = folders, recipe or Recipe()
        self.costs = Costs(detector, baseline, device, costs or CostSettings())

    def evaluate(self, architecture: Architecture, budget: TrialBudget, report: EpochReport) -> Measurement:
        """Build, measure the built metrics, report them at epoch 0, train, report each epoch.

        A paused or interrupted training resumes and reports its epochs after `budget.done` again, or starts over if its
        checkpoint is lost.

        Args:
            architecture: What to evaluate.
            budget: Epochs, image size, batch, seed, and the epochs that are done already.
            report: Called with `(epoch, metrics)`; what it raises passes through.

        Returns:
            The last epoch's metrics, the curve, and how they came about.

        Raises:
            CandidateFailed: The architecture cannot be built or trained.
        """
        started = time.monotonic()
        files = TrainingFiles(self.folders, architecture, budget)
        paused = files.read()
        known: State = dict(paused["known"]) if paused else {}
        resumed = [f"went on after epoch {paused['epoch']}"] if paused else []  # recorded; study.table reads it
        while True:
            try:
                candidate, curve, trainer = self._attempt(architecture, budget, report, known, paused)
                break
            except (Paused, GamsearchError):
                raise
            except Exception as failure:  # also what the report raised to end the training
                files.forget()
                if not self._can_retry(failure, budget, known, architecture):
                    raise
            paused, resumed = None, []  # the checkpoint belongs to the training that failed
            devices.release_memory(self.device)  # outside the handler: nothing holds the failed training any more
        files.finish(trainer)
        return Measurement(
            metrics={**known["built"], **{k: v for k, v in curve[-1].items() if k in METRICS}},
            curve=curve,
            provenance={
                "audit": candidate.audit.to_dict(),
                "starts": starts_of(architecture),
                "latency": known["latency"],
                "seconds": round(time.monotonic() - started, 2),
                "device": devices.describe(self.device),
                "batch": known.get("batch", budget.batch),
                "notes": [*known.get("notes", ()), *resumed],
                **trainer.details(),
            },
        )

    def predict_costs(self, architecture: Architecture) -> Mapping[str, float] | None:
        """Predict built metrics before the architecture is built.

        Args:
            architecture: Any architecture of the detector.

        Returns:
            `latency_ms`, `latency_ratio` and the other metrics that are wanted; None where latency is not predicted.
        """
        return self.costs.predicted(architecture)

    def _attempt(
        self, architecture: Architecture, budget: TrialBudget, report: EpochReport, known: State, paused: State | None
    ) -> tuple[Candidate, list[dict[str, float]], LeanTrainer]:
        """Build, measure unless that is known, and train with the `amp` and `batch` of `known`, where it has them."""
        try:
            candidate = build_candidate(self.detector, architecture, self.baseline, budget.imgsz, budget.seed)
            new = "built" not in known
            if new:
                known.update(self.costs.measured(candidate))
            if new or paused:
                report(0, known["built"])
            return candidate, *self._train(candidate, budget, report, known, paused)
        except (RuntimeError, MemoryError) as error:
            reason = "out_of_memory" if devices.is_out_of_memory(error) else "error"
            raise CandidateFailed(reason, str(error).splitlines()[0] if str(error) else repr(error)) from error

    def _can_retry(self, failure: Exception, budget: TrialBudget, known: State, architecture: Architecture) -> bool:
        """Whether a retry is left: fp32 after a NaN, half the batch when memory runs out, each once.

        `known` then holds the change and a note. The gradients of two half batches make one optimiser step, so there
        are as many steps as in other trainings. Batch norms see half as many images, and images are augmented
        differently than in the baseline's training, so the pair has no common random numbers. When such a training
        resumes, its first step is taken after one half batch, so it is not bit for bit the same.
        """
        if not isinstance(failure, CandidateFailed):
            return False
        if failure.reason == "nan" and known.get("amp", True) and self._uses_amp():
            known["amp"], note = False, "retried in fp32"
        elif failure.reason == "out_of_memory" and self._may_halve(architecture, budget, known):
            known["batch"] = budget.batch // 2
            note = f"batch halved to {known['batch']}"
        else:
            return False
        known["notes"] = [*known.get("notes", ()), f"{note} after: {failure.detail}"]
        return True

    def _may_halve(self, architecture: Architecture, budget: TrialBudget, known: State) -> bool:
        possible = self.recipe.halve_batch and not architecture.is_baseline
        return possible and "batch" not in known and budget.batch // 2 >= SMALLEST_BATCH

    def _train(
        self, candidate: Candidate, budget: TrialBudget, report: EpochReport, known: State, paused: State | None
    ) -> tuple[list[dict[str, float]], LeanTrainer]:
        """Train with periodic checkpoints; return the validated epochs and the trainer."""
        files = TrainingFiles(self.folders, candidate.architecture, budget)
        epochs: list[dict[str, float]] = list(paused["epochs"]) if paused else []
        for one in epochs[budget.done :]:
            report(int(one["epoch"]), {k: v for k, v in one.items() if k != "epoch"})
        kept = time.monotonic()

        def on_epoch(epoch: int, results: dict[str, float]) -> None:
            nonlocal kept
            figures = {m.name: m.compute(results) for m in self.detector.task.trained_metrics} if results else {}
            epochs.append({"epoch": epoch, **figures})
            report(epoch, figures)
            if time.monotonic() - kept > KEEP_EVERY_S and epoch < budget.epochs:
                keep()
                kept = time.monotonic()

        def keep() -> None:
            files.keep(trainer, {"known": dict(known), "epochs": epochs})

        trainer = self._trainer(candidate, budget, on_epoch, known, paused)
        try:
            trainer.train()
        except Paused:
            keep()
            files.upload()
            raise
        finally:
            trainer.close()
            if self.device.type != "cpu":  # free its memory at once
                devices.release_memory(self.device)
        return [one for one in epochs if len(one) > 1], trainer

    def _trainer(
        self,
        candidate: Candidate,
        budget: TrialBudget,
        on_epoch: Callable[[int, dict[str, float]], None],
        known: State,
        paused: State | None,
    ) -> LeanTrainer:
        recipe = {"nbs": budget.batch, **self.recipe.arguments}
        user = dict(self.recipe.user) if known.get("amp", True) else {**self.recipe.user, "amp": False}
        fitting = replace(budget, batch=known.get("batch", budget.batch))
        return trainer_for(candidate.model, self.recipe.trainer)(
            candidate.model,
            arguments(recipe, fitting, self.data, self.device, self.folders.scratch, user),
            on_epoch,
            fresh_parameters(candidate, self.recipe.user.get(ATTENTION_LR)),
            self._setup_check(candidate),
            resumable=True,
            paused=paused,
        )

    def _setup_check(self, candidate: Candidate) -> Callable[[nn.Module], None]:
        """After the trainer's set-up the inherited tensors must still be there, value by value."""

        def check(model: nn.Module) -> None:
            audit = audit_against(model, self.baseline, candidate.graft.row_map)
            if not audit.complete:
                raise CandidateFailed("build", f"the trainer's set-up lost inherited weights: {audit}")

        return check

    def _uses_amp(self) -> bool:
        return self.device.type == "cuda" and self.recipe.user.get("amp", True) is not False
