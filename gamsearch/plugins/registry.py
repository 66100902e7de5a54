"""A registry: entries by name, in the order of registration. A wrong name is answered with the nearest known one."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from gamsearch.errors import GamsearchError, OptionError, nearest
from gamsearch.plugins.loading import load_entry_points

Entry = TypeVar("Entry")

RECORD = "a record"
"""Origin of an entry that is only known from a run's record; whoever defines it replaces it."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Registry(Mapping[str, Entry]):
    """A mapping from names to entries that decorators and plug-ins add to.

    Attributes:
        kind: What an entry is, for messages: `attention module`, `metric`, ...
        also: Names that users may give besides those of the entries, such as `auto`.
    """

    def __init__(self, kind: str, error: type[GamsearchError] = OptionError, also: tuple[str, ...] = ()):
        self.kind, self.also = kind, also
        self._error = error
        self._entries: dict[str, Entry] = {}
        self._origins: dict[str, str] = {}
        self._listeners: list[Callable[[Entry], None]] = []

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def named(self, name: str) -> Entry:
        """Look up an entry; plug-ins that are installed are loaded first where the name is unknown.

        Args:
            name: The name that a user gave.

        Returns:
            The entry.

        Raises:
            GamsearchError: There is no such entry; the message names those there are.
        """
        if self._origins.get(name, RECORD) == RECORD:
            load_entry_points()
        if name not in self._entries:
            known = self.names()
            raise self._error(f"there is no {self.kind} '{name}'{nearest(name, known)}; there are {', '.join(known)}")
        return self._entries[name]

    def names(self) -> list[str]:
        """Every name that users may give, those of installed plug-ins included."""
        load_entry_points()
        return [*self.also, *self._entries]

    def add(self, name: str, entry: Entry, origin: str = "") -> None:
        """Register an entry.

        Args:
            name: Letters, digits and underscores, a letter first.
            entry: What the name stands for.
            origin: Where it is defined (`module:name`). The same origin may register again, as a reloaded module does.

        Raises:
            GamsearchError: The name is malformed, or another origin has registered it already.
        """
        if not NAME.fullmatch(name):
            raise self._error(f"a {self.kind} must be called by letters, digits and underscores, not '{name}'")
        owner = self._origins.get(name) or "gamsearch"
        if name in self._entries and owner not in (RECORD, origin):
            raise self._error(f"there is already a {self.kind} '{name}' (from {owner}); register it under another name")
        self._entries[name] = entry
        self._origins[name] = origin
        for listener in self._listeners:
            listener(entry)

    def origin(self, name: str) -> str:
        """Where an entry is defined.

        Args:
            name: Its name.

        Returns:
            `module:name`, or empty where it was registered without.
        """
        return self._origins.get(name, "")

    def on_add(self, listener: Callable[[Entry], None]) -> None:
        """Call a function with every entry that is added from now on.

        Args:
            listener: Takes the new entry.
        """
        self._listeners.append(listener)

    @contextmanager
    def temporarily(self, name: str, entry: Entry) -> Iterator[None]:
        """Hold an entry for the length of a `with` block; meant for tests.

        Args:
            name: Its name; an entry of the same name is hidden meanwhile.
            entry: What the name stands for.

        Yields:
            Nothing.
        """
        entries, origins = dict(self._entries), dict(self._origins)
        self._entries[name] = entry
        try:
            yield
        finally:
            self._entries, self._origins = entries, origins


def origin_of(defined: object) -> str:
    """Where a function or class is defined.

    Args:
        defined: A function or a class.

    Returns:
        `module:qualified name`.
    """
    return f"{getattr(defined, '__module__', '')}:{getattr(defined, '__qualname__', '')}"


def first_line(defined: object) -> str:
    """The first line of a docstring, for lists.

    Args:
        defined: A function or a class.

    Returns:
        The line, empty without a docstring.
    """
    return ((getattr(defined, "__doc__", None) or "").strip().splitlines() or [""])[0]
