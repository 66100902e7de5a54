"""Latency that survives a busy machine: candidate and baseline are timed alternately, row by row, in CPU time.

Batch 1, fused, network only (no NMS), fp16 on CUDA. The recorded latency is the ratio to the baseline times the
baseline's reference latency of this study, so that a machine that slows down does not penalise later trials.

How the ratio is formed. On a busy machine the same pass takes 14 ms now and 25 ms then, on scales from milliseconds to
seconds, so two whole passes compare badly. Within one pass the rows that both networks share are a yardstick: same
work, same weights, same moment. So each pass is divided by the time of its own yardstick rows, and

    ratio = median(candidate's pass / its yardstick) / median(baseline's pass / its yardstick).

Effects of attention on rows beyond the two that follow it (see `yardstick`) are not in `ratio`. They are in
`paired_ratio`, the median of the plain ratios of whole passes, which assumes nothing and is several times as noisy on a
busy machine; a backend whose rows cannot be timed has only that.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from gamsearch.models import device as devices
from gamsearch.models.device_lock import lock_of
from gamsearch.models.latency.backends import backend_named, resolved
from gamsearch.models.latency.clock import Clock
from gamsearch.models.latency.command import Command, is_command, paired_times, rounds
from gamsearch.models.latency.exporting import onnx_of
from gamsearch.models.latency.result import Latency
from gamsearch.models.latency.row_timer import RowTimer, using_threads
from gamsearch.models.latency.yardstick import Yardsticks, yardstick_rows
from gamsearch.signals import stop_request

ROUNDS = (20, 400)
"""Minimum and maximum number of rounds; the precision is checked after each multiple of the minimum."""
PRECISION = 0.005
"""A measurement may end once the 95 % interval of the ratio is within this share of it on either side."""
WARM_UP = {False: 3, True: 50}
"""Passes of each network before the first round, on CUDA (True) or not."""


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
    """Time a model and the baseline alternately, until the ratio is precise or the time is up.

    The measurement waits until it has the device to itself among this user's processes (`device_lock`).

    Args:
        model: The candidate's detector; it is not changed.
        baseline: The baseline detector; it is not changed.
        imgsz: Image size in px.
        device: Where to measure.
        reference_ms: The study's reference latency of the baseline; by default its median in this measurement.
        backend: Name of a latency backend, a command (see `command`), or `auto`.
        seconds: Time limit; a command has none; otherwise at least 20 and at most 400 rounds are made in any case.
        threads: CPU threads. One is disturbed least on a busy machine.

    Returns:
        The measurement.

    Raises:
        OptionError: The backend is unknown or cannot measure on the device.
    """
    backend, clock = resolved(backend, device), Clock(device, threads)
    if is_command(backend):
        return _by_command(Command.parse(backend), (model, baseline), imgsz, device, reference_ms)
    with lock_of(device).exclusively(), using_threads(threads):  # preparing a network may run it, too
        networks = [backend_named(backend)(each, imgsz, device) for each in (model, baseline)]
        with RowTimer(networks[0], clock) as first, RowTimer(networks[1], clock) as second:
            yardsticks = yardstick_rows(networks[0].rows, networks[1].rows)
            passes = _alternate(first, second, yardsticks, seconds)
    return Latency(
        **_statistics(passes, reference_ms),
        backend=backend,
        device=devices.describe(device),
        precision=devices.precision(device),
        threads=threads if device.type == "cpu" else 0,
        clock=clock.name,
        imgsz=imgsz,
    )


def _by_command(
    command: Command, models: Sequence[Any], imgsz: int, device: torch.device, reference_ms: float | None
) -> Latency:
    """Time the exported networks in turns by a command, which trainings on this machine's device would disturb."""
    with lock_of(device).exclusively():
        found = list(rounds(command, [onnx_of(model, imgsz) for model in models], imgsz))
    first, second = paired_times(found)
    said = found[-1][0]
    return Latency(
        **_statistics(PairedPasses(first, second, second, second), reference_ms),
        backend=command.text,
        device=said.device or "not stated",
        precision=said.precision or "not stated",
        threads=0,
        clock="command",
        imgsz=imgsz,
    )


@dataclass(frozen=True)
class PairedPasses:
    """Milliseconds per round: whole passes of both networks, and the yardstick of each pass."""

    candidate: np.ndarray
    baseline: np.ndarray
    candidate_yardstick: np.ndarray
    baseline_yardstick: np.ndarray

    @property
    def ratio(self) -> float:
        """Candidate / baseline, each in units of its yardstick."""
        candidate = np.median(self.candidate / self.candidate_yardstick)
        return float(candidate / np.median(self.baseline / self.baseline_yardstick))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 % percentile-bootstrap interval of the ratio over the rounds, with a fixed seed."""
        picks = np.random.default_rng(0).integers(len(self.candidate), size=(1000, len(self.candidate)))
        candidate = np.median((self.candidate / self.candidate_yardstick)[picks], axis=1)
        baseline = np.median((self.baseline / self.baseline_yardstick)[picks], axis=1)
        low, high = np.percentile(candidate / baseline, [2.5, 97.5])
        return float(low), float(high)

    @property
    def precise(self) -> bool:
        """Whether the interval is narrow enough to stop."""
        low, high = self.interval
        return high - low <= 2 * PRECISION * self.ratio

    @property
    def whole(self) -> "PairedPasses":
        """The same passes compared as they are, without a yardstick."""
        return PairedPasses(self.candidate, self.baseline, self.baseline, self.baseline)


def paired_passes(
    candidate: Sequence[np.ndarray], baseline: Sequence[np.ndarray], yardsticks: Yardsticks | None
) -> PairedPasses:
    """Sum up passes, each `rows + 1` milliseconds; without yardsticks the baseline's pass of the round is used."""
    first, second = np.array(candidate), np.array(baseline)
    first_ms, second_ms = first.sum(axis=1), second.sum(axis=1)
    if yardsticks is None:
        return PairedPasses(first_ms, second_ms, second_ms, second_ms)
    chosen = [times[:, :-1][:, mask].sum(axis=1) for times, mask in zip((first, second), yardsticks, strict=True)]
    return PairedPasses(first_ms, second_ms, *chosen)


def _alternate(candidate: RowTimer, baseline: RowTimer, yardsticks: Yardsticks | None, seconds: float) -> PairedPasses:
    """Time both once per round, in random order, until the ratio is precise or the time is up."""
    for _ in range(WARM_UP[candidate.clock.device.type == "cuda"]):
        candidate.time()
        baseline.time()
    order, end = random.Random(0), time.monotonic() + seconds
    passes: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for done in range(1, ROUNDS[1] + 1):
        stop_request.check()
        for column in order.sample((0, 1), 2):
            passes[column].append((candidate, baseline)[column].time())
        late = done >= ROUNDS[0] and time.monotonic() > end
        if late or (done % ROUNDS[0] == 0 and paired_passes(*passes, yardsticks).precise):
            break
    return paired_passes(*passes, yardsticks)


def _statistics(passes: PairedPasses, reference_ms: float | None) -> dict[str, Any]:
    """The fields of `Latency` that are computed from the passes."""
    (low, high), (paired_low, paired_high) = passes.interval, passes.whole.interval
    baseline_ms = float(np.median(passes.baseline))
    q1, q3 = np.percentile(passes.candidate, [25, 75])
    return {
        "latency_ms": passes.ratio * (reference_ms if reference_ms is not None else baseline_ms),
        "ratio": passes.ratio,
        "ratio_low": low,
        "ratio_high": high,
        "paired_ratio": passes.whole.ratio,
        "paired_low": paired_low,
        "paired_high": paired_high,
        "iqr_ms": float(q3 - q1),
        "measured_ms": float(np.median(passes.candidate)),
        "baseline_ms": baseline_ms,
        "rounds": len(passes.candidate),
    }
