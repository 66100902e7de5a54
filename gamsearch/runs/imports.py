"""The user's own model YAMLs: read once, recorded as architectures, and taken from the record ever after. No torch."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna

from gamsearch.architecture import Architecture
from gamsearch.errors import GamsearchError, RunError
from gamsearch.runs.manifest import Manifest
from gamsearch.runs.settings import Settings
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft
from gamsearch.space.imported import read_imported

IMPORTED = "imported"
"""Attribute of the study, and key of a manifest, that hold the architectures."""


def of_run(
    settings: Settings, detector: Detector, origin: Manifest | None, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The architectures that a new run trains beside its search.

    Args:
        settings: The run's settings.
        detector: Its stock detector.
        origin: The manifest that it repeats, which then holds them; else the files are read.
        say: Displays what was found in each file.

    Returns:
        Names of files and JSON-ready architectures, as the record holds them.

    Raises:
        GamsearchError: A file cannot be understood; the message names it and the row.
    """
    if origin is not None:
        return _checked(origin.path, origin.content.get(IMPORTED, []), detector)
    return _read(settings.imports, detector, say)


def _read(files: Sequence[str], detector: Detector, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """The architectures of model YAMLs; files with the same one share it."""
    found: dict[Architecture, str] = {}
    for file in dict.fromkeys(files):
        one = read_imported(Path(file), detector)
        say(f"imported {file}: {'; '.join((one.architecture.label, *one.notes))}")
        before = found.get(one.architecture)
        found[one.architecture] = f"{before}, {one.name}" if before else one.name
    return _distinct(found)


def _distinct(found: Mapping[Architecture, str]) -> list[dict[str, Any]]:
    """The form of the record, in which equal names of files in different folders are numbered."""
    names: dict[str, Architecture] = {}
    for architecture, name in found.items():
        number = 1 + sum(other == name or other.startswith(f"{name} (") for other in names)
        names[name if number == 1 else f"{name} ({number})"] = architecture
    return [{"file": name, "architecture": architecture.to_dict()} for name, architecture in names.items()]


def _checked(path: Path, written: Any, detector: Detector) -> list[dict[str, Any]]:
    """The architectures that the manifest at `path` holds; `RunError` if one of them is none."""
    for place, one in enumerate(written):
        try:
            architecture = Architecture.from_dict(one["architecture"])
            graft(detector, architecture)
            if (
                set(one) != {"file", "architecture"}
                or not isinstance(one["file"], str)
                or not one["file"].isprintable()
            ):
                raise ValueError("it must have the name of a file and an architecture")
        except (GamsearchError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path}, key 'imported', entry {place}: cannot be used ({error}); restore it") from error
    return list(written)


def recorded(study: optuna.Study) -> dict[str, Architecture]:
    """Read the architectures of a study.

    Args:
        study: The record.

    Returns:
        The architectures by names of files; none in runs that imported nothing.
    """
    return {one["file"]: Architecture.from_dict(one["architecture"]) for one in study.user_attrs.get(IMPORTED, [])}
