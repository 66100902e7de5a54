"""What a rule must do. A case is a rule with a value that makes sense."""

from itertools import combinations
from typing import Any

from gamsearch.space.rules import RULES, Rule, count_admissible

SITES = (2, 4, 6, 9)
EXAMPLES: tuple[Any, ...] = (1, 2, 3, [[4, 6]], [[2, 4, 9]], [4], [2, 6], True, "stages", {"at_most": 2})
"""Values that a rule is tried with; those that it calls senseless are left out."""


def cases(name: str) -> dict[str, Rule]:
    """The rule with each example that makes sense for it."""
    problem = RULES.named(name).problem
    return {str(value): Rule.read(name, value, SITES) for value in EXAMPLES if problem(SITES, value) is None}


def _subsets() -> list[tuple[int, ...]]:
    return [subset for count in range(len(SITES) + 1) for subset in combinations(SITES, count)]


def allows_the_baseline(rule: Rule) -> None:
    assert rule.refusal(()) is None, "it refuses the detector without attention"


def keeps_refusing_when_a_module_is_added(rule: Rule) -> None:
    for subset in _subsets():
        for site in SITES:
            if rule.refusal(subset) and site not in subset:
                more = tuple(sorted((*subset, site)))
                assert rule.refusal(more), f"it refuses {subset} but allows {more}"


def says_why_in_one_sentence(rule: Rule) -> None:
    for subset in _subsets():
        reason = rule.refusal(subset)
        assert reason is None or (reason and "\n" not in reason), f"{reason!r} is not one sentence"


def is_counted_as_it_is_enumerated(rule: Rule) -> None:
    admissible = sum(rule.refusal(subset) is None for subset in _subsets())
    counted = count_admissible(dict.fromkeys(SITES, 1), [rule])
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
