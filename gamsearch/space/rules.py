"""Rules: sets of sites that an architecture may not use.

A rule is one function and a decorator. It looks at the sites that carry a module, may only count them and recognise
those that its value names, and what it refuses must stay refused when a module is added: counting and enumerating a
space rely on both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from gamsearch.errors import SpaceError
from gamsearch.plugins.registry import Registry, origin_of

Refuse = Callable[[Sequence[int], Any], str | None]
"""`(sites, value)` to one sentence that says what is wrong, or None."""


@dataclass(frozen=True)
class RuleSpec:
    """A kind of rule.

    Attributes:
        refuse: Says why modules at these sites are refused under a value, or returns None.
        problem: Says why a value makes no sense for the sites of a space, or returns None.
    """

    refuse: Refuse
    problem: Refuse


RULES: Registry[RuleSpec] = Registry("rule", SpaceError)


def rule(problem: Refuse) -> Callable[[Refuse], Refuse]:
    """Register a function as a rule of space files: `@gamsearch.register.rule(problem=...)`.

    Args:
        problem: `problem(sites of the space, value)` says what is wrong with a value in a space file, or returns None.

    Returns:
        A decorator for `refuse(sites that carry a module, value)`, which says why they are refused or returns None; the
        function's name is the rule's. What it refuses must stay refused when a module is added.

    Raises:
        SpaceError: The name is taken.
    """

    def register(refuse: Refuse) -> Refuse:
        RULES.add(refuse.__name__, RuleSpec(refuse, problem), origin_of(refuse))
        return refuse

    return register


def _no_count(available: Sequence[int], value: Any) -> str | None:
    if type(value) is not int or value < 1:
        return f"must be a whole number of at least 1, not {value!r}; with fewer no architecture could be proposed"
    return None


@rule(problem=_no_count)
def max_modules(sites: Sequence[int], most: int) -> str | None:
    """At most so many modules in one architecture."""
    return f"{len(sites)} modules are more than max_modules {most}" if len(sites) > most else None


def _no_groups(available: Sequence[int], value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return f"must be a list of lists of sites such as [[8, 9]], not {value!r}"
    for group in value:
        if not isinstance(group, list) or not all(type(s) is int for s in group) or len(set(group)) < 2:
            return f"must be a list of lists of two or more different sites such as [[8, 9]], not {value!r}"
        strangers = [s for s in group if s not in available]
        if strangers:
            return f"names site {strangers[0]}, which is not offered; 'sites' gives {', '.join(map(str, available))}"
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
    """A rule with its value, e.g. `max_modules` with 4.

    Attributes:
        name: The rule's name in the registry.
        value: Its value, lists as tuples.
    """

    name: str
    value: Any

    @classmethod
    def read(cls, name: str, value: Any, available: Sequence[int]) -> "Rule":
        """Check a rule of a space file.

        Args:
            name: The rule's name.
            value: Its value as written.
            available: The sites of the space.

        Returns:
            The rule.

        Raises:
            SpaceError: There is no such rule, or the value makes no sense for these sites.
        """
        problem = RULES.named(name).problem(available, value)
        if problem:
            raise SpaceError(f"{name} {problem}")
        return cls(name, _frozen(value))

    def refusal(self, sites: Sequence[int]) -> str | None:
        """Apply the rule.

        Args:
            sites: The sites that carry a module.

        Returns:
            One sentence that says why they are refused, or None.
        """
        return RULES.named(self.name).refuse(sites, self.value)

    @property
    def named_sites(self) -> frozenset[int]:
        """The sites that the rule treats one by one; all others it can only count."""
        return frozenset(_numbers_in_lists(self.value))


def _numbers_in_lists(value: Any) -> Iterator[int]:
    """The whole numbers in lists at any depth: the sites that a value names."""
    if isinstance(value, Mapping):
        value = tuple(v for v in value.values() if isinstance(v, list | tuple | Mapping))
    for one in value if isinstance(value, list | tuple) else ():
        if type(one) is int:
            yield one
        else:
            yield from _numbers_in_lists(one)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def first_refusal(sites: Sequence[int], rules: Sequence[Rule]) -> tuple[str, str] | None:
    """Apply several rules.

    Args:
        sites: The sites that carry a module.
        rules: The rules in order.

    Returns:
        Name and sentence of the first rule that refuses them, or None.
    """
    for r in rules:
        sentence = r.refusal(sites)
        if sentence:
            return r.name, sentence
    return None


def admissible_subsets(sites: Sequence[int], rules: Sequence[Rule]) -> Iterator[tuple[int, ...]]:
    """Enumerate sets of sites.

    Args:
        sites: The sites to choose from.
        rules: The rules that a set must obey.

    Yields:
        Every admissible set, smaller ones first, the empty one included.
    """
    for count in range(len(sites) + 1):
        allowed = [subset for subset in combinations(sites, count) if first_refusal(subset, rules) is None]
        if not allowed:
            return
        yield from allowed


def count_admissible(choices: Mapping[int, int], rules: Sequence[Rule]) -> int:
    """Count architectures exactly without listing them.

    Sites that no rule names are interchangeable, so their choices are the coefficients of the product of
    `(1 + choices x)`, and only subsets of the named sites are enumerated.

    Args:
        choices: Number of placements per site, the empty one not counted.
        rules: The rules that an architecture must obey.

    Returns:
        The number of architectures, the baseline included.
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
