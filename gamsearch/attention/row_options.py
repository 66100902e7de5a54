"""The options that a row of another repository, or one of gamsearch, gives its attention module. No torch."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gamsearch.architecture import Option
from gamsearch.attention.copied_rows import IGNORED, CopiedRow, as_they_are
from gamsearch.attention.spec import AttentionSpec
from gamsearch.errors import SpaceError

LARGEST_OPTION = 64
"""Larger whole numbers are widths."""
OWN_WIDTH = "c2"
"""First argument of the rows that gamsearch writes; the options of the catalogue follow."""


def read_options(
    spec: AttentionSpec, name: str, arguments: Sequence[Any], channels: int, widths: Sequence[int]
) -> dict[str, Option]:
    """Read the options of a row.

    Args:
        spec: The module that the row means.
        name: What the row calls it.
        arguments: Its arguments.
        channels: Channels of the map that it reads.
        widths: What may stand for these channels: as they are, and as the stock YAML writes them before scaling.

    Returns:
        The options that the row sets or implies, by name.

    Raises:
        SpaceError: The arguments have no meaning for the module; the message says what was expected.
    """
    if arguments and arguments[0] == OWN_WIDTH:
        return _read(spec, CopiedRow(forms=()), arguments[1:], channels)
    rest = list(arguments)
    if rest and type(rest[0]) is int and rest[0] in widths:
        rest = rest[2:] if rest[1:2] == rest[:1] and type(rest[1]) is int else rest[1:]
    elif rest and type(rest[0]) is int and rest[0] > LARGEST_OPTION:
        raise SpaceError(f"{rest[0]} is not the width of that row, {' or '.join(map(str, dict.fromkeys(widths)))}")
    return _read(spec, copied(spec, name), rest, channels)


def copied(spec: AttentionSpec, name: str) -> CopiedRow:
    """Look up what the rows that call a module by a name mean.

    Args:
        spec: The module.
        name: One of its names.

    Returns:
        What the catalogue says of them, else rows with the options in the order of the module's constructor.
    """
    return next((row for row in spec.copied if name in row.names), CopiedRow(forms=()))


def names_of(spec: AttentionSpec) -> Iterator[str]:
    """List the names by which rows may call a module.

    Args:
        spec: The module.

    Yields:
        The names, some of them twice.
    """
    yield from (spec.name, spec.row_name, *spec.aliases)
    for row in spec.copied:
        yield from row.names


def _read(spec: AttentionSpec, row: CopiedRow, arguments: Sequence[Any], channels: int) -> dict[str, Option]:
    """The options that the first fitting form gives; the reason why the first one does not fit otherwise."""
    reasons = []
    for form, options in (*((form, row.options) for form in row.forms), (tuple(spec.options), as_they_are)):
        try:
            return _fitted(spec, replace(row, options=options), form, arguments, channels)
        except SpaceError as error:
            reasons.append(error)
    raise reasons[0]


def _fitted(
    spec: AttentionSpec, row: CopiedRow, form: Sequence[str], arguments: Sequence[Any], channels: int
) -> dict[str, Option]:
    if len(arguments) > len(form):
        shown = ", ".join(name.lstrip(IGNORED) for name in form) or "nothing"
        raise SpaceError(f"{list(arguments)} are too many arguments: expected the channels and then {shown}")
    given = {name: value for name, value in zip(form, arguments, strict=False) if not name.startswith(IGNORED)}
    options = {**row.defaults, **row.options(given)}
    typed = {name: _typed(spec, name, value) for name, value in options.items()}
    spec.check(channels, typed)
    return typed


def _typed(spec: AttentionSpec, name: str, value: Any) -> Any:
    """Read 1 and 1e-4, which is text in YAML 1.1, as floats where the option is a float."""
    if type(spec.options.get(name)) is float and type(value) in (int, str):
        with suppress(ValueError, OverflowError):
            return float(value)
    return value
