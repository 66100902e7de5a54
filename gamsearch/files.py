"""Untrusted files: regular ones of bounded size, plain values, printable texts, no links out of a run's folder."""

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gamsearch.errors import ESCAPE, RunError, is_control

LARGEST = 1 << 20
"""Bytes; the longest data YAML that Ultralytics ships has 45,000."""


class UnreadableError(Exception):
    """The file cannot be read as what it should be; the message gives the reason and, if known, the line."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, which let a short file expand to an endless structure."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "it holds an alias (*name); write the value out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuse a key that is there twice, of which PyYAML would keep the last one in silence."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value[:80]}' is there twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Read a YAML file of plain values.

    Args:
        path: A file in UTF-8 of at most `LARGEST` bytes.

    Returns:
        Its value, in whose texts no control character is left.

    Raises:
        UnreadableError: The file is not plain YAML, is too large, or holds an alias.
        OSError: The file cannot be opened.
    """
    content = read_regular(path, LARGEST)
    try:
        return printable(yaml.load(content.decode("utf-8-sig"), _Loader))
    except RecursionError as error:
        raise UnreadableError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise UnreadableError("it is not text in UTF-8") from error
    except (yaml.YAMLError, ValueError, TypeError, KeyError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise UnreadableError(f"{problem}{f' at line {mark.line + 1}' if mark else ''}") from error


def read_json(path: Path, largest: int = LARGEST) -> Any:
    """Read a JSON file.

    Args:
        path: A file in UTF-8.
        largest: Most bytes that it may have.

    Returns:
        Its value, in whose texts no control character is left.

    Raises:
        UnreadableError: The file is not JSON, is too large or nested too deeply.
        OSError: The file cannot be opened.
    """
    try:
        return printable(json.loads(read_regular(path, largest)))
    except RecursionError as error:
        raise UnreadableError("it is nested too deeply") from error
    except ValueError as error:
        raise UnreadableError(f"it is not JSON ({error})") from error


def read_regular(path: Path, largest: int) -> bytes:
    """Read a file that may come from anywhere: a device or a named pipe would never end.

    Args:
        path: The file.
        largest: Most bytes that it may have.

    Returns:
        Its content.

    Raises:
        UnreadableError: It is not a regular file, or it is larger than `largest`.
        OSError: It cannot be opened.
    """
    with open(_descriptor(path), "rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise UnreadableError(f"it is larger than {_size(largest)}")
    return content


def check_regular(path: Path, largest: int) -> None:
    """Refuse a file that a library is about to open by its name, unless it is regular and of bounded size.

    Args:
        path: The file.
        largest: Most bytes that it may have.

    Raises:
        UnreadableError: It is not a regular file, or it is larger than `largest`.
        OSError: It cannot be opened.
    """
    descriptor = _descriptor(path)
    try:
        if os.fstat(descriptor).st_size > largest:
            raise UnreadableError(f"it is larger than {_size(largest)}")
    finally:
        os.close(descriptor)


def _descriptor(path: Path) -> int:
    """Open a regular file for reading; a named pipe is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise UnreadableError(
            "it is a folder" if stat.S_ISDIR(mode) else "it is a device, a pipe or a socket, not a file"
        )
    return descriptor


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def printable(value: Any) -> Any:
    """Replace control characters, which a terminal obeys, in every text below a value that comes from elsewhere.

    Args:
        value: What JSON or YAML can hold.

    Returns:
        The same value; in texts and keys, control sequences are gone, and `?` stands for each other character that
        cannot be printed.
    """
    if isinstance(value, str):
        if value.isprintable():
            return value
        return "".join("?" if is_control(c) and c not in "\n\t" else c for c in ESCAPE.sub("", value))
    if isinstance(value, dict):
        return {printable(name): printable(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable(part) for part in value]
    return value


TRACKING = "tracking"
"""Subfolder of a run for experiment trackers. gamsearch opens no file in it; Weights & Biases makes links there."""


def refuse_links(folder: Path) -> None:
    """Refuse a run's folder in which writing a file could change one elsewhere, or reading one could show it.

    What lies below `TRACKING` is left out; that folder itself must not be a link either.

    Args:
        folder: The run's folder.

    Raises:
        RunError: Something in it is a link that leads out of it, or a device or a pipe.
    """
    home = folder.resolve()
    for path in _entries(folder):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise RunError(f"{path} is a device, a pipe or a socket, which gamsearch does not open; remove it")
        if path.is_symlink() and (_is_loop(path) or not path.resolve().is_relative_to(home)):
            raise RunError(
                f"{path} is a link out of the run's folder or to itself, which gamsearch does not follow; remove it"
            )


def _is_loop(link: Path) -> bool:
    """Whether a link leads to itself."""
    try:
        link.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _entries(folder: Path) -> Iterator[Path]:
    """Everything in a folder and below, but not what trackers keep; links to folders are not followed."""
    for place, folders, names in os.walk(folder):
        yield from (Path(place) / name for name in (*folders, *names))
        if Path(place) == folder and TRACKING in folders:
            folders.remove(TRACKING)
