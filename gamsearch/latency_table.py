"""Every architecture's latency before it is built: the baseline plus one measured increment per placement.

The increments of a space are measured in about a minute, in one fused baseline: between its rows it runs the attention
modules of a pass, others in the next pass. A pass holds a module at every third site, so that each is followed by two
stock rows of its own; it adds its own time and what those two rows take longer than in the baseline, measured by
the time of all other rows of the same pass (see `gamsearch.latency`). Each round has every placement of the space once,
in random company, and bare passes in between; an increment is a difference of medians over the rounds. Nothing is
assumed about rates: each option is measured. That increments add up is an assumption, and `hold_out` tests it.
"""

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import hypot, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gamsearch import device as devices
from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import spec_named
from gamsearch.attention.registry import attention_class
from gamsearch.clock import Clock
from gamsearch.errors import RunError, SpaceError
from gamsearch.latency import (
    AFTER,
    Latency,
    Network,
    RowTimer,
    backend_named,
    deployed,
    measure,
    precision_on,
    using_threads,
)
from gamsearch.model import Model, build_candidate
from gamsearch.space import SearchSpace

ROUNDS = (10, 200)
"""At least and at most so many rounds."""
PRECISION = 0.003
"""Measuring may end once every increment's standard error is below this share of the baseline."""
DRAWS = 1000
"""So many random architectures are looked at for those to be held out."""
STOCK, PLACED = 0, 1


@dataclass(frozen=True)
class Increment:
    """What one placement adds to the baseline's latency, as a share of it, with its standard error."""

    share: float
    error: float


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
        except (OSError, ValueError, KeyError, TypeError) as error:
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
    backend: str = "torch",
    seconds: float = 60.0,
) -> LatencyTable:
    """Measure every placement of the space in about `seconds`; with many options or a slow machine ten rounds are made.

    A backend whose rows cannot be timed measures each placement alone, as a whole candidate, and shares the time out.
    """
    network = backend_named(backend, device)(baseline, imgsz, device)
    if network.rows:
        clock = Clock(device)
        with using_threads(1), _Host(network, clock) as host:
            increments, rounds = _rounds(host, _groups(space, device), seconds)
    else:
        increments, rounds = _one_by_one(space, baseline, imgsz, device, backend, seconds), 0
    conditions = conditions_of(space, baseline, imgsz, device, backend)
    return LatencyTable(space.detector.name, reference_ms, increments, rounds, conditions)


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
        architecture = space.draw(rng)
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


Company = Mapping[int, tuple[Placement, nn.Module]]
"""The attention modules of one pass by site; empty for the bare baseline."""


class _Host(RowTimer):
    """One fused baseline that runs other attention modules in each pass, as `graft` would place them."""

    def __init__(self, network: Network, clock: Clock):
        super().__init__(network, clock)
        self.company: Company = {}
        self.attended: dict[tuple[int, int], torch.Tensor] = {}
        self.marks: list[tuple[int, int]] = []

    def __enter__(self) -> "_Host":
        rows: Any = self.network.rows
        self.hooks = [row.register_forward_hook(partial(self._after, row.i)) for row in rows]
        self.hooks += [row.register_forward_pre_hook(partial(self._before, _sources(row))) for row in rows]
        return self

    def _after(self, site: int, row: nn.Module, inputs: Any, output: Any) -> Any:
        """Stamp the row; run the module of its site and stamp that; return what all readers read from here on."""
        self.marks.append((STOCK, site))
        self.stamp()
        if site not in self.company:
            return output
        placement, module = self.company[site]
        attended = module(output)
        self.marks.append((PLACED, site))
        self.stamp()
        if placement.semantics == "inline":
            return attended
        for consumer in placement.consumers:
            self.attended[consumer, site] = attended
        return output

    def _before(self, sources: tuple[int, Sequence[int]], row: nn.Module, inputs: Any) -> Any:
        """Give the consumers of a branch the attended map in place of the raw one."""
        consumer, read = sources
        if not any((consumer, site) in self.attended for site in read):
            return None
        maps = inputs[0] if isinstance(inputs[0], list) else [inputs[0]]
        given = [self.attended.pop((consumer, site), raw) for site, raw in zip(read, maps, strict=True)]
        return (given if isinstance(inputs[0], list) else given[0],)

    def time_with(self, company: Company) -> np.ndarray:
        """Milliseconds of one pass, `2 x (rows + 1)`: stock rows and the rest, then the modules placed after them."""
        self.company = company
        self.marks.clear()
        times = np.zeros((2, len(self.network.rows) + 1))
        *parts, rest = self.time()
        for mark, part in zip(self.marks, parts, strict=True):
            times[mark] = part
        times[STOCK, -1] = rest
        return times


def _sources(row: Any) -> tuple[int, tuple[int, ...]]:
    """The number of a row and those of the rows that it reads."""
    read = row.f if isinstance(row.f, list) else [row.f]
    return row.i, tuple(row.i + f if f < 0 else f for f in read)


class _Group:
    """Sites at least three rows apart that share passes, with all their modules and what has been timed of them."""

    def __init__(self, modules: Mapping[int, Sequence[tuple[Placement, nn.Module]]], rows: int):
        self.modules = modules
        head = rows - 1  # not among the rows that an attention module slows down, see `gamsearch.latency`
        self.after = {site: range(site + 1, min(site + 1 + AFTER, head)) for site in modules}
        affected = {row for after in self.after.values() for row in after}
        self.yardstick = [row for row in range(rows) if row not in affected]
        self.timed: dict[Placement, list[float]] = {p: [] for options in modules.values() for p, _ in options}
        self.bare: dict[int, list[float]] = {site: [] for site in modules}
        self.whole: list[float] = []

    def companies(self, order: random.Random) -> list[Company]:
        """The passes of one round: every placement once, in random company, and one bare pass; in random order."""
        longest = max(len(options) for options in self.modules.values())
        companies: list[dict[int, tuple[Placement, nn.Module]]] = [{} for _ in range(longest)]
        for site, options in self.modules.items():
            for turn, option in zip(order.sample(range(longest), len(options)), options, strict=True):
                companies[turn][site] = option
        return order.sample([*companies, {}], longest + 1)

    def note(self, company: Company, times: np.ndarray) -> None:
        """Keep what a pass says, in units of its own yardstick rows."""
        times = times / times[STOCK, self.yardstick].sum()
        for site, (placement, _) in company.items():
            self.timed[placement].append(float(times[PLACED, site] + times[STOCK, self.after[site]].sum()))
        if not company:
            self.whole.append(float(times.sum()))
            for site, after in self.after.items():
                self.bare[site].append(float(times[STOCK, after].sum()))

    def increments(self) -> dict[Placement, Increment]:
        """What each placement adds to the bare baseline, as a share of it."""
        whole, found = float(np.median(self.whole)), {}
        for placement, with_module in self.timed.items():
            bare = self.bare[placement.site]
            share = (float(np.median(with_module)) - float(np.median(bare))) / whole
            error = hypot(error_of_median(with_module), error_of_median(bare)) / whole
            found[placement] = Increment(share, error)
        return found


def error_of_median(values: Sequence[float]) -> float:
    """Standard error of the median, from the interquartile range as if the values were normal around it."""
    q1, q3 = np.percentile(values, [25, 75])
    return float(1.2533 * (q3 - q1) / 1.349 / sqrt(len(values)))


def _groups(space: SearchSpace, device: torch.device) -> list[_Group]:
    """Every third site in one group, so that `AFTER` rows lie between any two."""
    stride, rows = AFTER + 1, len(space.detector.rows)
    chosen = [space.sites[i::stride] for i in range(min(stride, len(space.sites)))]
    return [_Group({site: _modules(space, site, device) for site in sites}, rows) for sites in chosen]


def _modules(space: SearchSpace, site: int, device: torch.device) -> list[tuple[Placement, nn.Module]]:
    """All placements of a site with their modules, fused and as they are timed on the device."""
    channels, built = space.detector.rows[site].channels, []
    for placement in space.choices[site]:
        options = spec_named(placement.module).complete(dict(placement.options))
        module: Any = attention_class(placement.module)(channels, **options).eval()
        built.append((placement, deployed(module.fuse(), device)))
    return built


def _rounds(host: _Host, groups: Sequence[_Group], seconds: float) -> tuple[dict[Placement, Increment], int]:
    """Time rounds until every increment is precise or the time is over; return the increments and the rounds."""
    order, end = random.Random(0), time.monotonic() + seconds
    for group in groups:
        for company in group.companies(order):
            host.time_with(company)  # the first pass of a module prepares it
    for done in range(1, ROUNDS[1] + 1):
        for group in groups:
            for company in group.companies(order):
                group.note(company, host.time_with(company))
        increments = {p: i for group in groups for p, i in group.increments().items()}
        precise = max(i.error for i in increments.values()) <= PRECISION
        if done >= ROUNDS[0] and (precise or time.monotonic() > end):
            break
    return increments, done
