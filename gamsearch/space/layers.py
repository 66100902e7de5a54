"""The rows of a model YAML resolved as Ultralytics' parser resolves them: absolute sources, scaled widths, strides."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gamsearch.errors import ModelError


@dataclass(frozen=True)
class Row:
    """One row of a stock YAML.

    Attributes:
        index: Its number.
        sources: Absolute row numbers; -1 is the image.
        repeats: As written, before depth scaling.
        module: The name of its module.
        channels: Output width after width scaling.
        stride: Stride of the output map; for the head, of its first source.
        part: `backbone`, `neck` or `head`.
    """

    index: int
    sources: tuple[int, ...]
    repeats: int
    module: str
    channels: int
    stride: int
    part: str


STAGES = frozenset({
    "A2C2f", "Bottleneck", "BottleneckCSP", "C1", "C2", "C2f", "C2fAttn", "C2fCIB", "C2fPSA", "C2PSA", "C3",
    "C3Ghost", "C3k2", "C3TR", "C3x", "ELAN1", "HGBlock", "PSA", "RepC3", "RepNCSPELAN4", "ResNetLayer", "SPP",
    "SPPELAN", "SPPF",
})  # fmt: skip
"""Blocks that end a stage of a backbone or a neck."""

LIST_OR_TEXT = frozenset({"CBLinear", "ImagePoolingAttn", "TorchVision"})
"""Modules whose output is a list of maps or text features, which attention cannot read."""

_SCALED = frozenset({
    "A2C2f", "AConv", "ADown", "Bottleneck", "BottleneckCSP", "C1", "C2", "C2f", "C2fAttn", "C2fCIB", "C2fPSA",
    "C2PSA", "C3", "C3Ghost", "C3k2", "C3TR", "C3x", "Conv", "ConvTranspose", "DWConv", "DWConvTranspose2d", "ELAN1",
    "Focus", "GhostBottleneck", "GhostConv", "nn.ConvTranspose2d", "PSA", "RepC3", "RepNCSPELAN4", "SCDown", "SPP",
    "SPPELAN", "SPPF",
})  # fmt: skip
"""Modules whose first argument is a width that the scale multiplies."""

Width = Callable[[list[Any], list[int], int], int]


def _carried(arguments: list[Any], sources: list[int], previous: int) -> int:
    """The parser keeps the width of the previous row."""
    return previous


def _second(arguments: list[Any], sources: list[int], previous: int) -> int:
    return arguments[1]


_WIDTHS: dict[str, Width] = {
    "Concat": lambda arguments, sources, previous: sum(sources),
    "CBFuse": lambda arguments, sources, previous: sources[-1],
    "CBLinear": lambda arguments, sources, previous: sum(arguments[0]),
    "HGBlock": _second,
    "HGStem": _second,
    "Index": lambda arguments, sources, previous: arguments[0],
    "ResNetLayer": lambda arguments, sources, previous: arguments[1] * (1 if arguments[3] else 4),
    "TorchVision": lambda arguments, sources, previous: arguments[0],
    "AIFI": _carried,
    "ImagePoolingAttn": _carried,
    "nn.BatchNorm2d": _carried,
}


def _argument(position: int) -> Callable[[list[Any]], float]:
    """The stride is the argument at `position`, or 1 if it is omitted."""
    return lambda arguments: arguments[position] if len(arguments) > position else 1


def _pool(arguments: list[Any]) -> float:
    """The stride of pooling is its kernel size unless one is given."""
    return arguments[1] if len(arguments) > 1 and arguments[1] else arguments[0]


_STRIDES: dict[str, Callable[[list[Any]], float]] = {
    **dict.fromkeys(("Conv", "DWConv", "GhostConv", "GhostBottleneck", "SCDown"), _argument(2)),
    **dict.fromkeys(("ConvTranspose", "DWConvTranspose2d", "nn.ConvTranspose2d"), lambda a: 1 / _argument(2)(a)),
    **dict.fromkeys(("nn.AvgPool2d", "nn.MaxPool2d"), _pool),
    "AConv": lambda arguments: 2,
    "ADown": lambda arguments: 2,
    "Focus": lambda arguments: 2 * _argument(2)(arguments),
    "HGStem": lambda arguments: 4,
    "ResNetLayer": lambda arguments: 4 if arguments[3] else arguments[2],
    "nn.Upsample": lambda arguments: 1 / arguments[1],
}


def read_rows(name: str, yaml: Mapping[str, Any]) -> tuple[Row, ...]:
    """Resolve `backbone` and `head` of a model YAML that states its `scale`; `ModelError` if a row cannot be read."""
    backbone = len(yaml["backbone"])
    written = [*yaml["backbone"], *yaml["head"]]
    scaled = _width_rule(yaml)
    rows: list[Row] = []
    for index, row in enumerate(written):
        part = "backbone" if index < backbone else "neck" if index < len(written) - 1 else "head"
        try:
            rows.append(_read_row(index, row, part, rows, yaml.get("channels", 3), scaled))
        except (TypeError, ValueError, LookupError, ArithmeticError) as error:
            raise ModelError(
                f"{name}: row {index} must be [from, repeats, module, arguments] with sources that precede it, "
                f"not {row} ({error})"
            ) from error
    return tuple(rows)


def _read_row(
    index: int, row: Any, part: str, before: Sequence[Row], image_channels: int, scaled: Callable[[int], int]
) -> Row:
    source, repeats, module, arguments = row
    if not isinstance(arguments, list):
        raise ValueError("its arguments must be a list")
    if not isinstance(module, str) or any(isinstance(a, float) and not math.isfinite(a) for a in arguments):
        raise ValueError("its module must be a name and its numbers finite")
    sources = absolute_sources(index, source)
    inputs = [before[s] for s in sources if s >= 0]
    widths = [r.channels for r in inputs] or [image_channels]
    previous = before[-1].channels if before else image_channels
    if part == "head":
        channels = previous
    elif module in _SCALED:
        channels = scaled(arguments[0])
    else:
        channels = _WIDTHS.get(module, lambda a, w, p: w[0])(arguments, widths, previous)
    upstream = inputs[-1 if module == "CBFuse" else 0].stride if inputs else 1
    stride = upstream if part == "head" else upstream * _STRIDES.get(module, lambda a: 1)(arguments)
    return Row(index, sources, int(repeats), str(module), channels, max(round(stride), 1), part)


def absolute_sources(index: int, source: int | list[int]) -> tuple[int, ...]:
    """Turn the `from` of row `index` into absolute row numbers; -1 remains only for the image, which row 0 reads."""
    listed = source if isinstance(source, list) else [source]
    if not listed or not all(type(f) is int for f in listed):
        raise ValueError(f"its sources must be row numbers, not {source}")
    absolute = tuple(index + f if f < 0 else f for f in listed)
    if any(not (0 <= a < index or a == index - 1 == -1) for a in absolute):
        raise ValueError(f"it reads {source}")
    return absolute


def _width_rule(yaml: Mapping[str, Any]) -> Callable[[int], int]:
    """The parser's scaling of a written width: capped, multiplied, rounded up to a multiple of 8."""
    width, most = yaml.get("width_multiple", 1.0), math.inf
    if yaml.get("scales"):
        _, width, most = yaml["scales"][yaml["scale"]]
    return lambda channels: math.ceil(min(channels, most) * width / 8) * 8
