"""Real, brief training: inherit the baseline, measure what the architecture costs, train a few epochs, validate."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gamsearch import device as devices
from gamsearch.architecture import Architecture, Placement
from gamsearch.detectors import Detector
from gamsearch.errors import CandidateFailed, GamsearchError
from gamsearch.evaluation import Budget, Measurement, Paused, Report
from gamsearch.evaluators import pause
from gamsearch.evaluators.pause import State
from gamsearch.evaluators.recipe import BRIEF, arguments
from gamsearch.evaluators.trainer import FRESH_LR_FACTOR, LeanTrainer
from gamsearch.latency import Latency, measure
from gamsearch.metrics import METRICS
from gamsearch.model import Candidate, audit_against, build_candidate, fresh_parameters, write_weights

KEEP_EVERY_S = 60.0
"""So often a training under way is kept after an epoch, so that an interruption costs little."""


class TrainingEvaluator:
    """Evaluate architectures by forking `baseline` and training for the budget's epochs.

    `reference_ms` is the baseline's latency that this study refers to; it is measured with the baseline itself when it
    is not given. The weights of every finished training are kept in the folder `keep_in`, as `KEY.pt` (a state dict),
    trainings under way in `paused_in` (about once a minute, and where they are paused) until they end; an interrupted
    one goes on from there, bit for bit on CPU. `predict` tells the latency before anything is built, as a ratio to the
    baseline's; `foreseen` names the other built metrics that are wanted then, at `imgsz` (px). `recipe` holds the
    training arguments, `fresh_lr_factor` the learning rate of attention relative to theirs, and `trainer` may add
    details to the provenance.
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
        latency_backend: str = "torch",
        keep_in: Path | None = None,
        paused_in: Path | None = None,
        predict: Callable[[Architecture], float] | None = None,
        foreseen: Sequence[str] = (),
        imgsz: int = 640,
        recipe: Mapping[str, Any] = BRIEF,
        fresh_lr_factor: float = FRESH_LR_FACTOR,
        trainer: type[LeanTrainer] = LeanTrainer,
    ):
        self.detector, self.baseline, self.data, self.device, self.scratch = detector, baseline, data, device, scratch
        self.user_arguments = dict(user_arguments or {})
        self.reference_ms, self.latency_backend, self.keep_in = reference_ms, latency_backend, keep_in
        self.paused_in, self.predict = paused_in, predict
        self.foreseen, self.imgsz = tuple(foreseen), imgsz
        self.recipe, self.fresh_lr_factor, self.trainer = dict(recipe), fresh_lr_factor, trainer
        self._alones: dict[Placement | None, dict[str, float]] = {}

    def evaluate(self, architecture: Architecture, budget: Budget, report: Report) -> Measurement:
        """Build, measure the built metrics, report them at epoch 0, train, report each epoch; see `Evaluator`.

        A training that was paused or interrupted goes on, and its epochs after `budget.done` are reported again; if
        what was kept of it is lost, it begins anew.
        """
        started = time.monotonic()
        paused = self._paused(architecture, budget)
        candidate = build_candidate(self.detector, architecture, self.baseline, budget.imgsz, budget.seed)
        candidate.probe = self._latency_of
        known = paused["known"] if paused else self._measured(candidate)
        report(0, known["built"])
        audit, notes = candidate.audit, [f"went on after epoch {paused['epoch']}"] if paused else []
        amp = known.get("amp", True)
        try:
            curve, trainer = self._train(candidate, budget, report, known, amp, paused)
            overflow = ""
        except (Paused, GamsearchError):
            raise
        except CandidateFailed as failure:
            self._forget_pause(architecture, budget)
            if failure.reason != "nan" or not (amp and self._uses_amp()):
                raise
            overflow = failure.detail
        except Exception:  # the report's word that the training is over
            self._forget_pause(architecture, budget)
            raise
        if overflow:  # out of the handler: the failed training and its memory are gone by now
            notes.append(f"retried in fp32 after: {overflow}")
            del candidate
            devices.release_memory(self.device)
            candidate = build_candidate(self.detector, architecture, self.baseline, budget.imgsz, budget.seed)
            curve, trainer = self._train(candidate, budget, report, {**known, "amp": False}, amp=False)
        if self.keep_in is not None:
            write_weights(trainer.validated.cpu(), self.keep_in / f"{architecture.key}-seed{budget.seed}.pt")
        self._forget_pause(architecture, budget)
        return Measurement(
            metrics={**known["built"], **{k: v for k, v in curve[-1].items() if k in METRICS}},
            curve=curve,
            provenance={
                "audit": audit.to_dict(),
                "latency": known["latency"],
                "seconds": round(time.monotonic() - started, 2),
                "device": devices.describe(self.device),
                "notes": notes,
                **trainer.details(),
            },
        )

    def foresee(self, architecture: Architecture) -> Mapping[str, float] | None:
        """Latency by `predict`; of the other metrics the baseline's plus what each placement adds when it is alone."""
        if self.predict is None or self.reference_ms is None:
            return None
        base = self._alone(None)
        added = [self._alone(placement) for placement in architecture.placements]
        sums = {name: base[name] + sum(one[name] - base[name] for one in added) for name in self.foreseen}
        ratio = self.predict(architecture)
        return {**sums, "latency_ratio": ratio, "latency_ms": ratio * self.reference_ms}

    def _alone(self, placement: Placement | None) -> dict[str, float]:
        """The foreseen metrics of the baseline with at most one placement, built once."""
        if not self.foreseen:
            return {}
        if placement not in self._alones:
            architecture = Architecture.of(self.detector.name, [placement] if placement else [])
            candidate = build_candidate(self.detector, architecture, self.baseline, self.imgsz)
            self._alones[placement] = {name: METRICS[name].compute(candidate) for name in self.foreseen}
        return self._alones[placement]

    def _measured(self, candidate: Candidate) -> dict[str, Any]:
        """The built metrics and how the latency was measured."""
        latency = candidate.latency()
        built = {m.name: m.compute(candidate) for m in METRICS.values() if m.stage == "built"}
        built |= {"latency_ratio": latency.ratio, "latency_iqr_ms": latency.iqr_ms}
        return {"built": {k: float(v) for k, v in built.items()}, "latency": latency.to_dict()}

    def _paused(self, architecture: Architecture, budget: Budget) -> State | None:
        """What was kept of a training that was paused after `budget.done` epochs or interrupted later."""
        if self.paused_in is None:
            return None
        return pause.read(self._file_of(architecture, budget), budget.done)

    def _forget_pause(self, architecture: Architecture, budget: Budget) -> None:
        if self.paused_in is not None:
            self._file_of(architecture, budget).unlink(missing_ok=True)

    def _file_of(self, architecture: Architecture, budget: Budget) -> Path:
        assert self.paused_in is not None
        return self.paused_in / f"{architecture.key}-seed{budget.seed}.pt"

    def _train(
        self,
        candidate: Candidate,
        budget: Budget,
        report: Report,
        known: Mapping[str, Any],
        amp: bool = True,
        paused: State | None = None,
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
                pause.keep(trainer, self._file_of(candidate.architecture, budget), state)

        user = self.user_arguments if amp else {**self.user_arguments, "amp": False}
        trainer = self.trainer(
            candidate.model,
            arguments(self.recipe, budget, self.data, self.device, self.scratch, user),
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
            raise
        except (RuntimeError, MemoryError) as error:
            reason = "out_of_memory" if devices.is_out_of_memory(error) else "error"
            raise CandidateFailed(reason, str(error).splitlines()[0] if str(error) else repr(error)) from error
        finally:
            trainer.close_loaders()
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
