"""Time the passes of one network row by row."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from gamsearch.models.latency.backends import Network
from gamsearch.models.latency.clock import Clock


class RowTimer:
    """Times passes of a network; inside its `with` block a hook on each row stamps the end of that row."""

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
        """Record a time stamp."""
        self.stamps.append(self.clock.stamp())

    def time(self) -> np.ndarray:
        """Milliseconds of one pass: of each row, then of the rest; of the whole pass for a network without rows."""
        self.clock.wait_for_device()
        self.stamps.clear()
        self.stamp()
        self.network.run()
        self.stamp()
        return self.clock.between(self.stamps)


@contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Let PyTorch use `threads` CPU threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
