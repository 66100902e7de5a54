"""Copies of a model, for its moving average and for the validation of that."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from torch import nn
from ultralytics.utils import torch_utils


def copied(model: nn.Module) -> nn.Module:
    """A deep copy, made without copying the dozen empty dictionaries of hooks of each module one by one."""
    plain = (dict, OrderedDict)
    empty = (v for module in model.modules() for v in vars(module).values() if type(v) in plain and not v)
    return deepcopy(model, {id(one): type(one)() for one in empty})


@contextmanager
def quick_average() -> Iterator[None]:
    """Make Ultralytics start the moving average of a model's weights from such a copy."""
    original: Any = torch_utils.deepcopy
    torch_utils.deepcopy = copied  # type: ignore[assignment]
    try:
        yield
    finally:
        torch_utils.deepcopy = original
