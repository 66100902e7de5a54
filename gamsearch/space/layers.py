"""The rows of a model YAML: sources as written, shapes as Ultralytics builds them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gamsearch.errors import ModelError
from gamsearch.parser.shapes import shapes_of


@dataclass(frozen=True)
class Row:
    """One row of a stock YAML.

    Attributes:
        index: Its number.
        sources: Absolute row numbers; -1 is the image.
        repeats: As written, before depth scaling.
        module: The name of its module.
        channels: Channels of its output; for the head, of the row before it.
        stride: Stride of its output; for the head, of its first source.
        part: `backbone`, `neck` or `head`.
        is_map: Whether its output is one feature map, which attention can read.
        convolutions: Convolutions in its module; 0 for the head.
        inner: Channels of its bottlenecks, which attention inside it reads; 0 without any.
    """

    index: int
    sources: tuple[int, ...]
    repeats: int
    module: str
    channels: int
    stride: int
    part: str
    is_map: bool = True
    convolutions: int = 0
    inner: int = 0

    @property
    def recorded(self) -> dict[str, Any]:
        """What the fingerprints of recorded runs are made of: all but the last three attributes."""
        return {name: value for name, value in vars(self).items() if name not in ("is_map", "convolutions", "inner")}


def read_rows(name: str, yaml: Mapping[str, Any]) -> tuple[Row, ...]:
    """Read `backbone` and `head` of a model YAML that states its `scale`; `ModelError` if a row cannot be read."""
    backbone, written = len(yaml["backbone"]), [*yaml["backbone"], *yaml["head"]]
    sources = [checked_sources(name, index, row) for index, row in enumerate(written)]
    try:
        shapes = shapes_of(yaml)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    rows = [
        Row(i, sources[i], written[i][1], written[i][2], s.channels, s.stride, part, s.is_map, s.convolutions, s.inner)
        for i, s in enumerate(shapes)
        for part in ["backbone" if i < backbone else "neck"]
    ]
    last, head = len(rows), written[-1]
    return (*rows, Row(last, sources[-1], head[1], head[2], rows[-1].channels, rows[sources[-1][0]].stride, "head"))


def checked_sources(name: str, index: int, row: Any) -> tuple[int, ...]:
    """The sources of row `index` of the YAML called `name` if its form is right; `ModelError` otherwise."""
    try:
        source, repeats, module, arguments = row
        if type(repeats) is not int or not isinstance(module, str) or not isinstance(arguments, list):
            raise ValueError("its repeats must be a whole number, its module a name and its arguments a list")
        if any(isinstance(a, float) and not math.isfinite(a) for a in arguments):
            raise ValueError("its numbers must be finite")
        return absolute_sources(index, source)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{name}: row {index} must be [from, repeats, module, arguments] with sources that precede it, "
            f"not {row} ({error})"
        ) from error


def absolute_sources(index: int, source: Any) -> tuple[int, ...]:
    """Turn the `from` of row `index` into absolute row numbers; -1 remains only for the image, which row 0 reads."""
    listed = source if isinstance(source, list) else [source]
    if not listed or not all(type(f) is int for f in listed):
        raise ValueError(f"its sources must be row numbers, not {source}")
    absolute = tuple(index + f if f < 0 else f for f in listed)
    if any(not (0 <= a < index or a == index - 1 == -1) for a in absolute):
        raise ValueError(f"it reads {source}")
    return absolute
