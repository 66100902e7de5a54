"""The effects that a report shows: one breakdown per question that the trials can answer, e.g. which module helps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gamsearch.reporting import effects
from gamsearch.reporting.effects import Effect
from gamsearch.study.record import Record

LISTED = 5
"""The best levels of a breakdown that the terminal names."""


@dataclass(frozen=True)
class Breakdown:
    """The effects of the levels of one factor.

    Attributes:
        title: The factor: `Module`, `Site`, `Rate of GAM`, ...
        effects: At least one; several levels in all.
        name: The name of a level.
    """

    title: str
    effects: Sequence[Effect]
    name: Callable[[Any], str] = str

    def text(self, effect: Effect) -> str:
        """The name of an effect's levels."""
        return " + ".join(map(self.name, effect.levels))


def breakdowns(record: Record, site_name: Callable[[int], str] = str) -> list[Breakdown]:
    """The effects by module, kind, site, place (inside or after a block), and strength, where trials differ in them.

    Args:
        record: The run.
        site_name: Names a site; by its number by default.

    Returns:
        Those with more than one level, modules first.
    """
    modules, strengths = effects.module_effects(record), effects.strength_effects(record)
    found = [
        Breakdown("Module", modules),
        Breakdown("Kind", effects.kind_effects(record)),
        Breakdown("Site", effects.site_effects(record), site_name),
        Breakdown("Place", effects.place_effects(record)),
    ]
    names = sorted({level for effect in modules for level in effect.levels})
    for module in names:
        option = effects.strength_option(module).replace("_", " ").capitalize()
        own = [e for e in strengths if any(level[0] == module for level in e.levels)]
        if option and len(names) > 1:
            found.append(Breakdown(f"{option} of {module}", own, partial(_within, module)))
        elif option:
            found.append(Breakdown(option, own, effects.strength_name))
    return [one for one in found if sum(len(effect.levels) for effect in one.effects) > 1]


def _within(module: str, level: tuple[str, Any]) -> str:
    """`r8` below the title `Rate of GAM`, but `SE r8` where another module occurs in the same trials only."""
    name = effects.strength_name(level)
    return name.removeprefix(f"{module} ") if level[0] == module else name


def span(found: Sequence[Breakdown]) -> tuple[float, float]:
    """Axis range `(low, high)` of zero and all effects with their intervals, with a margin."""
    known = [effect for one in found for effect in one.effects]
    ends = [0.0, *(e.estimate + sign * (e.half_width or 0.0) for e in known for sign in (-1, 1))]
    margin = 0.06 * (max(ends) - min(ends)) or 0.001
    return min(ends) - margin, max(ends) + margin


def lines(record: Record) -> list[str]:
    """The best levels of each breakdown for the terminal, e.g. `Module: SE +0.0041 ± 0.0030, GAM +0.0010 ± 0.0040`.

    Args:
        record: The run.

    Returns:
        One line per breakdown that has intervals, below a heading; nothing where no breakdown has any.
    """
    found = []
    for one in breakdowns(record):
        known = sorted((e for e in one.effects if e.half_width is not None), key=lambda e: -e.estimate)
        named = [f"{one.text(e)} {e.estimate:+.4f} ± {e.half_width:.4f}" for e in known[:LISTED]]
        more = [f"{len(known) - LISTED} more in the report"] if len(known) > LISTED else []
        found += [f"{one.title}: {', '.join(named + more)}"] if known else []
    what = f"Effect of a placement on {record.task.primary_title}"
    heading = f"{what} (linear models, 95 %, not corrected for multiple comparisons)"
    return [heading, *found] if found else []
