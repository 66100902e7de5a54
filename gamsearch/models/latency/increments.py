"""What each placement adds to the latency of one fused baseline, its effect on the rows that follow included.

Each pass runs the attention modules of some placements between the baseline's rows, the next pass others; see
`gamsearch.models.latency.measure_table` for how increments are formed and used.
"""

import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import hypot, sqrt
from typing import Any

import numpy as np
import torch
from torch import nn

from gamsearch.architecture import Placement
from gamsearch.attention.catalogue import spec_named
from gamsearch.attention.registry import attention_class
from gamsearch.errors import CandidateFailed, RunError
from gamsearch.models.latency.backends import Network, deployed
from gamsearch.models.latency.clock import Clock
from gamsearch.models.latency.row_timer import RowTimer
from gamsearch.models.latency.yardstick import AFTER
from gamsearch.signals import stop_request
from gamsearch.space.search_space import SearchSpace

ROUNDS = (10, 200)
"""Minimum and maximum number of rounds."""
PRECISION = 0.003
"""The measurement may end once every increment's standard error is below this share of the baseline."""
STOCK, PLACED = 0, 1
"""Rows of the array that `InstrumentedBaseline.time_with` returns."""


@dataclass(frozen=True)
class Increment:
    """What one placement adds to the baseline's latency.

    Attributes:
        share: As a share of the baseline's latency.
        error: Its standard error.
    """

    share: float
    error: float


def unmeasurable(label: str, failure: CandidateFailed) -> RunError:
    """What ends a run whose target cannot hold a placement.

    Args:
        label: The placement in words.
        failure: How its measurement failed.

    Returns:
        The error.
    """
    return RunError(
        f"the latency of {label} cannot be measured ({failure.detail}); correct --latency (torch runs every module), "
        "or leave the module out of the space"
    )


Placed = Mapping[int, tuple[Placement, nn.Module]]
"""The attention modules of one pass by site; empty for the bare baseline."""


class InstrumentedBaseline(RowTimer):
    """One fused baseline that runs different attention modules in each pass, placed as `graft` would place them."""

    def __init__(self, network: Network, clock: Clock, hosts: Collection[int] = ()):
        """`hosts` are the sites inside whose blocks attention may be placed."""
        super().__init__(network, clock)
        self.hosts = hosts
        self.placed: Placed = {}
        self.attended: dict[tuple[int, int], torch.Tensor] = {}
        self.marks: list[tuple[int, int]] = []

    def __enter__(self) -> "InstrumentedBaseline":
        rows: Any = self.network.rows
        self.hooks = [row.register_forward_hook(partial(self._after, row.i)) for row in rows]
        self.hooks += [row.register_forward_pre_hook(partial(self._before, _sources(row))) for row in rows]
        blocks = [row for row in rows if row.i in self.hosts]
        self.hooks += [block.m[-1].register_forward_hook(partial(self._inside, block.i)) for block in blocks]
        return self

    def _after(self, site: int, row: nn.Module, inputs: Any, output: Any) -> Any:
        """Stamp the row, run and stamp the module at its site, and return what the row's readers receive."""
        self.marks.append((STOCK, site))
        self.stamp()
        if site not in self.placed or self.placed[site][0].semantics == "inner":
            return output
        placement, attended = self._attended(site, output)
        if placement.semantics == "inline":
            return attended
        for consumer in placement.consumers:
            self.attended[consumer, site] = attended
        return output

    def _inside(self, site: int, bottleneck: nn.Module, inputs: Any, output: Any) -> Any:
        """Return what the rest of a block receives from its last bottleneck."""
        if site not in self.placed or self.placed[site][0].semantics != "inner":
            return output
        self.marks.append((STOCK, site))
        self.stamp()
        return self._attended(site, output)[1]

    def _attended(self, site: int, x: Any) -> tuple[Placement, Any]:
        """Run and stamp the module at a site."""
        placement, module = self.placed[site]
        attended = module(x)
        self.marks.append((PLACED, site))
        self.stamp()
        return placement, attended

    def _before(self, sources: tuple[int, Sequence[int]], row: nn.Module, inputs: Any) -> Any:
        """Pass the attended map instead of the raw one to the consumers of a branch."""
        consumer, read = sources
        if not any((consumer, site) in self.attended for site in read):
            return None
        maps = inputs[0] if isinstance(inputs[0], list) else [inputs[0]]
        given = [self.attended.pop((consumer, site), raw) for site, raw in zip(read, maps, strict=True)]
        return (given if isinstance(inputs[0], list) else given[0],)

    def time_with(self, placed: Placed) -> np.ndarray:
        """Milliseconds of one pass, `2 x (rows + 1)`: the stock rows and the rest; the modules placed after each."""
        self.placed = placed
        self.marks.clear()
        times = np.zeros((2, len(self.network.rows) + 1))
        *parts, rest = self.time()
        for mark, part in zip(self.marks, parts, strict=True):
            times[mark] += part
        times[STOCK, -1] = rest
        return times


def _sources(row: Any) -> tuple[int, tuple[int, ...]]:
    """The index of a row and those of the rows that it reads."""
    read = row.f if isinstance(row.f, list) else [row.f]
    return row.i, tuple(row.i + f if f < 0 else f for f in read)


class Group:
    """Sites at least three rows apart that share passes, with all their modules and the times measured so far."""

    def __init__(self, modules: Mapping[int, Sequence[tuple[Placement, nn.Module]]], rows: int):
        self.modules = modules
        head = rows - 1  # not slowed down by attention, see `yardstick`
        first = {s: s if any(p.semantics == "inner" for p, _ in options) else s + 1 for s, options in modules.items()}
        self.after = {site: range(first[site], min(site + 1 + AFTER, head)) for site in modules}
        affected = {row for after in self.after.values() for row in after}
        self.yardstick = [row for row in range(rows) if row not in affected]
        self.timed: dict[Placement, list[float]] = {p: [] for options in modules.values() for p, _ in options}
        self.bare: dict[int, list[float]] = {site: [] for site in modules}
        self.whole: list[float] = []

    def passes_of_round(self, order: random.Random) -> list[Placed]:
        """The passes of one round: every placement once, combined at random, and one bare pass; in random order."""
        longest = max(len(options) for options in self.modules.values())
        passes: list[dict[int, tuple[Placement, nn.Module]]] = [{} for _ in range(longest)]
        for site, options in self.modules.items():
            for turn, option in zip(order.sample(range(longest), len(options)), options, strict=True):
                passes[turn][site] = option
        return order.sample([*passes, {}], longest + 1)

    def record(self, placed: Placed, times: np.ndarray) -> None:
        """Store the times of a pass in units of its own yardstick rows."""
        times = times / times[STOCK, self.yardstick].sum()
        for site, (placement, _) in placed.items():
            self.timed[placement].append(float(times[PLACED, site] + times[STOCK, self.after[site]].sum()))
        if not placed:
            self.whole.append(float(times.sum()))
            for site, after in self.after.items():
                self.bare[site].append(float(times[STOCK, after].sum()))

    def increments(self) -> dict[Placement, Increment]:
        """The increment of each placement over the bare baseline."""
        whole, found = float(np.median(self.whole)), {}
        for placement, with_module in self.timed.items():
            bare = self.bare[placement.site]
            share = (float(np.median(with_module)) - float(np.median(bare))) / whole
            error = hypot(error_of_median(with_module), error_of_median(bare)) / whole
            found[placement] = Increment(share, error)
        return found


def error_of_median(values: Sequence[float]) -> float:
    """Standard error of the median, estimated from the interquartile range under normality."""
    q1, q3 = np.percentile(values, [25, 75])
    return float(1.2533 * (q3 - q1) / 1.349 / sqrt(len(values)))


def groups_of(space: SearchSpace, device: torch.device) -> list[Group]:
    """Divide the sites into groups of every third one, so that `AFTER` rows lie between any two of a group."""
    stride, rows = AFTER + 1, len(space.detector.rows)
    chosen = [space.sites[i::stride] for i in range(min(stride, len(space.sites)))]
    return [Group({site: _modules(space, site, device) for site in sites}, rows) for sites in chosen]


def _modules(space: SearchSpace, site: int, device: torch.device) -> list[tuple[Placement, nn.Module]]:
    """All placements of a site with their modules, fused and ready to be timed on the device."""
    built = []
    for placement in space.choices[site]:
        options = spec_named(placement.module).complete(dict(placement.options))
        channels = space.detector.channels(site, placement.semantics)
        module: Any = attention_class(placement.module)(channels, **options).eval()
        if hasattr(module, "fuse"):
            module.fuse()
        built.append((placement, deployed(module, device)))
    return built


def measure_rounds(
    baseline: InstrumentedBaseline, groups: Sequence[Group], seconds: float
) -> tuple[dict[Placement, Increment], int]:
    """Time rounds until every increment is precise or the time is up; return the increments and the rounds."""
    order, end = random.Random(0), time.monotonic() + seconds
    for group in groups:
        for placed in group.passes_of_round(order):
            baseline.time_with(placed)  # the first pass of a module initialises it
    for done in range(1, ROUNDS[1] + 1):
        stop_request.check()
        for group in groups:
            for placed in group.passes_of_round(order):
                group.record(placed, baseline.time_with(placed))
        increments = {p: i for group in groups for p, i in group.increments().items()}
        precise = max(i.error for i in increments.values()) <= PRECISION
        if done >= ROUNDS[0] and (precise or time.monotonic() > end):
            break
    return increments, done
