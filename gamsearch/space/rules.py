"""Rules: sets of sites, or of modules, that an architecture may not use.

A rule is one function and a decorator. It looks either at the sites that carry a module, of which it may only count and
recognise those that its value names, or at the names of the modules. What it refuses must stay refused when a module is
added: counting and enumerating a space rely on all of this.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from gamsearch.errors import SpaceError
from gamsearch.plugins.registry import Registry, origin_of

Refuse = Callable[[Sequence[Any], Any], str | None]
"""`(sites or modules, value)` to one sentence that says what is wrong, or None."""

SITES, MODULES = "sites", "modules"


@dataclass(frozen=True)
class RuleSpec:
    """A kind of rule.

    Attributes:
        refuse: Says why these sites or modules are refused under a value, or returns None.
        problem: Says why a value makes no sense for the sites or modules of a space, or returns None.
        of: What it looks at: `sites` or `modules`.
    """

    refuse: Refuse
    problem: Refuse
    of: str = SITES


RULES: Registry[RuleSpec] = Registry("rule", SpaceError)


def rule(problem: Refuse, of: str = SITES) -> Callable[[Refuse], Refuse]:
    """Register a function as a rule of space files: `@gamsearch.register.rule(problem=...)`.

    Args:
        problem: `problem(sites of the space, value)` says what is wrong with a value in a space file, or returns None.
        of: `sites`, or `modules` for a rule whose functions see names of modules instead, each as often as it occurs.

    Returns:
        A decorator for `refuse(sites that carry a module, value)`, which says why they are refused or returns None; the
        function's name is the rule's. What it refuses must stay refused when a module is added.

    Raises:
        SpaceError: The name is taken, or `of` is neither `sites` nor `modules`.
    """
    if of not in (SITES, MODULES):
        raise SpaceError(f"a rule sees {SITES} or {MODULES}, not {of!r}; write of={SITES!r} or of={MODULES!r}")

    def register(refuse: Refuse) -> Refuse:
        RULES.add(refuse.__name__, RuleSpec(refuse, problem, of), origin_of(refuse))
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


def _not_true(available: Sequence[str], value: Any) -> str | None:
    return None if value is True else f"must be true, not {value!r}; leave the rule out to allow several modules"


@rule(problem=_not_true, of=MODULES)
def same_module(modules: Sequence[str], value: bool) -> str | None:
    """One module only, at any number of sites and with any options."""
    kinds = list(dict.fromkeys(modules))
    return f"{' and '.join(kinds)} may not be mixed (same_module)" if len(kinds) > 1 else None


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
    def read(cls, name: str, value: Any, sites: Sequence[int], modules: Sequence[str] = ()) -> "Rule":
        """Check a rule of a space file.

        Args:
            name: The rule's name.
            value: Its value as written.
            sites: The sites of the space.
            modules: The names of its modules.

        Returns:
            The rule.

        Raises:
            SpaceError: There is no such rule, or the value makes no sense for these sites or modules.
        """
        spec = RULES.named(name)
        problem = spec.problem(modules if spec.of == MODULES else sites, value)
        if problem:
            raise SpaceError(f"{name} {problem}")
        return cls(name, _frozen(value))

    @property
    def sees_modules(self) -> bool:
        """Whether it looks at the names of modules instead of at sites."""
        return RULES.named(self.name).of == MODULES

    def refusal(self, sites: Sequence[int], modules: Sequence[str] = ()) -> str | None:
        """Apply the rule.

        Args:
            sites: The sites that carry a module.
            modules: The names of the modules.

        Returns:
            One sentence that says why they are refused, or None.
        """
        return RULES.named(self.name).refuse(modules if self.sees_modules else sites, self.value)

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


def first_refusal(sites: Sequence[int], modules: Sequence[str], rules: Sequence[Rule]) -> tuple[str, str] | None:
    """Apply several rules.

    Args:
        sites: The sites that carry a module.
        modules: The names of the modules.
        rules: The rules in order.

    Returns:
        Name and sentence of the first rule that refuses them, or None.
    """
    for r in rules:
        sentence = r.refusal(sites, modules)
        if sentence:
            return r.name, sentence
    return None


def admissible_subsets(sites: Sequence[int], rules: Sequence[Rule]) -> Iterator[tuple[int, ...]]:
    """Enumerate sets of sites.

    Args:
        sites: The sites to choose from.
        rules: The rules that a set must obey; those that look at modules are left out.

    Yields:
        Every admissible set, smaller ones first, the empty one included.
    """
    for count in range(len(sites) + 1):
        allowed = [subset for subset in combinations(sites, count) if first_refusal(subset, (), rules) is None]
        if not allowed:
            return
        yield from allowed


def count_admissible(choices: Mapping[int, Mapping[str, int]], rules: Sequence[Rule]) -> int:
    """Count architectures exactly without listing them.

    Sites that no rule names are interchangeable, and so is all that has the same modules, so it is enough to count how
    many architectures have which named sites, how many others and which modules.

    Args:
        choices: Per site how many placements each module has there.
        rules: The rules that an architecture must obey.

    Returns:
        The number of architectures, the baseline included.
    """
    named = frozenset().union(*(r.named_sites for r in rules))
    free = [site for site in choices if site not in named]
    told_apart = any(r.sees_modules for r in rules)
    counts: Counter[tuple[tuple[int, ...], tuple[str, ...]]] = Counter({((), ()): 1})
    for site, offered in choices.items():
        numbers = offered if told_apart else {"": sum(offered.values())}
        added: Counter[tuple[tuple[int, ...], tuple[str, ...]]] = Counter()
        for (sites, modules), count in counts.items():
            others = sum(one not in named for one in sites)
            more = tuple(sorted((*sites, site if site in named else free[others])))
            for module, number in numbers.items():
                added[more, tuple(sorted((*modules, module)))] += count * number
        counts += Counter({state: n for state, n in added.items() if first_refusal(*state, rules) is None})
    return counts.total()
