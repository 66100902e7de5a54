"""The options of an attention module in a space: their candidate values, and which of them a site's channels allow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from gamsearch.architecture import Option
from gamsearch.attention.catalogue import AttentionSpec, spec_named
from gamsearch.space.detector import Detector

PRESENT: Option = True
"""The level of a module that has no option for its strength."""

Semantics = str | tuple[str, ...]
"""How a space places modules: in one way, or each placement in one of several."""


@dataclass(frozen=True)
class ModuleOptions:
    """One attention module and its candidate values: `strengths` from weak to strong, `options` for the rest.

    A module without a strength has the one level `PRESENT`. `sites` are those where it may be; None: all of the space.
    `semantics` is how it is placed there.
    """

    name: str
    strengths: tuple[Option, ...]
    options: tuple[tuple[str, tuple[Option, ...]], ...] = ()
    sites: tuple[int, ...] | None = None
    semantics: str = "inline"

    @property
    def spec(self) -> AttentionSpec:
        return spec_named(self.name)

    def combinations(
        self, strength: Option, preferred: Mapping[str, Option] | None = None
    ) -> Iterator[dict[str, Option]]:
        """Yield all combinations for one strength, the `preferred` values first, the others in the file's order."""
        preferred, level = preferred or {}, {self.spec.strength: strength} if self.spec.strength else {}
        values = [_first(preferred.get(name), offered) for name, offered in self.options]
        for choice in product(*values):
            yield {**level, **dict(zip(dict(self.options), choice, strict=True))}

    def legal(
        self, channels: int, strength: Option, preferred: Mapping[str, Option] | None = None
    ) -> Iterator[dict[str, Option]]:
        """Yield those combinations that can be built on `channels`, in the same order."""
        for options in self.combinations(strength, preferred):
            if self.spec.refuse(channels, self.spec.complete(options)) is None:
                yield options

    def strengths_on(self, channels: int) -> tuple[Option, ...]:
        """The strengths that can be built on `channels` with some other options, weak to strong."""
        return tuple(s for s in self.strengths if next(self.legal(channels, s), None) is not None)

    def strengths_at(self, site: int, detector: Detector) -> tuple[Option, ...]:
        """The strengths that can be built after a row; none where the module may not be."""
        if (self.sites is not None and site not in self.sites) or detector.why_not(site, self.semantics):
            return ()
        return self.strengths_on(detector.channels(site, self.semantics))


def listed(semantics: Semantics) -> tuple[str, ...]:
    """List the ways in which a space places modules.

    Args:
        semantics: One or several.

    Returns:
        All of them.
    """
    return (semantics,) if isinstance(semantics, str) else semantics


def placed_by(modules: Sequence[ModuleOptions], semantics: Semantics) -> tuple[ModuleOptions, ...]:
    """Each module once for every way in which a space places it."""
    return tuple(replace(module, semantics=one) for module in modules for one in listed(semantics))


def _first(preferred: Option | None, offered: tuple[Option, ...]) -> list[Option]:
    return [v for v in offered if v == preferred] + [v for v in offered if v != preferred]
