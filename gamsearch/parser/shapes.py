"""What each row of a model YAML gives out, read from Ultralytics itself: its parser builds the rows without weights.

They are built on torch's meta device and run once there on an image without pixels, so even the largest detector takes
a fraction of a second and no memory. A row that cannot be built or run there (a module of the user's that looks at its
values) is built with weights instead. No torch at import.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Any

from gamsearch.errors import ModelError, one_line
from gamsearch.parser import shape_cache
from gamsearch.parser.build import activation_kept
from gamsearch.parser.register import quiet_ultralytics, tasks_module
from gamsearch.parser.row_checks import check_rows, module_named

READ = (
    *("backbone", "head", "scale", "scales", "depth_multiple", "width_multiple"),
    *("activation", "channels", "reg_max", "kpt_shape"),
)
"""Keys of a model YAML that shapes depend on."""

SIDES = {"meta": 3840, "cpu": 256}
"""Side of the image in px by device: a multiple of all usual strides, large where it costs nothing."""


@dataclass(frozen=True)
class RowShape:
    """The output of one row.

    Attributes:
        channels: Its channels; their sum if it is a list of maps.
        stride: Its stride; of the first map of a list, 1 without any.
        is_map: Whether it is one feature map rather than a list or something else.
        convolutions: Convolutions in its module; 0 in an attention module, which is no block of a detector.
        inner: Channels of its bottlenecks, 0 without any: those of attention inside it.
    """

    channels: int
    stride: int
    is_map: bool
    convolutions: int
    inner: int


def shapes_of(yaml: Mapping[str, Any]) -> tuple[RowShape, ...]:
    """Read the outputs of all rows but the head.

    Args:
        yaml: A model YAML that states its `scale`; it is not changed.

    Returns:
        One shape per row.

    Raises:
        ModelError: Ultralytics cannot build a row, or the row cannot read what comes before it.
    """
    return _shapes(json.dumps({key: yaml[key] for key in READ if yaml.get(key) is not None}, default=str))


@lru_cache(maxsize=256)
def _shapes(text: str) -> tuple[RowShape, ...]:
    yaml = {**json.loads(text), "nc": 1}
    rows = [*yaml["backbone"], *yaml["head"]]
    stock = "ultralytics" not in sys.modules or _is_stock(yaml, rows)
    kept = shape_cache.kept(text) if stock else None
    if kept is not None and len(kept) == len(rows) - 1:
        return tuple(RowShape(*row) for row in kept)
    if "ultralytics" not in sys.modules:
        quiet_ultralytics()
        stock = _is_stock(yaml, rows)
    shapes = _built(tasks_module(), yaml)
    if stock:
        shape_cache.keep(text, [list(astuple(shape)) for shape in shapes])
    return shapes


def _is_stock(yaml: dict[str, Any], rows: list[Any]) -> bool:
    """Whether all modules are Ultralytics' or torch's own; a name may stand for a class of the user's."""
    tasks = tasks_module()
    check_rows(tasks, yaml, 1)
    return {module_named(tasks, row[2]).__module__.partition(".")[0] for row in rows} <= {"ultralytics", "torch"}


def _built(tasks: Any, yaml: dict[str, Any]) -> tuple[RowShape, ...]:
    import torch

    with activation_kept(tasks), torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            return _read(tasks, yaml, "meta")
        except ModelError as error:
            if "meta" not in str(error.__cause__):  # the message also quotes the row
                raise
            return _read(tasks, yaml, "cpu")


def _read(tasks: Any, yaml: dict[str, Any], device: str) -> tuple[RowShape, ...]:
    import torch

    rows, channels = [*yaml["backbone"], *yaml["head"]], yaml.get("channels", 3)
    with torch.device(device):
        try:
            layers = _parsed(tasks, yaml, rows)
        except Exception as error:  # a layer can raise anything
            number, reason = _first_failure(tasks, yaml, rows, error)
            raise ModelError(f"row {number}, {rows[number]}, cannot be built: {one_line(reason)}") from error
        return _run(layers, rows, torch.zeros(1, channels, SIDES[device], SIDES[device]))


def _parsed(tasks: Any, yaml: dict[str, Any], rows: list[Any]) -> Any:
    layers, _ = tasks.parse_model({**yaml, "backbone": deepcopy(rows), "head": []}, yaml.get("channels", 3), False)
    return layers.eval()


def _first_failure(tasks: Any, yaml: dict[str, Any], rows: list[Any], error: Exception) -> tuple[int, Exception]:
    """The first row that cannot be built, and why; the parser itself does not say which. Found by bisection."""
    first, last = 0, len(rows) - 1
    while first < last:
        middle = (first + last) // 2
        try:
            _parsed(tasks, yaml, rows[: middle + 1])
            first = middle + 1
        except Exception as reason:
            last, error = middle, reason
    return last, error


def _run(layers: Any, rows: list[Any], image: Any) -> tuple[RowShape, ...]:
    """Run all rows but the head, as Ultralytics does, and read the shapes of their outputs."""
    outputs: list[Any] = []
    shapes = []
    for number, row in enumerate(list(layers)[:-1]):
        listed = row.f if isinstance(row.f, list) else [row.f]
        sources = [outputs[f] if outputs else image for f in listed]
        try:
            with _norms_skipped(row):
                outputs.append(row(sources if isinstance(row.f, list) else sources[0]))
        except Exception as error:
            widths = " and ".join(str(s.shape[1]) for s in sources if getattr(s, "ndim", 0) == 4)
            reason = f"row {number}, {rows[number]}, cannot read {widths} channels: {one_line(error)}"
            raise ModelError(reason) from error
        shapes.append(_shape(row, outputs[-1], image.shape[2]))
    return tuple(shapes)


def _shape(row: Any, output: Any, side: int) -> RowShape:
    import torch

    from gamsearch.attention.inner import inner_width

    convolution = torch.nn.modules.conv._ConvNd
    found = [m for m in (output if isinstance(output, (list, tuple)) else [output]) if getattr(m, "ndim", 0) == 4]
    stride = max(round(side / max(found[0].shape[2], 1)), 1) if found else 1
    attention = hasattr(row, "identity_")
    convolutions = 0 if attention else sum(isinstance(module, convolution) for module in row.modules())
    is_map = torch.is_tensor(output) and bool(found)
    return RowShape(sum(m.shape[1] for m in found), stride, is_map, convolutions, inner_width(row))


@contextmanager
def _norms_skipped(row: Any) -> Iterator[None]:
    """Let batch norms pass their input on: they keep its shape, and on the meta device they load torch's compiler."""
    import torch

    norms: list[Any] = [module for module in row.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.forward = lambda x: x
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward
