"""What each placement adds to the latency in ONNX Runtime, from the times of its operations that the runtime reports.

Whole passes are too noisy for increments of a few per cent: on a busy machine they differ by a tenth. One operation
takes less than a millisecond, so the tenth of the passes in which it was fastest were not interrupted.

Each network has a module at every third site, as in `increments`. An increment is the time of the module and of the
stock rows from its site to the two after it, minus that of the same rows of the baseline. Both are relative to all
other rows, which are the same in both, of passes made in turns. Writing the times down takes time, and there is time
between operations that is not written down. Both are about the same for every operation, so a baseline of which nothing
is written down says how much to add to each.
"""

import json
import random
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import CandidateFailed
from gamsearch.models.candidate import build_candidate
from gamsearch.models.latency.exporting import channels_of, onnx_of
from gamsearch.models.latency.increments import Increment, unmeasurable
from gamsearch.models.latency.runtimes import onnxruntime_session
from gamsearch.models.latency.yardstick import AFTER
from gamsearch.parser.build import Model
from gamsearch.signals import stop_request
from gamsearch.space.graft import Graft
from gamsearch.space.search_space import SearchSpace

PASSES, WARM_UP, PARTS, UNDISTURBED = (20, 40), 2, 4, 0.1
"""Fewest and most passes of each network; passes before; parts whose spread is the error; share of undisturbed ones."""
ROW = re.compile(r"(?:^|/)model\.(\d+)(?=/|$)")
"""The row in the name of an operation."""


def profiled_increments(
    space: SearchSpace, baseline: Model, imgsz: int, seconds: float
) -> tuple[dict[Placement, Increment], int]:
    """Measure the increments of all placements of a space in ONNX Runtime on the CPU, one thread.

    Args:
        space: The space.
        baseline: The baseline detector; it is not changed.
        imgsz: Image size in px.
        seconds: Time limit of the passes; each network makes at least `PASSES[0]`.

    Returns:
        The increments, and the fewest passes of a network.

    Raises:
        RunError: A network cannot be exported; the placement is named.
    """
    together, fewest = list(_together(space)), PASSES[1]
    found: dict[Placement, Increment] = {}
    stock, shape = onnx_of(baseline, imgsz), (1, channels_of(baseline), imgsz, imgsz)
    for placements in together:
        stop_request.check()
        grafted, content = _exported(space, placements, baseline, imgsz)
        networks = _Network(stock, shape), _Profiled(stock, shape), _Profiled(content, shape)
        fewest = min(fewest, _alternate(networks, seconds / len(together)))
        bare, attended = _corrected(*networks)
        found |= _increments(placements, grafted, bare, attended, len(space.detector.rows))
    return found, fewest


def _together(space: SearchSpace) -> Iterator[list[Placement]]:
    """Placements at every third site, so that each is in one network and two stock rows lie between any two."""
    for first in range(min(AFTER + 1, len(space.sites))):
        choices = [space.choices[site] for site in space.sites[first :: AFTER + 1]]
        for turn in range(max(map(len, choices))):
            yield [of_site[turn] for of_site in choices if turn < len(of_site)]


def _exported(space: SearchSpace, placements: Sequence[Placement], baseline: Model, imgsz: int) -> tuple[Graft, bytes]:
    """A network with all of these placements; where it cannot be exported, the one to blame is named."""
    architecture = Architecture.of(space.detector.name, placements)
    try:
        candidate = build_candidate(space.detector, architecture, baseline, imgsz)
        return candidate.graft, onnx_of(candidate.model, imgsz)
    except CandidateFailed as failure:
        if len(placements) == 1:
            raise unmeasurable(architecture.label, failure) from failure
        for placement in placements:
            _exported(space, [placement], baseline, imgsz)
        raise


def _alternate(networks: Sequence["_Network"], seconds: float) -> int:
    """Run all in turns until the time is up; return the number of passes of each."""
    order, end = random.Random(0), time.monotonic() + seconds
    for done in range(1, PASSES[1] + 1):
        for one in order.sample(networks, len(networks)):
            one.run()
        if done >= PASSES[0] and time.monotonic() > end:
            break
    return done


class _Network:
    """A network in ONNX Runtime whose passes are timed as a whole."""

    def __init__(self, content: bytes, shape: tuple[int, ...], profile: str = ""):
        self.session = onnxruntime_session(content, profile)
        self.image = np.random.default_rng(0).random(shape, dtype=np.float32)
        self.passes: list[float] = []
        for _ in range(WARM_UP):
            self.run()

    def run(self) -> None:
        begun = time.thread_time_ns()
        self.session.run(None, {"images": self.image})
        self.passes.append((time.thread_time_ns() - begun) / 1e6)

    def whole(self) -> np.ndarray:
        """Milliseconds of CPU time of a pass, in each part of the passes and in all of them."""
        return _undisturbed(np.array(self.passes)[WARM_UP:, None])[:, 0]


class _Profiled(_Network):
    """A network that also writes down the time of every operation of every pass."""

    def __init__(self, content: bytes, shape: tuple[int, ...]):
        self.folder = tempfile.TemporaryDirectory(prefix="gamsearch-")
        super().__init__(content, shape, str(Path(self.folder.name) / "profile"))

    def operations(self) -> tuple[np.ndarray, np.ndarray]:
        """The row of each operation, and its milliseconds in each part of the passes and in all of them."""
        with self.folder:
            events = list(_operations(Path(self.session.end_profiling())))
        rows = _rows_of([name for name, _ in events[: len(events) // len(self.passes)]])
        return np.array(rows), _undisturbed(np.array([ms for _, ms in events]).reshape(len(self.passes), -1)[WARM_UP:])


def _corrected(plain: _Network, stock: _Profiled, network: _Profiled) -> list[np.ndarray]:
    """Milliseconds of the rows of both, `PARTS + 1` x rows, if nothing were written down."""
    (stock_rows, bare), (rows, attended) = stock.operations(), network.operations()
    between = (plain.whole() - bare.sum(axis=1)) / len(stock_rows)
    return [
        np.array([np.bincount(row_of, weights=part) for part in times + between[:, None]])
        for row_of, times in ((stock_rows, bare), (rows, attended))
    ]


def _undisturbed(passes: np.ndarray) -> np.ndarray:
    """Times of undisturbed passes, `passes x operations` to `PARTS + 1 x operations`: in each part and in all."""
    parts = [*(passes[part::PARTS] for part in range(PARTS)), passes]
    return np.array([np.quantile(part, UNDISTURBED, axis=0) for part in parts])


def _operations(profile: Path) -> Iterator[tuple[str, float]]:
    """Name and milliseconds of each operation in the order in which they ran; each has a line of its own."""
    for line in profile.read_text(encoding="utf-8").splitlines():
        if '_kernel_time"' in line:
            event = json.loads(line.partition(',"args"')[0] + "}")  # what follows is long and not needed
            yield event["name"], event["dur"] / 1e3


def _rows_of(names: Sequence[str]) -> list[int]:
    """The row of each operation, in the order of a pass; what the runtime inserts belongs to the one that it serves."""
    found = []
    row = max((int(match[1]) for match in map(ROW.search, names) if match), default=0)
    for name in reversed(names):
        match = ROW.search(name)
        row = int(match[1]) if match else row
        found.append(row)
    return found[::-1]


def _increments(
    placements: Sequence[Placement], grafted: Graft, bare: np.ndarray, attended: np.ndarray, rows: int
) -> Mapping[Placement, Increment]:
    """Increments from the row times of the baseline and of a network with all of these placements."""
    head = rows - 1  # not slowed down by attention, see `yardstick`
    near = {p: [row for row in range(p.site, p.site + 1 + AFTER) if row < head] for p in placements}
    others = [row for row in range(rows) if not any(row in of_one for of_one in near.values())]
    scale = _sum(bare, others) / _sum(attended, [grafted.row_map[row] for row in others])
    found: dict[Placement, Increment] = {}
    for placement, of_one in near.items():
        own = {grafted.row_map[row] for row in of_one} | {grafted.placed[placement.site]}
        shares: Any = (_sum(attended, sorted(own)) * scale - _sum(bare, of_one)) / bare.sum(axis=1)
        found[placement] = Increment(float(shares[-1]), float(np.std(shares[:-1], ddof=1) / PARTS**0.5))
    return found


def _sum(times: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """The sum of some rows; those without operations of their own are not in the profile."""
    return times[:, [row for row in rows if row < times.shape[1]]].sum(axis=1)
