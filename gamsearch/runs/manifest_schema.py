"""Checks of a manifest: known keys, expected types, and names that cannot leave their folder."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from gamsearch.errors import RunError, nearest, one_line
from gamsearch.parser.row_checks import is_activation
from gamsearch.runs.settings import NAME, Settings

LARGEST_NUMBER = 10**9
LONGEST_TEXT = 4096

KEYS: dict[str, type] = {
    "manifest": int,
    "name": str,
    "written": str,
    "command": str,
    "settings": dict,
    "seeds": dict,
    "fingerprints": dict,
    "data": dict,
    "space": dict,
    "detector": dict,
    "versions": dict,
    "machine": dict,
    "commit": str,
    "repeats": dict,
    "baseline": dict,
    "imported": list,
}
NEEDED = ("settings", "fingerprints", "space", "detector")


def check_keys(path: Path, content: Mapping[Any, Any]) -> None:
    """Raise `RunError` for an unknown, missing or mistyped key, or for nested values where they are compared."""
    for key, value in content.items():
        if key not in KEYS:
            raise RunError(f"{path}, key {_quoted(key)}: unknown{nearest(_quoted(key), KEYS)}; leave it out")
        if type(value) is not KEYS[key]:
            raise RunError(f"{path}, key '{key}': must be {_type(KEYS[key])}, not {_quoted(value)}")
    for key in NEEDED:
        if key not in content:
            raise RunError(f"{path} lacks the key '{key}', so the run cannot be repeated from it")
    _check_baseline(path, content.get("baseline", {}))
    for key in ("fingerprints", "versions", "machine"):
        for name, value in content.get(key, {}).items():
            if not isinstance(name, str) or not isinstance(value, (str, int)):
                raise RunError(
                    f"{path}, key '{key}': must map names to strings, not {_quoted(name)} to {_quoted(value)}"
                )


def _check_baseline(path: Path, baseline: Mapping[Any, Any]) -> None:
    for name, value in baseline.items():
        if name != "decay_after" or type(value) is not int or not 1 <= value <= LARGEST_NUMBER:
            found = f"{_quoted(name)}: {_quoted(value)}"
            raise RunError(f"{path}, key 'baseline': must hold decay_after, a number of epochs, not {found}")


def check_names(path: Path, content: Mapping[str, Any]) -> None:
    """Raise `RunError` unless space and detector have content, and names that are plain file names."""
    for key, inside in (("space", "content"), ("detector", "yaml")):
        name, within = content[key].get("name"), content[key].get(inside)
        if not isinstance(within, dict):
            raise RunError(f"{path}, key '{key}.{inside}': must be a mapping, not {_quoted(within)}")
        if not isinstance(name, str) or not name or Path(name).name != name or "\\" in name or not name.isprintable():
            raise RunError(f"{path}, key '{key}.name': must be a file name without folders, not {_quoted(name)}")
    activation = content["detector"]["yaml"].get("activation")
    if not is_activation(activation):
        raise RunError(
            f"{path}, key 'detector.yaml.activation': must be like torch.nn.SiLU() or nn.LeakyReLU(0.1), "
            f"not {_quoted(activation)}"
        )


def checked_settings(path: Path, written: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the settings with the types of `Settings` and its defaults; raise `RunError` for a wrong value."""
    defaults = {f.name: getattr(Settings(), f.name) for f in fields(Settings)}
    for key, value in written.items():
        if key not in defaults:
            raise RunError(
                f"{path}, key {_quoted(f'settings.{key}')}: unknown{nearest(_quoted(key), defaults)}; leave it out"
            )
        if not _fits(value, defaults[key]) and not (key == "baseline_epochs" and _fits(value, 0)):
            raise RunError(
                f"{path}, key 'settings.{key}': must be {_type(type(defaults[key]))} of reasonable size, "
                f"not {_quoted(value)}"
            )
    if not NAME.fullmatch(written.get("name", "")):
        raise RunError(
            f"{path}, key 'settings.name': must be letters, digits, dots, dashes and underscores, "
            f"not {_quoted(written.get('name'))}"
        )
    listed = {name: tuple(written.get(name, ())) for name in ("objectives", "imports")}
    return {**defaults, **written, **listed}


def _fits(value: Any, default: Any) -> bool:
    """Return whether a value has the type of the default, and is neither huge, nested nor, in a mapping, empty."""
    if isinstance(default, dict):
        if not isinstance(value, dict):
            return False
        return all(isinstance(name, str) and item != "" and _is_plain(item) for name, item in value.items())
    if isinstance(default, tuple):
        return isinstance(value, list) and all(isinstance(v, str) and _is_plain(v) for v in value)
    return type(value) is type(default) and _is_plain(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and value.isprintable()
    if isinstance(value, list):
        return all(isinstance(v, (int, float)) and _is_plain(v) for v in value)
    if isinstance(value, (int, float)):
        return abs(value) <= LARGEST_NUMBER  # false for inf and NaN
    return value is None


def _type(kind: type) -> str:
    names = {dict: "a mapping", str: "a string", int: "a whole number", tuple: "a list of names", list: "a list"}
    return names[kind]


def _quoted(value: Any) -> str:
    """Return a value for a message: quoted, on one line, truncated."""
    small = isinstance(value, (str, float)) or isinstance(value, int) and abs(value) <= LARGEST_NUMBER
    text = one_line(value if small else f"{type(value).__name__} (too large or nested)")
    return f"'{text[:60]}…'" if len(text) > 60 else f"'{text}'"
