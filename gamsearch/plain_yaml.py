"""YAML from files that others may have written: plain values only, nothing that grows when it is read. No torch."""

from pathlib import Path
from typing import Any

import yaml

LARGEST = 1 << 20
"""Bytes; the longest data YAML that Ultralytics ships has 45,000."""


class UnreadableError(Exception):
    """The file holds no plain YAML; the text says why and, if known, in which line."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, by which a short file can stand for an endless structure."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "it holds an alias (*name); write the value out", mark)
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> Any:
    """The value in a UTF-8 YAML file; `UnreadableError` if there is none, `OSError` if it cannot be opened."""
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UnreadableError(f"it is larger than {LARGEST >> 20} MiB")
    try:
        return yaml.load(content.decode("utf-8-sig"), _Loader)
    except RecursionError as error:
        raise UnreadableError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise UnreadableError("it is no text in UTF-8") from error
    except (yaml.YAMLError, ValueError, TypeError, KeyError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise UnreadableError(f"{problem}{f' at line {mark.line + 1}' if mark else ''}") from error
