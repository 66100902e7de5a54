"""Draw the batches of an epoch once per process and hand them to every training that would draw the same ones.

All candidates of a search see the same augmented images in the same order (common random numbers), so what decides a
batch is known beforehand: the data set, the training arguments, and the seed at which the random streams of the epoch
start. The first training that comes to such an epoch loads and augments its images; the others get what it got, bit
for bit, and the random streams are left where drawing would have left them.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

Batch = dict[str, Any]
Drawn = tuple[Batch, tuple[Any, Any] | None]
"""A batch, and the states of Python's and NumPy's random streams after it if they decide what comes next."""

DECIDES_NO_BATCH = {"model", "project", "name", "save_dir", "val", "amp"}
"""The training arguments in which trainings of a search may differ and on which no batch depends."""

DECIDES_NO_VALIDATION = DECIDES_NO_BATCH | {"seed", "epochs"}
"""The same of the validation's batches."""

SHARE_OF_MEMORY = 0.25
"""All that a process keeps takes at most this share of the memory that would be free without it."""

CONTROL_GROUPS = {  # a limit and what is used of it: version 2, version 1
    "/sys/fs/cgroup/memory.max": "/sys/fs/cgroup/memory.current",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "/sys/fs/cgroup/memory/memory.usage_in_bytes",
}

_EPOCHS: dict[tuple[Any, ...], list[Drawn]] = {}


class SharedBatches:
    """`loader` (an Ultralytics data loader) whose epochs are kept for whoever draws at the same `key` and seed.

    `augmented` says that batches depend on the random streams, which then start at the seed of the loader's generator.
    All else is the loader's own. Batches must not be changed in place; Ultralytics' trainer and validator do not.
    """

    def __init__(self, loader: Any, key: tuple[Any, ...], augmented: bool):
        self.loader, self.key, self.augmented = loader, key, augmented

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # a copy that has no attributes yet asks for it
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        key = (*self.key, self.loader.generator.initial_seed() if self.augmented else None)
        drawn = _EPOCHS.get(key)
        if drawn is None:
            yield from self._draw(key)
            return
        for batch, streams in drawn:
            if streams is not None:
                random.setstate(streams[0])
                np.random.set_state(streams[1])
            yield dict(batch)

    def _draw(self, key: tuple[Any, ...]) -> Iterator[Batch]:
        """Yield the loader's batches, and keep them once all were drawn, if there is room."""
        drawn: list[Drawn] | None = None
        for number, batch in enumerate(self.loader):
            if number == 0 and fits(len(self.loader) * _size(batch)):
                drawn = []
            if drawn is not None:
                drawn.append((self._kept(batch), self._streams()))
            yield batch
        if drawn and fits(sum(_size(batch) for batch, _ in drawn)):  # the first batch may have been the smallest
            _EPOCHS[key] = drawn

    def _streams(self) -> tuple[Any, Any] | None:
        return (random.getstate(), np.random.get_state()) if self.augmented else None

    def _kept(self, batch: Batch) -> Batch:
        """The mapping for itself, as a trainer changes it, with its tensors in ordinary memory, as pinned is scarce."""
        pinned = self.loader.pin_memory
        return {k: v.clone() if pinned and isinstance(v, torch.Tensor) else v for k, v in batch.items()}


def key_of(path: str, mode: str, batch_size: int, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides the batches of a split (`mode` is `train` or `val`) besides the random streams."""
    without = DECIDES_NO_BATCH if mode == "train" else DECIDES_NO_VALIDATION
    given = {name: repr(value) for name, value in arguments.items() if name not in without}
    return (path, mode, batch_size, *sorted(given.items()))


def forget() -> None:
    """Drop all that is kept."""
    _EPOCHS.clear()


def fits(size: int) -> bool:
    """Whether so many bytes may be kept beside what is kept already."""
    held = sum(_size(batch) for epoch in _EPOCHS.values() for batch, _ in epoch)
    return held + size <= SHARE_OF_MEMORY * (held + free_memory())


def free_memory() -> int:
    """Bytes that are free on this machine, or left of what a control group (a container, a Slurm job) allows."""
    free: int = psutil.virtual_memory().available
    for limit, used in CONTROL_GROUPS.items():
        with suppress(OSError, ValueError):  # there is no such group, or it says `max`
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
    return free


def _size(batch: Batch) -> int:
    return sum(value.nbytes for value in batch.values() if isinstance(value, torch.Tensor))
