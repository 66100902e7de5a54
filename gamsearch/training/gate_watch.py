"""Watches attention rows while a detector is validated: what each of them does to the map of each image."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from gamsearch.analysis.gate_maps import MOST_CELLS, GateEffect

Region = tuple[float, float, float, float]
"""Where an image lies in the padded one that the detector gets: top, bottom, left, right as fractions of its sides."""

FLOOR = 1e-4
"""Least squared length of x at a position, as a share of the mean one: where a map is empty, no ratio explodes."""


class GateWatch:
    """The effects of attention rows, image by image.

    Attributes:
        effects: By site, one effect per image in the order of the validation.
    """

    def __init__(self, rows: Mapping[int, nn.Module]):
        self.effects: dict[int, list[GateEffect]] = {site: [] for site in rows}
        self._rows = rows
        self._regions: Sequence[Region] = ()
        self._given: dict[int, Tensor] = {}

    def expect(self, batch: Mapping[str, Any]) -> None:
        """Note where the images of the next forward pass lie; a pass before the first batch is ignored.

        Args:
            batch: A batch of an Ultralytics validation.
        """
        height, width = batch["img"].shape[2:]
        self._regions = [
            _region(height, width, shape, pad)
            for shape, pad in zip(batch["ori_shape"], batch["ratio_pad"], strict=True)
        ]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the rows inside this context."""
        handles = [
            handle
            for site, row in self._rows.items()
            for handle in (
                row.register_forward_pre_hook(lambda _, args, site=site: self._receive(site, args[0])),
                row.register_forward_hook(lambda _, args, output, site=site: self._return(site, output)),
            )
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _receive(self, site: int, x: Tensor) -> None:
        if self._regions:
            self._given[site] = x.detach().clone()  # a module may change its input in place

    def _return(self, site: int, y: Tensor) -> None:
        if self._regions:
            maps = zip(self._given.pop(site), y.detach(), self._regions, strict=True)
            self.effects[site] += [effect(*(_cropped(one, region) for one in (x, y))) for x, y, region in maps]


def effect(x: Tensor, y: Tensor) -> GateEffect:
    """Describe what a module did to one map.

    Args:
        x: What it received, `C x H x W`.
        y: What it returned, in the same shape.

    Returns:
        The effect.
    """
    x = x.float()
    d = y.float() - x
    squared, changed, along = x * x, d * d, d * x
    at, total, size = squared.sum(0), float(changed.sum()), float(squared.sum())
    change = (changed.sum(0) / at.clamp(min=FLOOR * max(size / at.numel(), 1e-30))).sqrt()
    explained = [_explained(along, squared, over) for over in ((0, 1, 2), (1, 2), (0,))]
    whole, channel, position = (share / total if total else 0.0 for share in explained)
    sides = (min(MOST_CELLS, change.shape[0]), min(MOST_CELLS, change.shape[1]))
    small = adaptive_avg_pool2d(change[None], sides)[0].cpu().numpy()
    factor = 1 + float(along.sum()) / size if size else 1.0
    return GateEffect(small, (total / size) ** 0.5 if size else 0.0, factor, (whole, channel, position))


def _explained(along: Tensor, squared: Tensor, over: tuple[int, ...]) -> float:
    """The squared change that one factor for all values `over` these dimensions explains."""
    return float((along.sum(over) ** 2 / squared.sum(over).clamp(min=torch.finfo(torch.float32).tiny)).sum())


def _region(height: int, width: int, shape: Sequence[int], ratio_pad: Any) -> Region:
    (gain_y, gain_x), (left, top) = ratio_pad
    bottom, right = top + shape[0] * gain_y, left + shape[1] * gain_x
    return top / height, min(1.0, bottom / height), left / width, min(1.0, right / width)


def _cropped(x: Tensor, region: Region) -> Tensor:
    """The part of a map `C x H x W` in a region, of at least one cell."""
    top, bottom, left, right = region
    height, width = x.shape[1:]
    row, column = min(int(top * height + 0.5), height - 1), min(int(left * width + 0.5), width - 1)
    return x[:, row : max(row + 1, int(bottom * height + 0.5)), column : max(column + 1, int(right * width + 0.5))]
