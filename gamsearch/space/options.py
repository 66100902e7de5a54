"""What a space offers of one attention module: the values of its options, and which of them a site's channels allow."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from gamsearch.architecture import Option
from gamsearch.attention.catalogue import AttentionSpec, spec_named

PRESENT: Option = True
"""The level of a module that has no option for its strength."""


@dataclass(frozen=True)
class ModuleOptions:
    """One attention module and its candidate values: `strengths` from weak to strong, `options` for the rest.

    A module without a strength has the one level `PRESENT`.
    """

    name: str
    strengths: tuple[Option, ...]
    options: tuple[tuple[str, tuple[Option, ...]], ...] = ()

    @property
    def spec(self) -> AttentionSpec:
        return spec_named(self.name)

    def combinations(self, strength: Option, wanted: Mapping[str, Option] | None = None) -> Iterator[dict[str, Option]]:
        """Yield all options for one strength, those in `wanted` first and then the others in the file's order."""
        wanted, level = wanted or {}, {self.spec.strength: strength} if self.spec.strength else {}
        values = [_first(wanted.get(name), offered) for name, offered in self.options]
        for choice in product(*values):
            yield {**level, **dict(zip(dict(self.options), choice, strict=True))}

    def legal(
        self, channels: int, strength: Option, wanted: Mapping[str, Option] | None = None
    ) -> Iterator[dict[str, Option]]:
        """The combinations that can be built on `channels`, in the same order."""
        for options in self.combinations(strength, wanted):
            if self.spec.refuse(channels, self.spec.complete(options)) is None:
                yield options

    def strengths_on(self, channels: int) -> tuple[Option, ...]:
        """The strengths that can be built on `channels` with some other options, weak to strong."""
        return tuple(s for s in self.strengths if next(self.legal(channels, s), None) is not None)


def _first(wanted: Option | None, offered: tuple[Option, ...]) -> list[Option]:
    return [v for v in offered if v == wanted] + [v for v in offered if v != wanted]
