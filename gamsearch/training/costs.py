"""What architectures cost: measured on a built candidate, and predicted before anything is built."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.metrics import METRICS, metrics_of
from gamsearch.models.candidate import Candidate, build_candidate
from gamsearch.models.latency.measure import Latency, measure
from gamsearch.space.detector import Detector
from gamsearch.training.setup import CostSettings


class Costs:
    """The built metrics of candidates of one baseline; the first measurement of the baseline sets the reference."""

    def __init__(self, detector: Detector, baseline: nn.Module, device: torch.device, settings: CostSettings):
        self.detector, self.baseline, self.device, self.settings = detector, baseline, device, settings
        self.reference_ms = settings.reference_ms
        self._single: dict[Placement | None, dict[str, float]] = {}

    def measured(self, candidate: Candidate) -> dict[str, Any]:
        """Measure a candidate.

        Args:
            candidate: The built candidate.

        Returns:
            Its built metrics (`built`) and how its latency was measured (`latency`).
        """
        candidate.probe = self._latency_of
        latency = candidate.latency()
        candidate.device = self.device
        built = {m.name: m.compute(candidate) for m in metrics_of("built")}
        built |= {"latency_ratio": latency.ratio, "latency_iqr_ms": latency.iqr_ms}
        return {"built": {k: float(v) for k, v in built.items()}, "latency": latency.to_dict()}

    def measured_baseline(self, imgsz: int) -> dict[str, float]:
        """Measure the built metrics of the baseline, which sets the reference of all latencies.

        Args:
            imgsz: Image size, px.

        Returns:
            The metrics by name.
        """
        candidate = build_candidate(self.detector, Architecture.of(self.detector.name), self.baseline, imgsz)
        return dict(self.measured(candidate)["built"])

    def predicted(self, architecture: Architecture) -> Mapping[str, float] | None:
        """Predict the latency and, of other metrics, the baseline's plus what each placement adds on its own.

        Args:
            architecture: Any architecture of the detector.

        Returns:
            The metrics by name; None where latency is not predicted.
        """
        if self.settings.latency_ratio is None or self.reference_ms is None:
            return None
        base = self._with(None)
        added = [self._with(placement) for placement in architecture.placements]
        names = self.settings.predicted
        sums = {name: base[name] + sum(one[name] - base[name] for one in added) for name in names}
        ratio = self.settings.latency_ratio(architecture)
        return {**sums, "latency_ratio": ratio, "latency_ms": ratio * self.reference_ms}

    def _with(self, placement: Placement | None) -> dict[str, float]:
        """The predicted metrics of the baseline with at most one placement, built once."""
        names = self.settings.predicted
        if names and placement not in self._single:
            architecture = Architecture.of(self.detector.name, [placement] if placement else [])
            candidate = build_candidate(self.detector, architecture, self.baseline, self.settings.imgsz)
            candidate.device = self.device
            self._single[placement] = {name: METRICS[name].compute(candidate) for name in names}
        return self._single.get(placement, {})

    def _latency_of(self, candidate: Candidate) -> Latency:
        """Paired latency; the baseline's own measurement is an A/A control and sets the study's reference."""
        latency = measure(
            candidate.model,
            self.baseline,
            candidate.imgsz,
            self.device,
            reference_ms=self.reference_ms,
            backend=self.settings.backend,
        )
        if not candidate.architecture.is_baseline:
            return latency
        self.reference_ms = self.reference_ms if self.reference_ms is not None else latency.baseline_ms
        return replace(latency, latency_ms=self.reference_ms)
