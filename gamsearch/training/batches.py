"""Batches that are augmented once per process and shared by all trainings that would see the same ones.

All candidates of a search see the same augmented images in the same order (common random numbers). What determines a
batch is known in advance: the data set, the training arguments, and the seed of the epoch's random streams. The first
training that reaches such an epoch loads and augments its images. The others get the same batches, bit for bit, and the
random streams are left in the state in which loading would have left them.
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
Kept = tuple[Batch, tuple[Any, Any, Any] | None]
"""A batch, and the states of Python's, NumPy's and PyTorch's random streams after it if augmentation uses them."""

DECIDES_NO_BATCH = {"model", "project", "name", "save_dir", "val", "amp"}
"""Training arguments on which no training batch depends."""

DECIDES_NO_VALIDATION = DECIDES_NO_BATCH | {"seed", "epochs"}
"""Training arguments on which no validation batch depends."""

SHARE_OF_MEMORY = 0.25
"""Largest share of the otherwise free memory that kept batches may take."""

CONTROL_GROUPS = {  # a limit and the current use: version 2, version 1
    "/sys/fs/cgroup/memory.max": "/sys/fs/cgroup/memory.current",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "/sys/fs/cgroup/memory/memory.usage_in_bytes",
}

_EPOCHS: dict[tuple[Any, ...], list[Kept]] = {}


class SharedBatches:
    """An Ultralytics data loader whose epochs are kept for later trainings with the same key and seed.

    Batches must not be changed in place; Ultralytics' trainer and validator do not. All other attributes are the
    loader's own.

    Args:
        loader: The data loader.
        key: What determines its batches besides the random streams; see `key_of`.
        augmented: Whether batches depend on the random streams, which start at the seed of the loader's generator.
        draws_torch: Whether augmentation draws from PyTorch's random stream too.
    """

    def __init__(self, loader: Any, key: tuple[Any, ...], augmented: bool, draws_torch: bool = False):
        self.loader, self.key, self.augmented, self.draws_torch = loader, key, augmented, draws_torch

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # `copy` asks for it before it sets attributes
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        key = (*self.key, self.loader.generator.initial_seed() if self.augmented else None)
        loaded = _EPOCHS.get(key)
        if loaded is None:
            yield from self._load(key)
            return
        for batch, streams in loaded:
            if streams is not None:
                random.setstate(streams[0])
                np.random.set_state(streams[1])
                if streams[2] is not None:
                    torch.set_rng_state(streams[2])
            yield dict(batch)

    def _load(self, key: tuple[Any, ...]) -> Iterator[Batch]:
        """Yield the loader's batches, and keep them once the epoch is complete, if there is room."""
        loaded: list[Kept] | None = None
        for number, batch in enumerate(self.loader):
            if number == 0 and fits(len(self.loader) * _size(batch)):
                loaded = []
            if loaded is not None:
                loaded.append((self._kept(batch), self._streams()))
            yield batch
        if loaded and fits(sum(_size(batch) for batch, _ in loaded)):  # the first batch may have been the smallest
            _EPOCHS[key] = loaded

    def _streams(self) -> tuple[Any, Any, Any] | None:
        if not self.augmented:
            return None
        return random.getstate(), np.random.get_state(), torch.get_rng_state() if self.draws_torch else None

    def _kept(self, batch: Batch) -> Batch:
        """A copy of the mapping, which trainers change, with tensors in ordinary memory; pinned memory is scarce."""
        pinned = self.loader.pin_memory
        return {k: v.clone() if pinned and isinstance(v, torch.Tensor) else v for k, v in batch.items()}


def key_of(path: str, mode: str, batch_size: int, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
    """What determines the batches of a split (`mode` is `train` or `val`) besides the random streams."""
    without = DECIDES_NO_BATCH if mode == "train" else DECIDES_NO_VALIDATION
    given = {name: repr(value) for name, value in arguments.items() if name not in without}
    return (path, mode, batch_size, *sorted(given.items()))


def fits(size: int) -> bool:
    """Whether this number of bytes may be kept besides what is kept already."""
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
