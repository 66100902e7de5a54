"""The attention of a shared network after or inside one site: its placements, of which one is active, or none."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gamsearch.architecture import Architecture, Placement
from gamsearch.supernet.paths import families


class Switch(nn.Module):
    """One of several attention modules, or none: the map unchanged.

    Placements of a nested module share weights: a weaker one computes with the first hidden units of the strongest.
    Each has batch-norm statistics of its own. The weights of modules that are not active get no gradient, so that the
    optimiser leaves them as they are.

    Args:
        site: The site.
        modules: The placements of the site, each with its module.

    Raises:
        ValueError: A weaker module does not fit into the strongest of its family.
    """

    def __init__(self, site: int, modules: Mapping[Placement, nn.Module]):
        super().__init__()
        self.site, self.placements = site, tuple(modules)
        self.options = nn.ModuleList(modules.values())
        self.active: int | None = None
        self.owner = list(range(len(self.options)))
        self._sizes: dict[int, dict[str, torch.Size]] = {}
        for family in families(self.placements):
            strongest = self.placements.index(family[-1])
            for weaker in family[:-1]:
                self._share(self.placements.index(weaker), strongest)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the active module.

        Args:
            x: `B x C x H x W`.

        Returns:
            The attended map, or `x` itself while none is active.
        """
        if self.active is None:
            return x
        module, sizes = self.options[self.active], self._sizes.get(self.active, {})
        shared = dict(self.options[self.owner[self.active]].named_parameters()) if sizes else {}
        leading = {name: shared[name][tuple(slice(n) for n in size)] for name, size in sizes.items()}
        attended: Tensor = functional_call(module, leading, (x,)) if sizes else module(x)
        return attended

    def choose(self, placement: Placement | None) -> None:
        """Activate a placement; none if it is not one of this switch, as where a site has one inside and one after."""
        self.active = self.placements.index(placement) if placement in self.placements else None

    def trained(self) -> list[tuple[Placement, nn.Module]]:
        """The placements that have weights of their own, each with its module."""
        return [(p, self.options[i]) for i, p in enumerate(self.placements) if i not in self._sizes]

    def _share(self, weaker: int, strongest: int) -> None:
        """Let a module use the weights of a stronger one instead of its own, which are emptied."""
        large = dict(self.options[strongest].named_parameters())
        sizes = {name: tensor.shape for name, tensor in self.options[weaker].named_parameters()}
        if sizes.keys() != large.keys() or any(not _fits(size, large[name].shape) for name, size in sizes.items()):
            raise ValueError(f"{self.placements[weaker].label} does not fit into {self.placements[strongest].label}")
        for parameter in self.options[weaker].parameters():
            parameter.data = parameter.data.new_empty(0)
        self.owner[weaker], self._sizes[weaker] = strongest, sizes


def _fits(small: Sequence[int], large: Sequence[int]) -> bool:
    return len(small) == len(large) and all(a <= b for a, b in zip(small, large, strict=True))


def switches(model: nn.Module) -> list[Switch]:
    """List the switches of a shared network.

    Args:
        model: The network.

    Returns:
        Its switches in the order of their rows.
    """
    return [module for module in model.modules() if isinstance(module, Switch)]


def activate(model: Any, architecture: Architecture) -> None:
    """Make a shared network compute an architecture.

    Args:
        model: The network.
        architecture: An architecture of its space.
    """
    placements = {placement.site: placement for placement in architecture.placements}
    for switch in switches(model):
        switch.choose(placements.get(switch.site))
