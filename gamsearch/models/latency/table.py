"""Predict an architecture's latency before it is built: the baseline plus one measured increment per placement."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import RunError, SpaceError
from gamsearch.files import UnreadableError, read_json
from gamsearch.models import device as devices
from gamsearch.models.latency.increments import Increment
from gamsearch.parser.build import Model, classes_of
from gamsearch.space.search_space import SearchSpace

LARGEST = 1 << 24
"""Bytes of a table's file."""


@dataclass(frozen=True)
class Prediction:
    """A latency predicted from the table.

    Attributes:
        latency_ms: Batch 1, in ms.
        ratio: Its ratio to the baseline.
        error: Standard error of `ratio` from the noise of the increments alone.
    """

    latency_ms: float
    ratio: float
    error: float


@dataclass(frozen=True)
class HeldOut:
    """An architecture with several modules that was also measured directly.

    Attributes:
        label: The architecture, readable.
        predicted: Ratio to the baseline according to the table.
        measured: Ratio to the baseline as measured.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
    """

    label: str
    predicted: float
    measured: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Signed relative error of the prediction."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True)
class LatencyTable:
    """Increments of all placements of a space under one set of conditions.

    Attributes:
        detector: Name of the detector.
        reference_ms: The baseline's latency, which ratios multiply.
        increments: What each placement adds.
        rounds: Rounds of the measurement; 0 if each placement was measured alone.
        conditions: What the increments are valid for, see `conditions_of`.
        held_out: Architectures that the predictions were checked on.
    """

    detector: str
    reference_ms: float
    increments: Mapping[Placement, Increment]
    rounds: int
    conditions: Mapping[str, Any]
    held_out: tuple[HeldOut, ...] = ()

    def predict(self, architecture: Architecture) -> Prediction:
        """Predict the latency of an architecture.

        Args:
            architecture: An architecture of the space.

        Returns:
            The sum of the baseline and its increments.

        Raises:
            SpaceError: It has another detector, or a placement that was not measured.
        """
        unknown = [p.label for p in architecture.placements if p not in self.increments]
        if unknown or architecture.detector != self.detector:
            raise SpaceError(
                f"{', '.join(unknown) or architecture.detector} is not in the latency table of {self.detector}; "
                "use an architecture of the space that the table was measured for"
            )
        found = [self.increments[p] for p in architecture.placements]
        ratio = 1.0 + sum(i.share for i in found)
        return Prediction(ratio * self.reference_ms, ratio, sqrt(sum(i.error**2 for i in found)))

    @property
    def errors(self) -> tuple[float, float] | None:
        """Median and maximum absolute relative error on the held-out architectures; None if there are none."""
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
        """Rebuild a table from its JSON form.

        Args:
            form: What `to_dict` returned.

        Returns:
            The table.
        """
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
        """Write the table as JSON, atomically.

        Args:
            path: The file; its folder must exist.
        """
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(self.to_dict(), indent=1))
        partial.replace(path)

    @classmethod
    def read(cls, path: Path, conditions: Mapping[str, Any]) -> "LatencyTable":
        """Read a table and check that it is valid for this run.

        Args:
            path: A file that `write` wrote.
            conditions: What the table must have been measured under.

        Returns:
            The table.

        Raises:
            RunError: The file is damaged or was measured under other conditions.
        """
        try:
            table = cls.from_dict(read_json(path, LARGEST))
        except (OSError, UnreadableError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{path} is not a latency table ({error}); delete it to have it measured again") from error
        for what, value in conditions.items():
            if table.conditions.get(what) != value:
                raise RunError(
                    f"{path} was measured with {what} {table.conditions.get(what)}, but this run has {value}; "
                    "delete it to have it measured again, or use another --name"
                )
        return table


def conditions_of(
    space: SearchSpace, baseline: Model, imgsz: int, device: torch.device, backend: str
) -> dict[str, str | int]:
    """Collect what a latency table is valid for.

    Args:
        space: The space whose placements are measured.
        baseline: The baseline detector.
        imgsz: Image size in px.
        device: Where latency is measured.
        backend: Name of the latency backend, not `auto`.

    Returns:
        Detector, classes, space, image size, hardware, backend, precision and PyTorch version.
    """
    return {
        "detector": space.detector.name,
        "classes": classes_of(baseline),
        "space": space.fingerprint,
        "imgsz": imgsz,
        "hardware": devices.describe(device),
        "backend": backend,
        "precision": devices.precision(device),
        "torch": torch.__version__,
    }
