"""Two deployed networks timed in turns, whole passes, one thread: the latency of what was exported."""

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gamsearch.models import device as devices
from gamsearch.models.device_lock import lock_of
from gamsearch.models.latency.clock import Clock
from gamsearch.models.latency.measure import ROUNDS, WARM_UP, PairedPasses
from gamsearch.models.latency.row_timer import using_threads
from gamsearch.signals import stop_request

Run = Callable[[torch.Tensor], Any]


def time_in_turns(first: Run, second: Run, side: int, device: torch.device, seconds: float = 10.0) -> PairedPasses:
    """Time two networks once per round, in random order, until the ratio is precise or the time is up.

    Args:
        first: Runs the network in question on an image, `1 x 3 x side x side`.
        second: Runs the one that it is compared with.
        side: Side of the image in px.
        device: Where they run; on a CPU, the CPU time of this thread is taken.
        seconds: Time limit; at least 20 and at most 400 rounds are made in any case.

    Returns:
        The passes; each ratio is one of whole passes of the same round.
    """
    clock, image = Clock(device), torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    times: tuple[list[float], list[float]] = ([], [])
    order = random.Random(0)
    with lock_of(device).exclusively(), using_threads(1), torch.inference_mode():
        for _ in range(WARM_UP[device.type == "cuda"]):
            first(image), second(image)
        end = time.monotonic() + seconds
        for done in range(1, ROUNDS[1] + 1):
            stop_request.check()
            for column in order.sample((0, 1), 2):
                start = clock.stamp()
                (first, second)[column](image)
                times[column].append(float(clock.between([start, clock.stamp()])[0]))
            late = done >= ROUNDS[0] and time.monotonic() > end
            if late or (done % ROUNDS[0] == 0 and _passes(times).precise):
                break
    return _passes(times)


def _passes(times: tuple[list[float], list[float]]) -> PairedPasses:
    first, second = map(np.array, times)
    return PairedPasses(first, second, second, second)


def conditions(device: torch.device) -> str:
    """Describe where latency is measured.

    Args:
        device: The device.

    Returns:
        E.g. `CPU x86_64, 2 cores, 1 thread, thread CPU time`.
    """
    threads = ", 1 thread" if device.type == "cpu" else ""
    return f"{devices.describe(device)}{threads}, {Clock(device).name} time"
