"""Real, brief training: inherit the baseline, measure what the architecture costs, train a few epochs, validate."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import CandidateFailed, GamsearchError
from gamsearch.evaluation import Measurement, Paused, Report, TrialBudget
from gamsearch.metrics import METRICS
from gamsearch.models import device as devices
from gamsearch.models.candidate import Candidate, audit_against, build_candidate, fresh_parameters, write_weights
from gamsearch.models.latency.measure import Latency, measure
from gamsearch.space.detector import Detector
from gamsearch.study.artifacts import Artifacts
from gamsearch.training import resume
from gamsearch.training.recipe import SHORT_TRAINING, arguments
from gamsearch.training.resume import State
from gamsearch.training.trainer import FRESH_LR_FACTOR, LeanTrainer

KEEP_EVERY_S = 60.0
"""So often a training under way is kept after an epoch, so that an interruption costs little."""
SMALLEST_BATCH = 2
"""Images; a batch norm cannot learn from one."""


class TrainingEvaluator:
    """Evaluate architectures by forking `baseline` and training for the budget's epochs.

    `reference_ms` is the baseline's latency that this study refers to; it is measured with the baseline itself when it
    is not given. The weights of every finished training are kept in the folder `keep_in`, as `KEY.pt` (a state dict),
    trainings under way in `paused_in` (about once a minute, and where they are paused) until they end; an interrupted
    one goes on from there, bit for bit on CPU. One that runs out of memory is tried again with half the batch, one that
    overflows in mixed precision in fp32, each once and with a note in the provenance. `predict` tells the latency
    before anything is built, as a ratio to the baseline's; `predicted` names the other built metrics that are wanted
    then, at `imgsz` (px). `recipe` holds the training arguments, `fresh_lr_factor` the learning rate of attention
    relative to theirs, and `trainer` may add details to the provenance. Without `halve` a lack of memory is final, as
    it always is for the baseline, which all others are compared with. `files` hands weights and paused trainings on to
    workers that do not share the folders.
    """

    def __init__(
        self,
        detector: Detector,
        baseline: nn.Module,
        data: Path,
        device: torch.device,
        scratch: Path,
        *,
        user_arguments: Mapping[str, Any] | None = None,
        reference_ms: float | None = None,
        latency_backend: str = "auto",
        keep_in: Path | None = None,
        paused_in: Path | None = None,
        predict: Callable[[Architecture], float] | None = None,
        predicted: Sequence[str] = (),
        imgsz: int = 640,
        recipe: Mapping[str, Any] = SHORT_TRAINING,
        fresh_lr_factor: float = FRESH_LR_FACTOR,
        trainer: type[LeanTrainer] = LeanTrainer,
        halve: bool = True,
        files: Artifacts | None = None,
    ):
        self.detector, self.baseline, self.data, self.device, self.scratch = detector, baseline, data, device, scratch
        self.user_arguments = dict(user_arguments or {})
        self.reference_ms, self.latency_backend, self.keep_in = reference_ms, latency_backend, keep_in
        self.paused_in, self.predict = paused_in, predict
        self.predicted, self.imgsz = tuple(predicted), imgsz
        self.recipe, self.fresh_lr_factor, self.trainer = dict(recipe), fresh_lr_factor, trainer
        self.halve, self.files = halve, files
        self._alones: dict[Placement | None, dict[str, float]] = {}

    def evaluate(self, architecture: Architecture, budget: TrialBudget, report: Report) -> Measurement:
        """Build, measure the built metrics, report them at epoch 0, train, report each epoch; see `Evaluator`.

        A training that was paused or interrupted goes on, and its epochs after `budget.done` are reported again; if
        what was kept of it is lost, it begins anew.
        """
        started = time.monotonic()
        paused = self._paused(architecture, budget)
        known: State = dict(paused["known"]) if paused else {}
        resumed = [f"went on after epoch {paused['epoch']}"] if paused else []
        while True:
            try:
                candidate, curve, trainer = self._attempt(architecture, budget, report, known, paused)
                break
            except (Paused, GamsearchError):
                raise
            except CandidateFailed as failure:
                self._forget_pause(architecture, budget)
                if not self._remedied(failure, budget, known, architecture):
                    raise
            except Exception:  # the report's word that the training is over
                self._forget_pause(architecture, budget)
                raise
            paused, resumed = None, []  # what was kept belongs to what has failed
            devices.release_memory(self.device)  # out of the handler: nothing holds the failed training any more
        if self.keep_in is not None:
            path = self.keep_in / _name(architecture, budget)
            write_weights(trainer.validated.cpu(), path)
            self._upload(path, "weights")
        self._forget_pause(architecture, budget)
        return Measurement(
            metrics={**known["built"], **{k: v for k, v in curve[-1].items() if k in METRICS}},
            curve=curve,
            provenance={
                "audit": candidate.audit.to_dict(),
                "latency": known["latency"],
                "seconds": round(time.monotonic() - started, 2),
                "device": devices.describe(self.device),
                "batch": known.get("batch", budget.batch),
                "notes": [*known.get("notes", ()), *resumed],
                **trainer.details(),
            },
        )

    def _attempt(
        self, architecture: Architecture, budget: TrialBudget, report: Report, known: State, paused: State | None
    ) -> tuple[Candidate, list[dict[str, float]], LeanTrainer]:
        """Build, measure unless that is known, and train as `known` says: its `amp` and `batch`, where it has them."""
        try:
            candidate = build_candidate(self.detector, architecture, self.baseline, budget.imgsz, budget.seed)
            candidate.probe = self._latency_of
            new = "built" not in known
            if new:
                known.update(self._measured(candidate))
            if new or paused:
                report(0, known["built"])
            return candidate, *self._train(candidate, budget, report, known, paused)
        except (RuntimeError, MemoryError) as error:
            reason = "out_of_memory" if devices.is_out_of_memory(error) else "error"
            raise CandidateFailed(reason, str(error).splitlines()[0] if str(error) else repr(error)) from error

    def _remedied(
        self, failure: CandidateFailed, budget: TrialBudget, known: State, architecture: Architecture
    ) -> bool:
        """Whether there is something left to try: fp32 after a NaN, half the batch without enough memory, each once.

        `known` then says so, with a note. The gradients of two half batches make one optimiser step, so that there are
        as many steps as in the other trainings. What differs is that batch norms see half as many images and that
        augmentation is drawn for other ones than in the baseline's training: the pair has no common random numbers. One
        that is resumed then takes its first step after one half batch, so that it is not bit for bit the same.
        """
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
        possible = self.halve and not architecture.is_baseline
        return possible and "batch" not in known and budget.batch // 2 >= SMALLEST_BATCH

    def predict_costs(self, architecture: Architecture) -> Mapping[str, float] | None:
        """Latency by `predict`; of the other metrics the baseline's plus what each placement adds when it is alone."""
        if self.predict is None or self.reference_ms is None:
            return None
        base = self._alone(None)
        added = [self._alone(placement) for placement in architecture.placements]
        sums = {name: base[name] + sum(one[name] - base[name] for one in added) for name in self.predicted}
        ratio = self.predict(architecture)
        return {**sums, "latency_ratio": ratio, "latency_ms": ratio * self.reference_ms}

    def _alone(self, placement: Placement | None) -> dict[str, float]:
        """The foreseen metrics of the baseline with at most one placement, built once."""
        if not self.predicted:
            return {}
        if placement not in self._alones:
            architecture = Architecture.of(self.detector.name, [placement] if placement else [])
            candidate = build_candidate(self.detector, architecture, self.baseline, self.imgsz)
            self._alones[placement] = {name: METRICS[name].compute(candidate) for name in self.predicted}
        return self._alones[placement]

    def _measured(self, candidate: Candidate) -> dict[str, Any]:
        """The built metrics and how the latency was measured."""
        latency = candidate.latency()
        built = {m.name: m.compute(candidate) for m in METRICS.values() if m.stage == "built"}
        built |= {"latency_ratio": latency.ratio, "latency_iqr_ms": latency.iqr_ms}
        return {"built": {k: float(v) for k, v in built.items()}, "latency": latency.to_dict()}

    def _paused(self, architecture: Architecture, budget: TrialBudget) -> State | None:
        """What was kept of a training that was paused after `budget.done` epochs or interrupted later."""
        if self.paused_in is None:
            return None
        path = self._file_of(architecture, budget)
        found = resume.read(path, budget.done)
        if found is None and self.files is not None and self.files.download(f"paused/{path.name}", path):
            found = resume.read(path, budget.done)
        return found

    def _upload(self, path: Path, what: str) -> None:
        if self.files is not None:
            self.files.upload(path, f"{what}/{path.name}")

    def _forget_pause(self, architecture: Architecture, budget: TrialBudget) -> None:
        if self.paused_in is not None:
            self._file_of(architecture, budget).unlink(missing_ok=True)

    def _file_of(self, architecture: Architecture, budget: TrialBudget) -> Path:
        assert self.paused_in is not None
        return self.paused_in / _name(architecture, budget)

    def _train(
        self,
        candidate: Candidate,
        budget: TrialBudget,
        report: Report,
        known: State,
        paused: State | None,
    ) -> tuple[list[dict[str, float]], LeanTrainer]:
        epochs: list[dict[str, float]] = list(paused["epochs"]) if paused else []
        for one in epochs[budget.done :]:
            report(int(one["epoch"]), {k: v for k, v in one.items() if k != "epoch"})
        kept = time.monotonic()

        def on_epoch(epoch: int, results: dict[str, float]) -> None:
            nonlocal kept
            figures = {m.name: m.compute(results) for m in METRICS.values() if m.stage == "trained"} if results else {}
            epochs.append({"epoch": epoch, **figures})
            report(epoch, figures)
            if time.monotonic() - kept > KEEP_EVERY_S and epoch < budget.epochs:
                keep()
                kept = time.monotonic()

        def keep() -> None:
            if self.paused_in is not None:
                state = {"known": dict(known), "epochs": epochs}
                resume.keep(trainer, self._file_of(candidate.architecture, budget), state)

        recipe = {"nbs": budget.batch, **self.recipe}
        user = self.user_arguments if known.get("amp", True) else {**self.user_arguments, "amp": False}
        fitting = replace(budget, batch=known.get("batch", budget.batch))
        trainer = self.trainer(
            candidate.model,
            arguments(recipe, fitting, self.data, self.device, self.scratch, user),
            on_epoch,
            frozenset(fresh_parameters(candidate)),
            self._setup_check(candidate),
            fresh_lr_factor=self.fresh_lr_factor,
            resumable=True,
            paused=paused,
        )
        try:
            trainer.train()
        except Paused:
            keep()
            if self.paused_in is not None:
                self._upload(self._file_of(candidate.architecture, budget), "paused")
            raise
        finally:
            trainer.close()
            if self.device.type != "cpu":  # its memory is free at once
                devices.release_memory(self.device)
        return [one for one in epochs if len(one) > 1], trainer

    def _setup_check(self, candidate: Candidate) -> Callable[[nn.Module], None]:
        """After the trainer's set-up the inherited tensors must still be there, value by value."""

        def check(model: nn.Module) -> None:
            audit = audit_against(model, self.baseline, candidate.graft.row_map)
            if not audit.complete:
                raise CandidateFailed("build", f"the trainer's set-up lost inherited weights: {audit}")

        return check

    def _latency_of(self, candidate: Candidate) -> Latency:
        """Paired latency; the baseline's own measurement is an A/A control and sets the study's reference."""
        latency = measure(
            candidate.model,
            self.baseline,
            candidate.imgsz,
            self.device,
            reference_ms=self.reference_ms,
            backend=self.latency_backend,
        )
        if not candidate.architecture.is_baseline:
            return latency
        self.reference_ms = self.reference_ms if self.reference_ms is not None else latency.baseline_ms
        return replace(latency, latency_ms=self.reference_ms)

    def _uses_amp(self) -> bool:
        return self.device.type == "cuda" and self.user_arguments.get("amp", True) is not False


def _name(architecture: Architecture, budget: TrialBudget) -> str:
    """The file of a training in a folder of weights or paused trainings."""
    return f"{architecture.key}-seed{budget.seed}.pt"
