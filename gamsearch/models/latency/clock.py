"""The clock that latency is read from: CPU time of this thread, device events on CUDA, wall time elsewhere.

On a CPU with one thread, the thread's CPU time is what the wall clock would show on an idle machine: it stands still
while another process holds the core. With several threads it would miss the work of the others.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


class Clock:
    """Takes stamps in the order of the work and returns the milliseconds between them once the work is done.

    The MPS branch follows the PyTorch documentation and has not been run on such a device.
    """

    def __init__(self, device: torch.device, threads: int = 1):
        self.device = device
        self.name = "wall"
        if device.type == "cuda":
            self.name = "device events"
        elif device.type == "cpu" and threads == 1:
            self.name = "thread CPU"

    def stamp(self) -> Any:
        """A time stamp at this point of the work."""
        if self.name == "device events":
            event = torch.cuda.Event(enable_timing=True)
            event.record(torch.cuda.current_stream(self.device))
            return event
        if self.name == "thread CPU":
            return time.thread_time_ns()
        if self.device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter_ns()

    def wait_for_device(self) -> None:
        """Wait until a CUDA device has no queued work, so that the next pass starts on an idle device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def between(self, stamps: Sequence[Any]) -> np.ndarray:
        """The `n - 1` milliseconds between `n` stamps; waits until the device has reached the last one."""
        if self.name == "device events":
            self.wait_for_device()
            return np.array([a.elapsed_time(b) for a, b in zip(stamps, stamps[1:], strict=False)])
        return np.diff(np.array(stamps, dtype=np.int64)) / 1e6
