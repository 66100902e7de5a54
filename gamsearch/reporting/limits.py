"""What a page embeds of a search of thousands of trials; `trials.csv` holds all of it."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")

CURVES = 200
"""Learning curves that are drawn."""
ROWS = 1000
"""Rows of the table of all trials."""
DETAILS = 1000
"""Points of the Pareto figure that have their figures as hover text."""


def chosen(items: Sequence[Item], first: Iterable[Item], most: int) -> list[Item]:
    """Choose what to show of many.

    Args:
        items: All there is; different values.
        first: Those that matter most, the most important one first.
        most: Largest number to choose.

    Returns:
        At most `most` of `items`, in their order: those of `first`, and others evenly from the rest.
    """
    if len(items) <= most:
        return list(items)
    there = set(items)
    shown = set([item for item in dict.fromkeys(first) if item in there][:most])
    rest, count = [item for item in items if item not in shown], most - len(shown)
    shown |= {rest[index * len(rest) // count] for index in range(count)}
    return [item for item in items if item in shown]
