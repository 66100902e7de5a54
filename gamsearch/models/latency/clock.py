"""The clock that latency is read from: CPU time of this thread, device events on CUDA, the wall clock elsewhere.

On a CPU with one thread, the thread's own time is what the wall clock would show on an idle machine: while another
process holds the core it stands still. With several threads it would miss the work of the others.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


class Clock:
    """Stamps in the order of the work, and the milliseconds between them once the work is done.

    The MPS branch follows the PyTorch documentation; it was written without such a device.
    """

    def __init__(self, device: torch.device, threads: int = 1):
        self.device = device
        self.name = "wall"
        if device.type == "cuda":
            self.name = "device events"
        elif device.type == "cpu" and threads == 1:
            self.name = "thread CPU"

    def stamp(self) -> Any:
        """A mark at this point of the work."""
        if self.name == "device events":
            event = torch.cuda.Event(enable_timing=True)
            event.record(torch.cuda.current_stream(self.device))
            return event
        if self.name == "thread CPU":
            return time.thread_time_ns()
        if self.device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter_ns()

    def configure_storage(self) -> None:
        """Wait for work that the device still has in its queue; before a pass, so that it starts on an idle device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def between(self, stamps: Sequence[Any]) -> np.ndarray:
        """The `n - 1` milliseconds between `n` stamps; waits until the device has reached the last."""
        if self.name == "device events":
            self.configure_storage()
            return np.array([a.elapsed_time(b) for a, b in zip(stamps, stamps[1:], strict=False)])
        return np.diff(np.array(stamps, dtype=np.int64)) / 1e6
