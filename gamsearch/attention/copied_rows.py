"""How rows of other repositories write an attention module: under which names, and what their arguments mean. No torch.

A row is `[-1, 1, NAME, arguments]`. Its arguments begin with up to two widths of the map (channels in, channels out),
or with none; what follows are options of the module in the order of that repository's constructor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gamsearch.architecture import Option

IGNORED = "_"
"""First letter of arguments that decide nothing here."""


def as_they_are(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the arguments of a row for the options of the module.

    Args:
        options: Arguments by name.

    Returns:
        The same.
    """
    return options


@dataclass(frozen=True)
class CopiedRow:
    """The rows that call a module by one of `names`.

    Attributes:
        names: Their names for it.
        forms: Names of the arguments after the widths, in the order of a constructor; trailing ones may be missing in a
            row. The first form is taken whose values the module allows, at last the catalogue's own order. Names that
            begin with `_` are ignored.
        defaults: Options that their modules have where a row does not say.
        options: Turns the arguments by name into options of the module, where they differ.
        remark: How their module differs from the one that it is read as; empty if it does not.
    """

    names: tuple[str, ...] = ()
    forms: tuple[tuple[str, ...], ...] = ((),)
    defaults: Mapping[str, Option] = field(default_factory=dict)
    options: Callable[[Mapping[str, Any]], Mapping[str, Any]] = as_they_are
    remark: str = ""
