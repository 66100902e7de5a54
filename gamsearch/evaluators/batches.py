"""Draw the batches of an epoch once per process and hand them to every training that would draw the same ones.

All candidates of a search see the same augmented images in the same order (common random numbers), so what decides a
batch is known beforehand: the data set, the training arguments, and the seed at which the random streams of the epoch
start. The first training that comes to such an epoch loads and augments its images; the others get what it got, bit
for bit, and the random streams are left where drawing would have left them.
"""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import torch

Batch = dict[str, Any]
Drawn = tuple[Batch, tuple[Any, Any]]

SHARE_OF_MEMORY = 0.25
"""All that is kept takes at most this share of the memory that would be free without it."""

_EPOCHS: dict[tuple[Any, ...], list[Drawn]] = {}


class SharedBatches:
    """`loader` (an Ultralytics data loader) whose epochs are kept for whoever draws at the same `key` and seed.

    `augmented` says that batches depend on the random streams, which then start at the seed of the loader's generator.
    All else is the loader's own. Batches must not be changed in place; Ultralytics' trainer and validator do not.
    """

    def __init__(self, loader: Any, key: tuple[Any, ...], augmented: bool):
        self.loader, self.key, self.augmented = loader, key, augmented

    def __getattr__(self, name: str) -> Any:
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
            if self.augmented:
                random.setstate(streams[0])
                np.random.set_state(streams[1])
            yield dict(batch)

    def _draw(self, key: tuple[Any, ...]) -> Iterator[Batch]:
        """Yield the loader's batches, and keep them once all were drawn, if there is room."""
        drawn: list[Drawn] | None = None
        for number, batch in enumerate(self.loader):
            if number == 0 and fits(batch, len(self.loader)):
                drawn = []
            if drawn is not None:
                drawn.append((self._kept(batch), (random.getstate(), np.random.get_state())))
            yield batch
        if drawn:
            _EPOCHS[key] = drawn

    def _kept(self, batch: Batch) -> Batch:
        """The mapping for itself, as a trainer changes it, with its tensors in ordinary memory, as pinned is scarce."""
        pinned = self.loader.pin_memory
        return {k: v.clone() if pinned and isinstance(v, torch.Tensor) else v for k, v in batch.items()}


def forget() -> None:
    """Drop all that is kept."""
    _EPOCHS.clear()


def fits(batch: Batch, count: int) -> bool:
    """Whether `count` batches like this one may be kept beside what is kept already."""
    held = sum(_size(kept) for epoch in _EPOCHS.values() for kept, _ in epoch)
    return held + count * _size(batch) <= SHARE_OF_MEMORY * (held + psutil.virtual_memory().available)


def _size(batch: Batch) -> int:
    return sum(value.nbytes for value in batch.values() if isinstance(value, torch.Tensor))
