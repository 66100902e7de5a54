"""Latency that survives a busy machine: candidate and baseline are timed in turns, row by row, in CPU time.

Batch 1, fused, network only (no NMS), fp16 on CUDA. The recorded latency is the ratio to the baseline times the
baseline's reference latency of this study, so that a machine that slows down does not punish the later trials.

How the ratio is formed. A busy neighbour makes the same pass now 14 ms and now 25 ms, on a scale of seconds as well as
of milliseconds, so that two whole passes compare badly. Within one pass the rows that both networks share are a
yardstick: same work, same weights, same moment. So each pass is divided by the time of its own yardstick rows, and

    ratio = median(candidate's pass / its yardstick) / median(baseline's pass / its yardstick).

The two rows after an attention module are no part of the yardstick: they find their weights and inputs displaced from
the caches and are slower (measured, the row after a GAM on 256 channels: a quarter). Whatever the module does to rows
further on is not in `ratio`. It is in `paired_ratio`, the median of the plain ratios of whole passes, which assumes
nothing and is several times as noisy on a busy machine; a backend whose rows cannot be timed has only that.
"""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from gamsearch.attention.registry import attention_classes
from gamsearch.models import device as devices
from gamsearch.models.device_lock import lock_of
from gamsearch.models.latency.backends import Network, backend_named, resolved
from gamsearch.models.latency.clock import Clock


@dataclass(frozen=True)
class Latency:
    """One paired measurement. All times in ms; `iqr_ms` is the interquartile range of the candidate's rounds.

    `ratio` is candidate/baseline with its 95 % bootstrap interval, `paired_ratio` the median ratio of whole passes with
    its own; `latency_ms` is `ratio` times the study's reference latency of the baseline. `clock` says which time it is.
    """

    latency_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    paired_ratio: float
    paired_low: float
    paired_high: float
    iqr_ms: float
    measured_ms: float
    baseline_ms: float
    rounds: int
    backend: str
    device: str
    precision: str
    threads: int
    clock: str
    imgsz: int

    def to_dict(self) -> dict[str, float | int | str]:
        return asdict(self)


ROUNDS = (20, 400)
"""At least and at most so many rounds; the precision is looked at every so many."""
PRECISION = 0.005
"""A measurement may end once the 95 % interval of the ratio is within this share of it on either side."""
AFTER = 2
"""So many stock rows after an attention module are no part of the yardstick."""
MIN_YARDSTICK_ROWS = 3
WARM_UP = {False: 3, True: 50}
"""Passes of each network before the first round, on CUDA or not."""


def measure(
    model: Any,
    baseline: Any,
    imgsz: int,
    device: torch.device,
    *,
    reference_ms: float | None = None,
    backend: str = "auto",
    seconds: float = 10.0,
    threads: int = 1,
) -> Latency:
    """Time `model` and `baseline` in turns; without `reference_ms` this block's own baseline median is the reference.

    It ends when the ratio is known to `PRECISION`, or after about `seconds`, but takes 20 rounds at least and 400 at
    most. On a CPU it uses `threads` threads (restored afterwards): one thread is what a loaded machine disturbs least.
    It waits for the device, and no training of this user's that shares it is at work meanwhile (`device_lock`).
    """
    backend, clock = resolved(backend, device), Clock(device, threads)
    with lock_of(device).alone(), using_threads(threads):  # to make a network ready may run it, too
        ours, theirs = (backend_named(backend)(each, imgsz, device) for each in (model, baseline))
        with RowTimer(ours, clock) as our_timer, RowTimer(theirs, clock) as their_timer:
            turns = _take_turns(our_timer, their_timer, _yardsticks(ours.rows, theirs.rows), seconds)
    ratio, (low, high) = turns.ratio, turns.interval
    paired = _Turns(turns.ours, turns.theirs, turns.theirs, turns.theirs)
    baseline_ms = float(np.median(turns.theirs))
    q1, q3 = np.percentile(turns.ours, [25, 75])
    return Latency(
        latency_ms=ratio * (reference_ms if reference_ms is not None else baseline_ms),
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        paired_ratio=paired.ratio,
        paired_low=paired.interval[0],
        paired_high=paired.interval[1],
        iqr_ms=float(q3 - q1),
        measured_ms=float(np.median(turns.ours)),
        baseline_ms=baseline_ms,
        rounds=len(turns.ours),
        backend=backend,
        device=devices.describe(device),
        precision=precision_on(device),
        threads=threads if device.type == "cpu" else 0,
        clock=clock.name,
        imgsz=imgsz,
    )


def precision_on(device: torch.device) -> str:
    """The precision that latency is measured in there."""
    return "fp16" if devices.half_precision(device) else "fp32"


@contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Let PyTorch use so many CPU threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class RowTimer:
    """Times passes of a network; while it is open, each row that can be timed has a hook that stamps its end."""

    def __init__(self, network: Network, clock: Clock):
        self.network, self.clock = network, clock
        self.stamps: list[Any] = []

    def __enter__(self) -> "RowTimer":
        self.hooks = [row.register_forward_hook(lambda *_: self.stamp()) for row in self.network.rows]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def stamp(self) -> None:
        self.stamps.append(self.clock.stamp())

    def time(self) -> np.ndarray:
        """Milliseconds of one pass: of each row, then of the rest; for a network without rows of the whole."""
        self.clock.configure_storage()
        self.stamps.clear()
        self.stamp()
        self.network.run()
        self.stamp()
        return self.clock.between(self.stamps)


def is_attention(rows: Sequence[nn.Module]) -> np.ndarray:
    """Which of the rows are attention modules of ours."""
    return np.array([isinstance(row, tuple(attention_classes().values())) for row in rows], dtype=bool)


def _yardsticks(ours: Sequence[nn.Module], theirs: Sequence[nn.Module]) -> tuple[np.ndarray, np.ndarray] | None:
    """Per network a mask of its rows: the stock rows that no attention comes shortly before in either of them.

    None if rows cannot be timed, do not correspond, or are nearly all affected.
    """
    placed = [is_attention(rows) for rows in (ours, theirs)]
    if len({int((~mask).sum()) for mask in placed}) > 1:
        return None
    stock = np.all([_unaffected(mask) for mask in placed], axis=0)
    if stock.sum() < MIN_YARDSTICK_ROWS:
        return None
    first, second = (np.zeros(len(mask), dtype=bool) for mask in placed)
    first[~placed[0]], second[~placed[1]] = stock, stock
    return first, second


def _unaffected(placed: np.ndarray) -> np.ndarray:
    """Which of the stock rows are not among the `AFTER` that follow an attention module; the head never is.

    The head is the last row; it reads three maps and was not measurably slower after attention on one of them.
    """
    affected = np.zeros(int((~placed).sum()), dtype=bool)
    for first in np.cumsum(~placed)[placed]:  # the stock row that an attention row comes before
        affected[first : min(first + AFTER, len(affected) - 1)] = True
    return ~affected


@dataclass(frozen=True)
class _Turns:
    """Milliseconds per round: whole passes of both networks, and what each is measured by."""

    ours: np.ndarray
    theirs: np.ndarray
    our_yardstick: np.ndarray
    their_yardstick: np.ndarray

    @property
    def ratio(self) -> float:
        return float(np.median(self.ours / self.our_yardstick) / np.median(self.theirs / self.their_yardstick))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 % percentile-bootstrap interval of the ratio over the rounds, from a fixed seed."""
        picks = np.random.default_rng(0).integers(len(self.ours), size=(1000, len(self.ours)))
        ours = np.median((self.ours / self.our_yardstick)[picks], axis=1)
        theirs = np.median((self.theirs / self.their_yardstick)[picks], axis=1)
        low, high = np.percentile(ours / theirs, [2.5, 97.5])
        return float(low), float(high)

    @property
    def precise(self) -> bool:
        low, high = self.interval
        return high - low <= 2 * PRECISION * self.ratio


def _take_turns(
    ours: RowTimer, theirs: RowTimer, yardsticks: tuple[np.ndarray, np.ndarray] | None, seconds: float
) -> _Turns:
    """Time both in rounds, in random order within a round, until the ratio is precise or the time is over."""
    for _ in range(WARM_UP[ours.clock.device.type == "cuda"]):
        ours.time()
        theirs.time()
    order, end = random.Random(0), time.monotonic() + seconds
    passes: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for done in range(1, ROUNDS[1] + 1):
        for column in order.sample((0, 1), 2):
            passes[column].append((ours, theirs)[column].time())
        late = done >= ROUNDS[0] and time.monotonic() > end
        if late or done % ROUNDS[0] == 0 and _turns(passes, yardsticks).precise:
            break
    return _turns(passes, yardsticks)


def _turns(
    passes: tuple[list[np.ndarray], list[np.ndarray]], yardsticks: tuple[np.ndarray, np.ndarray] | None
) -> _Turns:
    """Sum up the passes (`rows and rest` each); without yardstick rows the baseline's pass of the round is it."""
    ours, theirs = np.array(passes[0]), np.array(passes[1])
    our_ms, their_ms = ours.sum(axis=1), theirs.sum(axis=1)
    if yardsticks is None:
        return _Turns(our_ms, their_ms, their_ms, their_ms)
    first, second = yardsticks
    return _Turns(our_ms, their_ms, ours[:, :-1][:, first].sum(axis=1), theirs[:, :-1][:, second].sum(axis=1))
