"""Errors in a space file, with the names of the file and the key."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gamsearch.errors import GamsearchError, SpaceError


@contextmanager
def at(source: str, key: str) -> Iterator[None]:
    """Add file and key to the message of any error raised in the `with` block."""
    try:
        yield
    except GamsearchError as error:
        raise SpaceError(f"{source}, key '{key}': {error}") from error


def check_mapping(source: str, key: str, written: Any, example: str) -> None:
    """Raise `SpaceError` unless the value of a key is a mapping or omitted."""
    with at(source, key):
        if not isinstance(written, dict | None):
            raise SpaceError(f"must be a mapping such as {{{example}}}, not {written!r}")
