"""The torch half of the catalogue: the class behind each name, imported when it is first needed."""

from importlib import import_module
from typing import Protocol

from torch import Tensor, nn

from gamsearch.attention.catalogue import CATALOGUE, AttentionSpec, spec_named


class AttentionModule(Protocol):
    """What an attention module must do; `gamsearch.testing` checks it.

    The constructor takes the number of channels first, then the options that its catalogue entry lists.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Attend to a map.

        Args:
            x: `B x C x H x W`, in float32 or, where the network runs in half precision, float16.

        Returns:
            A map of the same shape and type, finite where `x` is.
        """
        ...

    def identity_(self) -> None:
        """Set the parameters so that `forward` returns its input exactly, while gradients still reach all of them.

        A module without this method must start as the identity when it is constructed.
        """
        ...

    def fuse(self) -> None:
        """Turn the module into its deployment form, which computes the same; optional."""
        ...


def class_of(spec: AttentionSpec) -> type[nn.Module]:
    """Import the class of an attention module.

    Args:
        spec: Its catalogue entry.

    Returns:
        The class.
    """
    if spec.cls is not None:
        return spec.cls
    module, _, attribute = spec.code.partition(":")
    found: type[nn.Module] = getattr(import_module(module), attribute)
    return found


def attention_class(name: str) -> type[nn.Module]:
    """Import the class of an attention module by name.

    Args:
        name: Its name in the catalogue.

    Returns:
        The class.

    Raises:
        SpaceError: There is no such module.
    """
    return class_of(spec_named(name))


def attention_classes() -> dict[str, type[nn.Module]]:
    """Every name in the catalogue with its class."""
    return {name: class_of(spec) for name, spec in CATALOGUE.items()}
