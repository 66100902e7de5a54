"""Real, brief training: inherit the baseline, measure what the architecture costs, train a few epochs, validate."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gamsearch import device as devices
from gamsearch.architecture import Architecture
from gamsearch.detectors import Detector
from gamsearch.errors import CandidateFailed
from gamsearch.evaluation import Budget, Measurement, Report
from gamsearch.evaluators.recipe import BRIEF, arguments
from gamsearch.evaluators.trainer import LeanTrainer
from gamsearch.latency import Latency, measure
from gamsearch.metrics import METRICS
from gamsearch.model import Candidate, audit_against, build_candidate, fresh_parameters, write_weights


class TrainingEvaluator:
    """Evaluate architectures by forking `baseline` and training for the budget's epochs.

    `reference_ms` is the baseline's latency that this study refers to; it is measured with the baseline itself when it
    is not given. The weights of every finished training are kept in the folder `keep_in`, as `KEY.pt` (a state dict).
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
    ):
        self.detector, self.baseline, self.data, self.device, self.scratch = detector, baseline, data, device, scratch
        self.user_arguments = dict(user_arguments or {})
        self.reference_ms, self.latency_backend, self.keep_in = reference_ms, latency_backend, keep_in

    def evaluate(self, architecture: Architecture, budget: Budget, report: Report) -> Measurement:
        """Build, measure the built metrics, report them at epoch 0, train, report each epoch; see `Evaluator`."""
        started = time.monotonic()
        candidate = build_candidate(self.detector, architecture, self.baseline, budget.imgsz, budget.seed)
        candidate.probe = self._latency_of
        latency = candidate.latency()
        built = {m.name: m.compute(candidate) for m in METRICS.values() if m.stage == "built"}
        built |= {"latency_ratio": latency.ratio, "latency_iqr_ms": latency.iqr_ms}
        report(0, built)
        audit, notes = candidate.audit, []
        try:
            curve, trained = self._train(candidate, budget, report)
            overflow = ""
        except CandidateFailed as failure:
            if failure.reason != "nan" or not self._uses_amp():
                raise
            overflow = failure.detail
        if overflow:  # out of the handler: the failed training and its memory are gone by now
            notes.append(f"retried in fp32 after: {overflow}")
            del candidate
            devices.release_memory(self.device)
            candidate = build_candidate(self.detector, architecture, self.baseline, budget.imgsz, budget.seed)
            curve, trained = self._train(candidate, budget, report, amp=False)
        if self.keep_in is not None:
            write_weights(trained, self.keep_in / f"{architecture.key}-seed{budget.seed}.pt")
        return Measurement(
            metrics={**built, **{k: v for k, v in curve[-1].items() if k in METRICS}},
            curve=curve,
            provenance={
                "audit": audit.to_dict(),
                "latency": latency.to_dict(),
                "seconds": round(time.monotonic() - started, 2),
                "device": devices.describe(self.device),
                "notes": notes,
            },
        )

    def _train(
        self, candidate: Candidate, budget: Budget, report: Report, amp: bool = True
    ) -> tuple[list[dict[str, float]], nn.Module]:
        curve: list[dict[str, float]] = []

        def on_epoch(epoch: int, results: dict[str, float]) -> None:
            figures = {m.name: m.compute(results) for m in METRICS.values() if m.stage == "trained"}
            curve.append({"epoch": epoch, **figures})
            report(epoch, figures)

        user = self.user_arguments if amp else {**self.user_arguments, "amp": False}
        train_arguments = arguments(BRIEF, budget, self.data, self.device, self.scratch, user)
        fresh = frozenset(fresh_parameters(candidate))
        trainer = LeanTrainer(candidate.model, train_arguments, on_epoch, fresh, self._setup_check(candidate))
        try:
            trainer.train()
        except (RuntimeError, MemoryError) as error:
            reason = "out_of_memory" if devices.is_out_of_memory(error) else "error"
            raise CandidateFailed(reason, str(error).splitlines()[0] if str(error) else repr(error)) from error
        finally:
            trainer.close_loaders()
            devices.release_memory(self.device)
        return curve, trainer.validated.cpu()

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
