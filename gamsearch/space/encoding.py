"""The static encoding of architectures as ordinal parameters. No torch, no Optuna.

Every parameter always has a value: per site an ordinal `site4.strength` (0: no module, then weak to strong), one
ordinal per further option with several values (`site4.groups`), and `site4.module` if there are several modules.
Strengths that a site's channels do not allow are left out there. If the value of another option cannot be built, the
first that can replaces it, so several encodings may decode to one architecture; architectures are canonical.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from gamsearch.architecture import Architecture, Option, Placement
from gamsearch.errors import SpaceError
from gamsearch.space.detector import Detector
from gamsearch.space.options import ModuleOptions

Choose = Callable[[str, int, int], int]
"""Called with a parameter's name, its lowest and its highest value; returns an integer between them."""


@dataclass(frozen=True)
class Encoding:
    """The parameters of the placements of `modules` at `sites`, and how their values decode."""

    detector: Detector
    sites: tuple[int, ...]
    semantics: str
    modules: tuple[ModuleOptions, ...]

    @cached_property
    def parameters(self) -> dict[str, tuple[int, int]]:
        """Every parameter with its lowest and highest value, both included."""
        return {f"site{site}.{name}": (0, high) for site in self.sites for name, high in self._highest[site].items()}

    @cached_property
    def _highest(self) -> dict[int, dict[str, int]]:
        """Per site its parameters with their highest values: strength, module if several, options if several."""
        return {site: self._highest_at(site) for site in self.sites}

    def _highest_at(self, site: int) -> dict[str, int]:
        highest = {"strength": max(len(self.strengths(site, module)) for module in self.modules)}
        if len(self.modules) > 1:
            highest["module"] = len(self.modules) - 1
        for module in self.modules:
            for name, values in module.options:
                if len(values) > 1:
                    highest[name] = max(highest.get(name, 0), len(values) - 1)
        return highest

    def strengths(self, site: int, module: ModuleOptions) -> tuple[Option, ...]:
        """The strengths that the channels of a site allow, weak to strong."""
        return module.strengths_on(self.detector.rows[site].channels)

    def decode(self, values: Mapping[str, int]) -> Architecture:
        """The canonical architecture that the parameter values encode."""
        placements = []
        for site in self.sites:
            chosen = {name: values[f"site{site}.{name}"] for name in self._highest[site]}
            if chosen["strength"] > 0:
                placements.append(self._decode_site(site, chosen))
        return Architecture.of(self.detector.name, placements)

    def _decode_site(self, site: int, chosen: Mapping[str, int]) -> Placement:
        module = self.modules[chosen.get("module", 0)]
        strength = _clamped(self.strengths(site, module), chosen["strength"] - 1)
        preferred = {name: _clamped(offered, chosen.get(name, 0)) for name, offered in module.options}
        return self.place(site, module, next(module.legal(self.detector.rows[site].channels, strength, preferred)))

    def place(self, site: int, module: ModuleOptions, options: Mapping[str, Option]) -> Placement:
        """The canonical placement; where the head is the only reader of a site, `branch` is `inline`."""
        canonical, head = module.spec.canonical(options), len(self.detector.rows) - 1
        if self.semantics == "inline" or self.detector.readers(site) == (head,):
            return Placement(site, module.name, canonical)
        return Placement(site, module.name, canonical, "branch", (head,))

    def encode(self, architecture: Architecture) -> dict[str, int]:
        """The first parameter values that decode to the architecture; `SpaceError` if there are none."""
        values = dict.fromkeys(self.parameters, 0)
        for placement in architecture.placements:
            if placement not in self._first_values:
                raise SpaceError(f"{placement.label} is not in the space on {self.detector.name}")
            for name, value in self._first_values[placement].items():
                values[f"site{placement.site}.{name}"] = value
        if self.decode(values) != architecture:
            raise SpaceError(f"{architecture.label} on {architecture.detector} is not in the space")
        return values

    @cached_property
    def _first_values(self) -> dict[Placement, dict[str, int]]:
        """For every placement of the space, the first parameter values that decode to it."""
        found: dict[Placement, dict[str, int]] = {}
        for site, highest in self._highest.items():
            for combination in product(*(range(high + 1) for high in highest.values())):
                chosen = dict(zip(highest, combination, strict=True))
                if chosen["strength"]:
                    found.setdefault(self._decode_site(site, chosen), chosen)
        return found

    @cached_property
    def placements(self) -> dict[int, tuple[Placement, ...]]:
        """All distinct placements at each site, weak to strong within each module."""
        return {site: tuple(dict.fromkeys(self._placements_at(site))) for site in self.sites}

    def _placements_at(self, site: int) -> Iterator[Placement]:
        channels = self.detector.rows[site].channels
        for module in self.modules:
            for strength in self.strengths(site, module):
                for options in module.legal(channels, strength):
                    yield self.place(site, module, options)

    def usual(self, site: int, module: ModuleOptions) -> Placement:
        """The module with the legal strength nearest to its default and the first other options legal with it."""
        strengths = self.strengths(site, module)
        default = module.spec.options.get(module.spec.strength, strengths[-1])
        strength = min(strengths, key=lambda s: abs(float(s) - float(default)))
        return self.place(site, module, next(module.legal(self.detector.rows[site].channels, strength)))


def _clamped(values: Sequence[Option], index: int) -> Option:
    """The value at `index`, or the last one if another module has more values than this one."""
    return values[min(index, len(values) - 1)]
