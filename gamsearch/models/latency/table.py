"""Every architecture's latency before it is built: the baseline plus one measured increment per placement.

The increments of a space are measured in about a minute, in one fused baseline: between its rows it runs the attention
modules of a pass, others in the next pass. A pass holds a module at every third site, so that each is followed by two
stock rows of its own; it adds its own time and what those two rows take longer than in the baseline, measured by
the time of all other rows of the same pass (see `measure`). Each round has every placement of the space once,
in random company, and bare passes in between; an increment is a difference of medians over the rounds. Nothing is
assumed about rates: each option is measured. That increments add up is an assumption, and `hold_out` tests it.
"""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import RunError, SpaceError
from gamsearch.models import device as devices
from gamsearch.models.candidate import Model, build_candidate
from gamsearch.models.device_lock import lock_of
from gamsearch.models.latency.backends import backend_named, resolved
from gamsearch.models.latency.clock import Clock
from gamsearch.models.latency.increments import Increment, InstrumentedBaseline, groups_of, measure_rounds
from gamsearch.models.latency.measure import Latency, measure, precision_on, using_threads
from gamsearch.space.search_space import SearchSpace

DRAWS = 1000
"""So many random architectures are looked at for those to be held out."""


@dataclass(frozen=True)
class Prediction:
    """A latency read from the table; `error` is the standard error of `ratio` by the noise of the increments alone."""

    latency_ms: float
    ratio: float
    error: float


@dataclass(frozen=True)
class HeldOut:
    """An architecture of several modules that was also measured directly; ratios are to the baseline."""

    label: str
    predicted: float
    measured: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Relative error of the prediction, with its sign."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True)
class LatencyTable:
    """Increments of all placements of a space under one set of conditions, and how it did on held-out architectures.

    `conditions` say what the increments are valid for; `reference_ms` is the baseline's latency that ratios multiply.
    """

    detector: str
    reference_ms: float
    increments: Mapping[Placement, Increment]
    rounds: int
    conditions: Mapping[str, Any]
    held_out: tuple[HeldOut, ...] = ()

    def predict(self, architecture: Architecture) -> Prediction:
        """The latency of an architecture of the space; `SpaceError` if one of its placements was not measured."""
        unknown = [p.label for p in architecture.placements if p not in self.increments]
        if unknown or architecture.detector != self.detector:
            raise SpaceError(
                f"{', '.join(unknown) or architecture.detector} is not in the latency table of {self.detector}; "
                "ask for an architecture of the space that it was measured for"
            )
        found = [self.increments[p] for p in architecture.placements]
        ratio = 1.0 + sum(i.share for i in found)
        return Prediction(ratio * self.reference_ms, ratio, sqrt(sum(i.error**2 for i in found)))

    @property
    def errors(self) -> tuple[float, float] | None:
        """Median and largest relative error on the held-out architectures, without sign; None if there are none."""
        sizes = [abs(h.error) for h in self.held_out]
        return (float(np.median(sizes)), max(sizes)) if sizes else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        rows = [
            {**Architecture.of(self.detector, [p]).to_dict()["placements"][0], **asdict(i)}
            for p, i in self.increments.items()
        ]
        return {
            "detector": self.detector,
            "reference_ms": self.reference_ms,
            "rounds": self.rounds,
            "conditions": dict(self.conditions),
            "increments": rows,
            "held_out": [asdict(h) for h in self.held_out],
        }

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> "LatencyTable":
        """Inverse of `to_dict`."""
        increments = {
            Architecture.from_dict({"detector": form["detector"], "placements": [row]}).placements[0]: Increment(
                row["share"], row["error"]
            )
            for row in form["increments"]
        }
        held_out = tuple(HeldOut(**h) for h in form["held_out"])
        return cls(
            form["detector"], form["reference_ms"], increments, form["rounds"], dict(form["conditions"]), held_out
        )

    def write(self, path: Path) -> None:
        """Write as JSON in one step, so that a stopped run leaves a whole table or none."""
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(self.to_dict(), indent=1))
        partial.replace(path)

    @classmethod
    def read(cls, path: Path, conditions: Mapping[str, Any]) -> "LatencyTable":
        """Read a table that was measured under these conditions; `RunError` if under others or if it is damaged."""
        try:
            table = cls.from_dict(json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{path} is no latency table ({error}); delete it and it is measured again") from error
        for what, value in conditions.items():
            if table.conditions.get(what) != value:
                raise RunError(
                    f"{path} was measured with {what} {table.conditions.get(what)}, but this run has {value}; "
                    "delete it and it is measured again, or use another --name"
                )
        return table


def conditions_of(
    space: SearchSpace, baseline: Model, imgsz: int, device: torch.device, backend: str
) -> dict[str, str | int]:
    """What a table is valid for: detector, classes, space, image size (px), hardware, backend, precision, torch."""
    return {
        "detector": space.detector.name,
        "classes": int(baseline.model[-1].nc),
        "space": space.fingerprint,
        "imgsz": imgsz,
        "hardware": devices.describe(device),
        "backend": backend,
        "precision": precision_on(device),
        "torch": torch.__version__,
    }


def measure_table(
    space: SearchSpace,
    baseline: Model,
    imgsz: int,
    device: torch.device,
    reference_ms: float,
    *,
    backend: str = "auto",
    seconds: float = 60.0,
) -> LatencyTable:
    """Measure every placement of the space in about `seconds`; with many options or a slow machine ten rounds are made.

    A backend whose rows cannot be timed measures each placement alone, as a whole candidate, and shares the time out.
    """
    backend = resolved(backend, device)
    increments, rounds = _row_by_row(space, baseline, imgsz, device, backend, seconds)
    if not rounds:
        increments = _one_by_one(space, baseline, imgsz, device, backend, seconds)
    conditions = conditions_of(space, baseline, imgsz, device, backend)
    return LatencyTable(space.detector.name, reference_ms, increments, rounds, conditions)


def _row_by_row(
    space: SearchSpace, baseline: Model, imgsz: int, device: torch.device, backend: str, seconds: float
) -> tuple[dict[Placement, Increment], int]:
    """Increments from the rows of one baseline, and in how many rounds; none of either if they cannot be timed."""
    with lock_of(device).alone(), using_threads(1):
        network = backend_named(backend)(baseline, imgsz, device)
        if not network.rows:
            return {}, 0
        with InstrumentedBaseline(network, Clock(device)) as host:
            return measure_rounds(host, groups_of(space, device), seconds)


def hold_out(
    table: LatencyTable,
    space: SearchSpace,
    baseline: Model,
    device: torch.device,
    *,
    count: int = 4,
    seed: int = 0,
    seconds: float = 10.0,
) -> LatencyTable:
    """The table with `count` random architectures of several modules built, measured directly and compared.

    There are fewer, or none, where the space has fewer. None of them was used for the increments.
    """
    imgsz, backend = int(table.conditions["imgsz"]), str(table.conditions["backend"])
    checks = []
    for architecture in _several_modules(space, count, seed):
        candidate = build_candidate(space.detector, architecture, baseline, imgsz)
        latency = measure(candidate.model, baseline, imgsz, device, backend=backend, seconds=seconds)
        checks.append(compare(table, architecture, latency))
    return replace(table, held_out=tuple(checks))


def compare(table: LatencyTable, architecture: Architecture, latency: Latency) -> HeldOut:
    """The table's prediction for an architecture beside its direct measurement."""
    predicted = table.predict(architecture).ratio
    return HeldOut(architecture.label, predicted, latency.ratio, latency.ratio_low, latency.ratio_high)


def _several_modules(space: SearchSpace, count: int, seed: int) -> Iterator[Architecture]:
    """Up to `count` different random architectures with two modules at least."""
    rng = random.Random(seed)
    seen: set[Architecture] = set()
    for _ in range(DRAWS):
        if len(seen) == count:
            return
        architecture = space.sample_random(rng)
        if len(architecture.placements) > 1 and architecture not in seen:
            seen.add(architecture)
            yield architecture


def _one_by_one(
    space: SearchSpace, baseline: Model, imgsz: int, device: torch.device, backend: str, seconds: float
) -> dict[Placement, Increment]:
    """Increments from one whole candidate per placement, each paired with the baseline."""
    placements = [p for choices in space.choices.values() for p in choices]
    increments = {}
    for placement in placements:
        architecture = Architecture.of(space.detector.name, [placement])
        model = build_candidate(space.detector, architecture, baseline, imgsz).model
        share = seconds / len(placements)
        latency = measure(model, baseline, imgsz, device, backend=backend, seconds=share)
        increments[placement] = Increment(latency.ratio - 1.0, (latency.ratio_high - latency.ratio_low) / (2 * 1.96))
    return increments
