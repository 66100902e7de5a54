"""The torch half of the catalogue: the class behind each name, imported when it is first asked for."""

from functools import cache
from importlib import import_module

from torch import nn

from gamsearch.attention.catalogue import CATALOGUE, spec_named


@cache
def attention_class(name: str) -> type[nn.Module]:
    """Return the class of the attention module `name`; an unknown name raises `SpaceError` with the known ones."""
    module, _, attribute = spec_named(name).code.partition(":")
    found: type[nn.Module] = getattr(import_module(module), attribute)
    return found


def attention_classes() -> dict[str, type[nn.Module]]:
    """Every name of the catalogue with its class."""
    return {name: attention_class(name) for name in CATALOGUE}
