"""Check that it is harmless to let Ultralytics' parser build a model YAML. No torch at import.

The parser evaluates, fetches or allocates whatever a row names, so rows are checked before it sees them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from gamsearch.attention.spec import INNER_ARGUMENTS, INNER_ROW
from gamsearch.errors import ModelError

ACTIVATION = re.compile(r"(torch\.)?nn\.[A-Z]\w*\([\w=., -]*\)")
"""Ultralytics evaluates the text of a model YAML's `activation`, so only the call of a PyTorch module is allowed."""

MAX_ROWS, MAX_REPEATS, LARGEST = 1000, 100, 65536
"""Ultralytics' own model YAMLs have up to 60 rows, 12 repeats and widths of 2048."""

LARGEST_FACTORS = {"depth_multiple": 10, "width_multiple": 10, "reg_max": 256, "channels": 64, "kpt_shape": 1000}
"""Upper limits of the other keys that multiply a detector's size."""


def is_activation(value: Any) -> bool:
    """Check whether it is safe to let Ultralytics evaluate a model YAML's `activation`.

    Args:
        value: The value of the key, or None if it is absent.

    Returns:
        True for None and for the call of a PyTorch module.
    """
    return value is None or (isinstance(value, str) and ACTIVATION.fullmatch(value) is not None)


def check_rows(tasks: Any, yaml: Mapping[str, Any], nc: int) -> None:
    """Check that it is safe to let Ultralytics' parser build a model YAML.

    Args:
        tasks: What `tasks_module` returns.
        yaml: The model YAML.
        nc: Number of classes.

    Raises:
        ModelError: The parser would execute or download something, or a size would exhaust memory.
    """
    activation, rows = yaml.get("activation"), [*yaml.get("backbone", ()), *yaml.get("head", ())]
    if not is_activation(activation):
        raise ModelError(
            f"the model YAML's activation must be like torch.nn.SiLU() or nn.LeakyReLU(0.1), not {activation!r}"
        )
    if len(rows) > MAX_ROWS or not 1 <= nc <= LARGEST:
        raise ModelError(
            f"a model YAML may have up to {MAX_ROWS} rows and from 1 to {LARGEST} classes, "
            f"but this one has {len(rows)} rows and {nc} classes: correct it"
        )
    for name, largest in LARGEST_FACTORS.items():
        if not all(0 < value <= largest for value in _numbers([yaml.get(name, 1)])):
            raise ModelError(f"the model YAML's {name} must be above 0 and at most {largest}, not {yaml[name]!r}")
    for scale in _scales(yaml):
        if not (len(scale) == 3 and all(0 < v <= top for v, top in zip(scale, (10, 10, LARGEST), strict=True))):
            raise ModelError(f"the model YAML's scales must be [depth, width, max channels], not {list(scale)}")
    for number, row in enumerate(rows):
        problem = _problem(tasks, row)
        if problem:
            raise ModelError(f"the model YAML's row {number}, {row}, {problem}; correct the row")


def _scales(yaml: Mapping[str, Any]) -> list[tuple[float, ...]]:
    scales = yaml.get("scales") or {}
    values = scales.values() if isinstance(scales, Mapping) else []
    return [tuple(_numbers(value if isinstance(value, (list, tuple)) else [value])) for value in values]


def _problem(tasks: Any, row: Any) -> str | None:
    """Why a row must not reach Ultralytics, or None."""
    import torch

    if not isinstance(row, (list, tuple)) or len(row) != 4 or not isinstance(row[3], (list, tuple)):
        return "must be [from, repeats, module, arguments]"
    _, repeats, name, arguments = row
    if type(repeats) is not int or not 1 <= repeats <= MAX_REPEATS:
        return f"must have from 1 to {MAX_REPEATS} repeats"
    if any(not abs(value) <= LARGEST for value in _numbers(arguments)):
        return f"has an argument beyond {LARGEST}"
    module = module_named(tasks, name)
    if module is None:
        return "names a module that Ultralytics does not know"
    if not (isinstance(module, type) and issubclass(module, torch.nn.Module)) or issubclass(module, tasks.BaseModel):
        return "names something that is not a layer"
    if name == "TorchVision":
        return _download(arguments)
    return _problem_inside(tasks, row) if name == INNER_ROW else None


def _problem_inside(tasks: Any, row: Any) -> str | None:
    """Why the block of a row with attention inside it, or its module, must not reach Ultralytics; None if they may."""
    source, repeats, _, arguments = row
    if [type(value) for value in arguments] != INNER_ARGUMENTS:
        return "must name a block, its arguments, a module and its options, as in [C2f, [128, True], GAM, [4]]"
    block, own, module, options = arguments
    found = _problem(tasks, [source, repeats, block, own]) or _problem(tasks, [-1, 1, module, options])
    wrong = [name for name in (block, module) if name == INNER_ROW or name not in vars(tasks)]
    return found or (f"names {wrong[0]}, which such a row cannot hold" if wrong else None)


def _download(arguments: Sequence[Any]) -> str | None:
    """Why a TorchVision row would download weights, or None."""
    from torchvision import models

    if len(arguments) < 3 or arguments[2] not in (None, "None"):
        return "would download weights, which must be None"
    if arguments[1] not in models.list_models(module=models):  # the others fetch a backbone in any case
        return "names no classification model of TorchVision"
    return None


def _numbers(values: Any) -> Iterator[float]:
    """All numbers in a row's arguments, including nested ones and those written as text."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _numbers(value)
        elif isinstance(value, str):
            with suppress(ValueError):
                yield float(value)
        elif isinstance(value, (int, float)):
            yield float(value)


def module_named(tasks: Any, name: Any) -> Any:
    """Find what Ultralytics' parser makes of a row's module name.

    Args:
        tasks: What `tasks_module` returns.
        name: The name in the row.

    Returns:
        The class, or None.
    """
    if not isinstance(name, str):
        return None
    for prefix, package in (("nn.", "torch.nn"), ("torchvision.ops.", "torchvision.ops")):
        if name.startswith(prefix):
            return getattr(import_module(package), name.removeprefix(prefix), None)
    return vars(tasks).get(name)
