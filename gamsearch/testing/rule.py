"""What a rule must do. A case is a rule with a value that makes sense."""

from collections.abc import Mapping
from itertools import product
from typing import Any

from gamsearch.space.rules import RULES, Rule, count_admissible

SITES = (2, 4, 6, 9)
MODULES = ("GAM", "SE")
EXAMPLES: tuple[Any, ...] = (1, 2, 3, [[4, 6]], [[2, 4, 9]], [4], [2, 6], True, "stages", {"at_most": 2}, {"GAM": 1})
"""Values that a rule is tried with; those that it calls senseless are left out."""

Placed = Mapping[int, str]
"""Sites with the module that each carries."""


def cases(name: str) -> dict[str, Rule]:
    """The rule with each example that makes sense for it."""
    spec = RULES.named(name)
    known = MODULES if spec.of == "modules" else SITES
    sensible = [value for value in EXAMPLES if spec.problem(known, value) is None]
    return {str(value): Rule.read(name, value, SITES, MODULES) for value in sensible}


def _everything() -> list[Placed]:
    """Every choice of a module or none at each site."""
    found = [dict(zip(SITES, chosen, strict=True)) for chosen in product((None, *MODULES), repeat=len(SITES))]
    return [{site: module for site, module in one.items() if module} for one in found]


def _refusal(rule: Rule, placed: Placed) -> str | None:
    return rule.refusal(tuple(placed), tuple(placed.values()))


def allows_the_baseline(rule: Rule) -> None:
    assert _refusal(rule, {}) is None, "it refuses the detector without attention"


def keeps_refusing_when_a_module_is_added(rule: Rule) -> None:
    for placed in _everything():
        for site, module in product(SITES, MODULES):
            if site not in placed and _refusal(rule, placed):
                more = dict(sorted({**placed, site: module}.items()))
                assert _refusal(rule, more), f"it refuses {placed} but allows {more}"


def says_why_in_one_sentence(rule: Rule) -> None:
    for placed in _everything():
        reason = _refusal(rule, placed)
        assert reason is None or (reason and "\n" not in reason), f"{reason!r} is not one sentence"


def is_counted_as_it_is_enumerated(rule: Rule) -> None:
    admissible = sum(_refusal(rule, placed) is None for placed in _everything())
    counted = count_admissible({site: dict.fromkeys(MODULES, 1) for site in SITES}, [rule])
    assert counted == admissible, (
        f"{counted} of {admissible} sets are counted: a rule may only count sites and recognise those its value names"
    )


def states_what_it_is(rule: Rule) -> None:
    assert RULES[rule.name].refuse.__doc__, "the function has no docstring, which lists show"


CHECKS = (
    states_what_it_is,
    allows_the_baseline,
    keeps_refusing_when_a_module_is_added,
    says_why_in_one_sentence,
    is_counted_as_it_is_enumerated,
)
