"""Where attention modules can be built, by channels and options; the same functions check rows of a YAML. No torch."""

from collections.abc import Callable, Mapping

Options = Mapping[str, bool | int | float | str]


class RowError(ValueError):
    """A row of a model YAML cannot be built, or means different modules in different repositories."""


def check_row(name: str, channels: int, options: Options, refuse: Callable[[int, Options], str | None]) -> None:
    """Check the arguments of a row before the module is built.

    Args:
        name: What the row calls the module.
        channels: The row's first argument, the width of the map.
        options: The other arguments.
        refuse: The module's legality.

    Raises:
        RowError: They cannot be meant; the message says what to write instead.
    """
    if type(channels) is not int or channels < 1:
        raise RowError(
            f"a row of {name} starts with the width of its map, not {channels!r}: write [-1, 1, {name}, [c2]]"
        )
    reason = refuse(channels, options)
    if reason:
        raise RowError(f"{name}: {reason}")


def check_width(name: str, channels: int, found: int) -> None:
    """Check that a map has the width for which a module was built.

    Args:
        name: What the row calls the module.
        channels: The width in its row.
        found: The width of the map.

    Raises:
        RowError: They differ, as in rows that are copied from a model of another scale.
    """
    if channels != found:
        raise RowError(
            f"a row of {name} says {channels} channels but the map it receives has {found} (widths are scaled with the "
            f"model): write c2 instead of the number, as in [-1, 1, {name}, [c2]]"
        )


def whole_number(options: Options, name: str, lowest: int = 1) -> str | None:
    """Explain why an option is not a whole number of at least `lowest`; None if it is."""
    value = options[name]
    if type(value) is int and value >= lowest:
        return None
    return f"{name} must be a whole number of at least {lowest}, not {value!r}"


def rate_leaves_a_channel(channels: int, options: Options) -> str | None:
    """The reduction `rate` must leave at least one hidden channel."""
    rate = options["rate"]
    if reason := whole_number(options, "rate"):
        return reason
    if int(rate) > channels:
        return f"rate {rate} is larger than the {channels} channels; use a rate of at most {channels}"
    return one_of(options, "init", STARTS)


def one_of(options: Options, name: str, values: tuple[str, ...]) -> str | None:
    """Explain why an option is none of the words that it may be; None if it is one."""
    if options[name] in values:
        return None
    return f"{name} must be {' or '.join(values)}, not {options[name]!r}"


STARTS = ("identity", "reference")
"""The values of `init`: the exact identity, or the start of the reference implementation."""
