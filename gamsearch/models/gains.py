"""Fold the constant factor of a gate (`gain`) into the layers that read the map, so that a deployed model does not pay.

A module with the factor g computes g a(x). Its readers are found from the graph: convolutions take the factor into the
weights of the channels that carry it, while concatenation, upsampling and pooling pass it to the layers behind them. A
power of two is exact in floating point. For deployment only: weights folded so no longer fit the model YAML.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from gamsearch.attention.inner import holds_attention, width_inside
from gamsearch.models.identity import predictions
from gamsearch.parser.build import Model
from gamsearch.parser.register import tasks_module

LINEAR = (nn.Upsample, nn.MaxPool2d, nn.AvgPool2d, nn.ZeroPad2d, nn.Identity, nn.Dropout)
"""Layers without weights whose output scales with their input."""


@dataclass(frozen=True)
class _Reader:
    """A layer that reads a map in the channels `start` to `stop` of its input number `position`, None for the only."""

    layer: Any
    position: int | None
    start: int
    stop: int
    is_head: bool

    @property
    def name(self) -> str:
        return f"row {self.layer.i} ({type(self.layer).__name__})"


@dataclass(frozen=True)
class _Call:
    """The arguments of a layer in one pass, and its output."""

    args: tuple[Any, ...]
    options: dict[str, Any]
    output: Any


class _NotFoldedError(Exception):
    """Why a factor stays."""


def fold_gains(model: Model) -> tuple[list[str], list[str]]:
    """Fold the constant factor of each attention row, and of attention inside a block, into its readers, in place.

    Args:
        model: The model in eval mode. Fuse it first: before that, some blocks have paths without a convolution.

    Returns:
        The rows whose factor is folded, so that their `gain` is 1, and a sentence for each whose factor stays.
    """
    rows = [layer for layer in model.model if getattr(layer, "gain", 1.0) != 1.0]
    folded: list[str] = []
    kept: list[str] = []
    with torch.no_grad():
        calls = _calls(model) if rows else []
        for row in rows:
            name = f"row {row.i} ({type(row).__name__})"
            width = calls[row.i].output.shape[1]
            changed: list[tuple[nn.Conv2d, Tensor]] = []
            try:
                for reader in _readers(model, calls, row.i, 0, width):
                    _fold(reader, calls[reader.layer.i], row.gain, changed)
            except _NotFoldedError as reason:
                for conv, weight in reversed(changed):
                    conv.weight.data = weight
                kept.append(f"the factor {row.gain:g} of {name} stays: {reason}")
            else:
                row.gain = 1.0
                folded.append(name)
        for block in (layer for layer in model.model if holds_attention(layer)):
            gain, name = getattr(block.m.attention, "gain", 1.0), f"row {block.i} ({type(block.m.attention).__name__})"
            if gain != 1.0 and _fold_inside(block, gain):
                folded.append(name)
            elif gain != 1.0:
                kept.append(f"the factor {gain:g} of {name} stays: without it the block computes something else")
    return folded, kept


def _fold_inside(block: Any, gain: float) -> bool:
    """Fold the factor of attention inside a block into the convolution that joins the block's maps, if that is exact.

    `C2f` concatenates the attended map last, `C3` first.
    """
    conv, width = (block.cv3 if hasattr(block, "cv3") else block.cv2).conv, width_inside(block)
    weight, factors = conv.weight.data, torch.ones(conv.in_channels).to(conv.weight)
    factors[: width if hasattr(block, "cv3") else None][-width:] = gain
    x = torch.rand(1, block.cv1.conv.in_channels, 8, 8, generator=torch.Generator().manual_seed(0)).to(weight)
    before = block(x)
    conv.weight.data, block.m.attention.gain = weight * factors[:, None, None], 1.0
    if torch.equal(block(x), before):
        return True
    conv.weight.data, block.m.attention.gain = weight, gain
    return False


def _calls(model: Model) -> list[_Call]:
    """Run the model once on a small image and record what each layer receives and returns."""
    calls: dict[int, _Call] = {}

    def record(layer: Any, args: Any, options: Any, output: Any) -> None:
        copied = [list(args[0]), *args[1:]] if isinstance(args[0], list) else args
        calls[layer.i] = _Call(tuple(copied), options, output)

    handles = [layer.register_forward_hook(record, with_kwargs=True) for layer in model.model]
    side, weight = max(64, 2 * int(max(model.stride))), next(model.parameters())
    image = torch.rand(1, model.yaml.get("channels", 3), side, side, generator=torch.Generator().manual_seed(0))
    try:
        model(image.to(weight))
    finally:
        for handle in handles:
            handle.remove()
    return [calls[layer.i] for layer in model.model]


def _readers(model: Model, calls: list[_Call], source: int, start: int, width: int) -> Iterator[_Reader]:
    """Find the layers that read the channels `start` to `start + width` of the output of layer `source`."""
    for layer in model.model[source + 1 :]:
        index, alone = int(layer.i), isinstance(layer.f, int)
        for position, origin in enumerate([layer.f] if alone else layer.f):
            if (origin if origin >= 0 else index + origin) != source:
                continue
            if isinstance(layer, tasks_module().Concat) and layer.d == 1:
                before = sum(x.shape[1] for x in calls[index].args[0][:position])
                yield from _readers(model, calls, index, before + start, width)
            elif isinstance(layer, LINEAR):
                yield from _readers(model, calls, index, start, width)
            else:
                yield _Reader(layer, None if alone else position, start, start + width, layer is model.model[-1])


def _fold(reader: _Reader, call: _Call, gain: float, changed: list[tuple[nn.Conv2d, Tensor]]) -> None:
    """Multiply what a layer's convolutions read from a map by `gain`; raise `_NotFoldedError` if that changes more."""
    given = call.args[0] if reader.position is None else call.args[0][reader.position]
    with _reading(reader.layer, given) as convs:
        before = _run(reader, call, given)
    if not convs and reader.stop - reader.start == given.shape[1]:  # a pooling may come first, as in YOLOv9's AConv
        convs = [m for m in reader.layer.modules() if isinstance(m, nn.Conv2d)]
    for conv in convs:
        changed.append((conv, conv.weight.data))
        conv.weight.data = conv.weight.data * _factors(conv, gain, reader)
    smaller = given.clone()
    smaller[:, reader.start : reader.stop] /= gain
    after = _run(reader, call, smaller)
    if not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
        raise _NotFoldedError(f"{reader.name} reads it by more than convolutions")


def _run(reader: _Reader, call: _Call, given: Tensor) -> list[Tensor]:
    """Run a layer on one changed input; return all tensors of its output."""
    inputs: Any = given
    if reader.position is not None:
        inputs = list(call.args[0])
        inputs[reader.position] = given
    output = reader.layer(inputs, *call.args[1:], **call.options)
    if reader.is_head:  # after its predictions, a head also returns what it read
        return predictions(output)
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]


@contextmanager
def _reading(layer: nn.Module, given: Tensor) -> Iterator[list[nn.Conv2d]]:
    """Collect the convolutions in a layer that read exactly the map `given`."""
    found: list[nn.Conv2d] = []

    def look(conv: Any, args: tuple[Tensor, ...]) -> None:
        x = args[0]
        if conv not in found and x.data_ptr() == given.data_ptr() and x.shape == given.shape:
            found.append(conv)

    handles = [m.register_forward_pre_hook(look) for m in layer.modules() if isinstance(m, nn.Conv2d)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _factors(conv: nn.Conv2d, gain: float, reader: _Reader) -> Tensor:
    """By what each weight of a convolution is multiplied: `gain` for the channels of the map."""
    factors = torch.ones(conv.in_channels).to(conv.weight)
    factors[reader.start : reader.stop] = gain
    grouped = factors.view(conv.groups, 1, -1).expand(-1, conv.out_channels // conv.groups, -1)
    return grouped.reshape(conv.out_channels, -1, 1, 1)
