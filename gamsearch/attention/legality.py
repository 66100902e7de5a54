"""What rows of attention modules may say; the rules of space files and constructors are made of these. No torch."""

from collections.abc import Callable, Mapping

Options = Mapping[str, bool | int | float | str]

STARTS = ("identity", "reference")
"""The values of `init`: the exact identity, or the start of the reference implementation."""

LARGEST_RATE = 64
"""Larger rates are channel counts of copied rows."""


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
            f"model): write {found}, or c2 where the row reads the one before it, as in [-1, 1, {name}, [c2]]"
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
    return one_of(options, "init", STARTS) if "init" in options else None


def is_no_width(channels: int, options: Options, name: str, default: int) -> str | None:
    """A number above 64, or the channels once more, is a width in copied rows (in, out, ...)."""
    if reason := whole_number(options, name):
        return reason
    value = int(options[name])
    if value > LARGEST_RATE or value == channels != default:
        return (
            f"{name} {value} looks like a channel count, as in rows (in, out) of other repositories: "
            f"write [c2], or [c2, {name}] such as [c2, {default}]"
        )
    return None


def flag(options: Options, name: str) -> str | None:
    """Explain why an option is neither True nor False; None if it is."""
    return None if type(options[name]) is bool else f"{name} must be True or False, not {options[name]!r}"


def odd(options: Options, name: str) -> str | None:
    """Explain why an option is not an odd number, as the side of a centred kernel must be; None if it is."""
    value = options[name]
    if type(value) is int and value > 0 and value % 2:
        return None
    return f"{name} must be an odd number such as 3, 5 or 7, not {value!r}"


def must_divide(what: str, value: int, channels: int, name: str, possible: int) -> str:
    """Say that a value does not divide the channels, and which value of option `name` would."""
    hint = f"; use {name} {possible}" if possible > 1 else ""
    return f"{what} ({value}) must divide the {channels} channels{hint}"


def one_of(options: Options, name: str, values: tuple[str, ...]) -> str | None:
    """Explain why an option is none of the words that it may be; None if it is one."""
    if options[name] in values:
        return None
    return f"{name} must be {' or '.join(values)}, not {options[name]!r}"
