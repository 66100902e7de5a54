"""Untrusted files: YAML is read as plain values only, and links out of a run's folder are refused. No torch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gamsearch.errors import RunError

LARGEST = 1 << 20
"""Bytes; the longest data YAML that Ultralytics ships has 45,000."""

WRITTEN = ("baseline", "export", "paused", "space", "verify", "weights", "workers")
"""The subfolders that gamsearch writes into."""


class UnreadableError(Exception):
    """The file is not plain YAML; the message gives the reason and, if known, the line."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, which let a short file expand to an endless structure."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "it holds an alias (*name); write the value out", mark)
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> Any:
    """Read a YAML file of plain values.

    Args:
        path: A file in UTF-8 of at most `LARGEST` bytes.

    Returns:
        Its value.

    Raises:
        UnreadableError: The file is not plain YAML, is too large, or holds an alias.
        OSError: The file cannot be opened.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UnreadableError(f"it is larger than {LARGEST >> 20} MiB")
    try:
        return yaml.load(content.decode("utf-8-sig"), _Loader)
    except RecursionError as error:
        raise UnreadableError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise UnreadableError("it is not text in UTF-8") from error
    except (yaml.YAMLError, ValueError, TypeError, KeyError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise UnreadableError(f"{problem}{f' at line {mark.line + 1}' if mark else ''}") from error


def refuse_links(folder: Path) -> None:
    """Refuse a run's folder in which writing a file could change one elsewhere.

    Args:
        folder: The run's folder.

    Raises:
        RunError: Something in it that gamsearch may write is a link that leads out of it.
    """
    home = folder.resolve()
    for path in _entries(folder):
        if path.is_symlink() and not path.resolve().is_relative_to(home):
            raise RunError(f"{path} is a link out of the run's folder, which gamsearch does not follow; remove it")


def _entries(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    yield from folder.iterdir()
    for name in WRITTEN:
        below = folder / name
        if below.is_dir() and not below.is_symlink():
            yield from below.rglob("*")
