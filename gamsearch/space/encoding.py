"""The static encoding of architectures as ordinal parameters. No torch, no Optuna.

Every parameter always has a value: per site an ordinal `site4.strength` (0: no module, then weak to strong) and one
ordinal per further option with several values (`site4.groups`). If there are several modules, `site4.module` chooses
one (in the order of `KINDS`, then of the file), the levels of `site4.strength` are spread over the strengths that it
has, and options are named with their module (`site4.CBAM.kernel`). A module that can be placed in several ways
(`semantics`) counts as several modules. Modules and strengths that a site does not allow are left out there. If the
value of another option cannot be built, the first that can replaces it, so several encodings may decode to one
architecture; architectures are canonical.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from gamsearch.architecture import Architecture, Option, Placement
from gamsearch.attention.catalogue import spec_named
from gamsearch.errors import SpaceError
from gamsearch.space.detector import Detector
from gamsearch.space.options import ModuleOptions

KINDS = {"channel": 0, "both": 1, "spatial": 2}
"""The order of the values of `module`, in which neighbours have something in common."""

Choose = Callable[[str, int, int], int]
"""Called with a parameter's name, its lowest and its highest value; returns an integer between them."""


@dataclass(frozen=True)
class Encoding:
    """The parameters of the placements of `modules`, each with its semantics, at `sites`; how their values decode."""

    detector: Detector
    sites: tuple[int, ...]
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
        here = self.modules_at(site)
        highest = {"strength": max(len(self.strengths(site, module)) for module in here)}
        if len(here) > 1:
            highest["module"] = len(here) - 1
        for module in here:
            highest |= {self._parameter(module, name): len(v) - 1 for name, v in module.options if len(v) > 1}
        return highest

    def _parameter(self, module: ModuleOptions, option: str) -> str:
        """The name of an option's parameter at a site."""
        return f"{module.name}.{option}" if len(self.modules) > 1 else option

    def modules_at(self, site: int) -> tuple[ModuleOptions, ...]:
        """The modules that may be at a site, at least one."""
        return self._modules[site]

    @cached_property
    def _modules(self) -> dict[int, tuple[ModuleOptions, ...]]:
        by_kind = sorted(self.modules, key=lambda module: KINDS.get(module.spec.kind, KINDS["both"]))
        return {site: tuple(m for m in by_kind if self.strengths(site, m)) for site in self.sites}

    def strengths(self, site: int, module: ModuleOptions) -> tuple[Option, ...]:
        """The strengths of a module that a site allows, weak to strong; none where the module may not be."""
        return module.strengths_at(site, self.detector)

    def decode(self, values: Mapping[str, int]) -> Architecture:
        """The canonical architecture that the parameter values encode."""
        placements = []
        for site in self.sites:
            chosen = {name: values[f"site{site}.{name}"] for name in self._highest[site]}
            if chosen["strength"] > 0:
                placements.append(self._decode_site(site, chosen))
        return Architecture.of(self.detector.name, placements)

    def _decode_site(self, site: int, chosen: Mapping[str, int]) -> Placement:
        module = self.modules_at(site)[chosen.get("module", 0)]
        strengths = self.strengths(site, module)
        strength = strengths[(chosen["strength"] - 1) * len(strengths) // self._highest[site]["strength"]]
        preferred = {name: offered[chosen.get(self._parameter(module, name), 0)] for name, offered in module.options}
        return self.place(site, module, next(module.legal(self._channels(site, module), strength, preferred)))

    def _channels(self, site: int, module: ModuleOptions) -> int:
        return self.detector.channels(site, module.semantics)

    def place(self, site: int, module: ModuleOptions, options: Mapping[str, Option]) -> Placement:
        """The canonical placement; where the head is the only reader of a site, `branch` is `inline`."""
        name, canonical = canonical_module(module.name, self._channels(site, module), options)
        head = len(self.detector.rows) - 1
        if module.semantics == "branch":
            alone = self.detector.readers(site) == (head,)
            return Placement(site, name, canonical, *(() if alone else ("branch", (head,))))
        return Placement(site, name, canonical, module.semantics)

    def part_of(self, architecture: Architecture) -> Architecture:
        """Leave out the placements that these parameters cannot express.

        Args:
            architecture: An architecture of the detector.

        Returns:
            That with the other placements.
        """
        known = [placement for placement in architecture.placements if placement in self._first_values]
        return Architecture.of(architecture.detector, known)

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
            for strength, number in product(range(1, highest["strength"] + 1), range(len(self.modules_at(site)))):
                for options in self._option_values(site, number):
                    chosen = {**dict.fromkeys(highest, 0), "strength": strength, **options}
                    if "module" in highest:
                        chosen["module"] = number
                    found.setdefault(self._decode_site(site, chosen), chosen)
        return found

    def _option_values(self, site: int, number: int) -> Iterator[dict[str, int]]:
        """All values of the parameters that a module at a site has besides its strength."""
        module = self.modules_at(site)[number]
        names = [self._parameter(module, name) for name, values in module.options if len(values) > 1]
        for values in product(*(range(self._highest[site][name] + 1) for name in names)):
            yield dict(zip(names, values, strict=True))

    @cached_property
    def placements(self) -> dict[int, tuple[Placement, ...]]:
        """All distinct placements at each site, weak to strong within each module."""
        return {site: tuple(dict.fromkeys(self._placements_at(site))) for site in self.sites}

    def _placements_at(self, site: int) -> Iterator[Placement]:
        for module in self.modules_at(site):
            for strength in self.strengths(site, module):
                for options in module.legal(self._channels(site, module), strength):
                    yield self.place(site, module, options)

    def usual(self, site: int, module: ModuleOptions) -> Placement:
        """The module with the legal strength nearest to its default, and its other options as near as the space has."""
        strengths, defaults = self.strengths(site, module), module.spec.options
        default = defaults.get(module.spec.strength, strengths[-1])
        strength = _nearest(strengths, default)
        return self.place(site, module, next(module.legal(self._channels(site, module), strength, defaults)))


def _nearest(values: Sequence[Option], default: Option) -> Option:
    """The value nearest to the default; the default itself or the first one where they are words."""
    if isinstance(default, str):
        return default if default in values else values[0]
    return min(values, key=lambda value: abs(float(value) - float(default)))


def canonical_module(
    name: str, channels: int, options: Mapping[str, Option]
) -> tuple[str, tuple[tuple[str, Option], ...]]:
    """The name and canonical options of the module, or of an equal one of another name that the channels allow."""
    spec = spec_named(name)
    equal = spec.equals(channels, spec.complete(options)) if spec.equals else None
    if equal is not None:
        other = spec_named(equal[0])
        if other.refuse(channels, other.complete(equal[1])) is None:
            return other.name, other.canonical(equal[1])
    return name, spec.canonical(options)
