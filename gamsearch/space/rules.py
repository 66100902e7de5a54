"""Where attention may go: site selectors (words for sets of rows) and rules (which sets of sites are refused).

A selector or a rule is one function and a decorator. A rule looks at the sites that carry a module and may only count
them and recognise those that its value names; what it refuses must stay refused when a module is added. The counting
and the enumeration of a space rely on both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from gamsearch.errors import SpaceError, nearest
from gamsearch.space.detector import Detector

Selector = Callable[[Detector], tuple[int, ...]]

SELECTORS: dict[str, Selector] = {}


def selector(find: Selector) -> Selector:
    """Register a function from a detector to row numbers as a word for `sites:`."""
    SELECTORS[find.__name__.rstrip("_")] = find
    return find


@selector
def stages(detector: Detector) -> tuple[int, ...]:
    """After every block of backbone and neck: 2, 4, 6, 8, 9, 12, 15, 18, 21 in YOLOv8."""
    return detector.stage_sites


@selector
def backbone(detector: Detector) -> tuple[int, ...]:
    """After the blocks of the backbone."""
    return tuple(i for i in detector.stage_sites if detector.rows[i].part == "backbone")


@selector
def neck(detector: Detector) -> tuple[int, ...]:
    """After the blocks of the neck."""
    return tuple(i for i in detector.stage_sites if detector.rows[i].part == "neck")


@selector
def all_(detector: Detector) -> tuple[int, ...]:
    """After every row that attention may follow at all; costly after Concat and Upsample."""
    return detector.sites


def select(detector: Detector, written: Any) -> tuple[int, ...]:
    """Turn the `sites:` of a space file (a selector, a row number, or a list of them) into sorted row numbers."""
    words = written if isinstance(written, list) else [written]
    if not words:
        raise SpaceError(f"at least one site must be given; write a row number or one of {', '.join(SELECTORS)}")
    repeated = [word for i, word in enumerate(words) if word in words[:i]]
    if repeated:
        raise SpaceError(f"{repeated[0]} is given twice; give it once")
    return tuple(sorted({site for word in words for site in _sites_of(detector, word)}))


def _sites_of(detector: Detector, word: Any) -> tuple[int, ...]:
    if type(word) is int:
        detector.check_site(word)
        return (word,)
    if not isinstance(word, str) or word not in SELECTORS:
        raise SpaceError(
            f"{word!r} is neither a row number nor a selector{nearest(word, SELECTORS)}; "
            f"the selectors are {', '.join(SELECTORS)}"
        )
    found = SELECTORS[word](detector)
    if not found:
        first, last = detector.sites[0], detector.sites[-1]
        raise SpaceError(f"'{word}' finds no row in {detector.name}; give row numbers from {first} to {last}")
    return found


Refuse = Callable[[Sequence[int], Any], str | None]

RULES: dict[str, tuple[Refuse, Refuse]] = {}
"""Rule name to its function and to the one that says why a value makes no sense for the offered sites."""


def rule(problem: Refuse) -> Callable[[Refuse], Refuse]:
    """Register `refuse(sites, value)` as a rule; `problem(offered sites, value)` says what is wrong with a value."""

    def register(refuse: Refuse) -> Refuse:
        RULES[refuse.__name__] = (refuse, problem)
        return refuse

    return register


def _no_count(offered: Sequence[int], value: Any) -> str | None:
    if type(value) is not int or value < 1:
        return f"must be a whole number of at least 1, not {value!r}; with fewer no architecture could be proposed"
    return None


@rule(problem=_no_count)
def max_modules(sites: Sequence[int], most: int) -> str | None:
    """At most so many modules in one architecture."""
    return f"{len(sites)} modules are more than max_modules {most}" if len(sites) > most else None


def _no_groups(offered: Sequence[int], value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return f"must be a list of lists of sites such as [[8, 9]], not {value!r}"
    for group in value:
        if not isinstance(group, list) or not all(type(s) is int for s in group) or len(set(group)) < 2:
            return f"must be a list of lists of two or more different sites such as [[8, 9]], not {value!r}"
        strangers = [s for s in group if s not in offered]
        if strangers:
            return f"names site {strangers[0]}, which is not offered; 'sites' gives {', '.join(map(str, offered))}"
    return None


@rule(problem=_no_groups)
def not_together(sites: Sequence[int], groups: Sequence[Sequence[int]]) -> str | None:
    """At most one module on each of the groups of sites."""
    for group in groups:
        present = [str(s) for s in group if s in sites]
        if len(present) > 1:
            return f"sites {' and '.join(present)} may not carry modules together (not_together)"
    return None


@dataclass(frozen=True)
class Rule:
    """A rule with its value, e.g. `max_modules` with 4."""

    name: str
    value: Any

    @classmethod
    def read(cls, name: str, value: Any, offered: Sequence[int]) -> "Rule":
        """Check name and value of a rule in a space file against the sites that the space offers."""
        if name not in RULES:
            raise SpaceError(f"there is no rule '{name}'{nearest(name, RULES)}; there are {', '.join(RULES)}")
        problem = RULES[name][1](offered, value)
        if problem:
            raise SpaceError(f"{name} {problem}")
        return cls(name, _frozen(value))

    def refusal(self, sites: Sequence[int]) -> str | None:
        """Say why modules at these sites are refused, or None."""
        return RULES[self.name][0](sites, self.value)

    @property
    def named_sites(self) -> frozenset[int]:
        """The sites that the rule treats one by one; all others it can only count."""
        return frozenset(s for group in self.value for s in group) if isinstance(self.value, tuple) else frozenset()


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def first_refusal(sites: Sequence[int], rules: Sequence[Rule]) -> tuple[str, str] | None:
    """Return name and sentence of the first rule that refuses modules at these sites, or None."""
    for r in rules:
        sentence = r.refusal(sites)
        if sentence:
            return r.name, sentence
    return None


def admissible_subsets(sites: Sequence[int], rules: Sequence[Rule]) -> Iterator[tuple[int, ...]]:
    """Yield every set of sites that the rules allow, smaller ones first, the empty one included."""
    for count in range(len(sites) + 1):
        allowed = [subset for subset in combinations(sites, count) if first_refusal(subset, rules) is None]
        if not allowed:
            return
        yield from allowed


def count_admissible(choices: Mapping[int, int], rules: Sequence[Rule]) -> int:
    """Number of architectures, the baseline included, when site `s` has `choices[s]` non-empty choices.

    Exact without listing them: sites that no rule names are interchangeable, so their choices are the coefficients of
    the product of `(1 + choices x)`, and only subsets of the named sites are gone through.
    """
    named = sorted(frozenset().union(*(r.named_sites for r in rules)) & choices.keys())
    free = [s for s in choices if s not in named]
    coefficients = [1]
    for site in free:
        shifted = [0, *(c * choices[site] for c in coefficients)]
        coefficients = [a + b for a, b in zip([*coefficients, 0], shifted, strict=True)]
    total = 0
    for subset in admissible_subsets(named, rules):
        weight = 1
        for site in subset:
            weight *= choices[site]
        for count, coefficient in enumerate(coefficients):
            if first_refusal((*subset, *free[:count]), rules) is None:
                total += weight * coefficient
    return total
