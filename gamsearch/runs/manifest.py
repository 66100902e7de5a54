"""manifest.yaml: everything needed to repeat a run, written when the run is created and checked when it is read.

A resumed run changes nothing in it and only adds what was not known. The file holds the whole search space and
detector, since the files that they came from can be edited or lost.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from gamsearch.errors import RunError, one_line
from gamsearch.files import UnreadableError, read_yaml
from gamsearch.runs.manifest_schema import KEYS, check_keys, check_names, checked_settings
from gamsearch.runs.provenance import commit, machine, versions
from gamsearch.runs.settings import Settings
from gamsearch.runs.space_content import plain, space_content
from gamsearch.space.search_space import SearchSpace

FILE = "manifest.yaml"
FORM = 1


@dataclass(frozen=True)
class Manifest:
    """A checked manifest: its path and its content, in which `settings` have the types of `Settings`."""

    path: Path
    content: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read and check a manifest.

        Args:
            path: The file, or the folder of the run that holds it.

        Returns:
            The checked manifest.

        Raises:
            RunError: The file is missing, is not YAML, or holds keys or values that gamsearch does not write.
        """
        path = path / FILE if path.is_dir() else path
        content = _mapping(path)
        if content.get("manifest") != FORM:
            raise RunError(
                f"{path} must contain 'manifest: {FORM}', as every manifest of this version does; choose another file"
            )
        check_keys(path, content)
        check_names(path, content)
        return cls(path, {**content, "settings": checked_settings(path, content["settings"])})

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.content["settings"])

    @property
    def name(self) -> str:
        return str(self.settings["name"])

    @property
    def fingerprints(self) -> dict[str, str]:
        return dict(self.content["fingerprints"])

    @property
    def identity(self) -> dict[str, str]:
        """What a repetition records to recognise its original."""
        return {"name": self.name, "written": self.content.get("written", "")}


def facts(
    settings: Settings,
    space: SearchSpace,
    study: Mapping[str, Any],
    seeds: int,
    repeats: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the content of a run's manifest; passwords in URLs are masked.

    Args:
        settings: The run's settings.
        space: The resolved search space.
        study: User attributes of the run's study.
        seeds: Number of seeds at which the baseline is measured.
        repeats: `identity` of the manifest that this run repeats, if it repeats one.

    Returns:
        Plain values by key.
    """
    from gamsearch.runs import demo

    recorded = study["settings"]
    known: dict[str, Any] = {
        "manifest": FORM,
        "name": settings.name,
        "written": datetime.now(timezone.utc).isoformat(),
        "command": recorded.get("command", ""),
        "settings": {f.name: recorded.get(f.name, getattr(settings, f.name)) for f in fields(Settings)},
        "seeds": {"search": settings.seed, "baseline": list(range(settings.seed, settings.seed + seeds))},
        "fingerprints": {**fingerprints(settings, space), **study["fingerprints"]},
        "data": {"summary": recorded.get("data_summary"), "drawn": demo.parameters_of(settings.data)},
        "space": {"name": space.name, "content": space_content(space)},
        "detector": study["detector"],
        "versions": versions(),
        "machine": {**machine(), "device": recorded.get("hardware")},
        "commit": commit(),
        "baseline": _length(study.get("baseline_stage", {})),
        "imported": study.get("imported"),
        "repeats": repeats,
    }
    for section in ("data", "machine"):
        known[section] = {key: value for key, value in known[section].items() if value is not None}
    return plain({key: value for key, value in known.items() if value is not None})


def _length(stage: Mapping[str, Any]) -> dict[str, int] | None:
    """The length of a baseline stage that its curve decided; a repetition keeps it."""
    return {"decay_after": stage["decay_after"]} if "decay_after" in stage else None


def fingerprints(settings: Settings, space: SearchSpace) -> dict[str, str]:
    """Return the fingerprints of a run's space and weights.

    Args:
        settings: The run's settings.
        space: The resolved search space.

    Returns:
        The fingerprint of the space, and that of the weights if the model is a `.pt` file.
    """
    found, weights = {"space": space.fingerprint}, Path(settings.model)
    if settings.evaluator == "training" and weights.suffix == ".pt" and weights.is_file():
        found["model weights"] = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    return found


def keep(folder: Path, found: Mapping[str, Any], resumed: bool) -> None:
    """Write the manifest into a run's folder, or add missing entries to the existing one.

    Args:
        folder: The run's folder.
        found: The content to write.
        resumed: Whether the run existed before; then `versions`, `machine`, `commit` and `written` are not added,
            because those of the run's beginning are no longer known.

    Raises:
        RunError: The existing manifest cannot be read.
    """
    path = folder / FILE
    try:
        known = _mapping(path) if path.exists() else {}
    except RunError as error:
        raise RunError(f"{error}; repair it, or delete it and the run continues with a new one") from error
    then = ("versions", "machine", "commit", "written") if resumed else ()
    added = {**{k: v for k, v in found.items() if k not in then}, **known}
    if isinstance(known.get("fingerprints"), dict):
        added["fingerprints"] = {**found["fingerprints"], **known["fingerprints"]}
    if added != known:
        _write(path, added)


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values as YAML without anchors.

    Args:
        path: The file; its folder is created if need be.
        content: Values of plain types.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120), encoding="utf-8"
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write atomically, so that a kill leaves either the old file or the new one."""
    partial = path.with_suffix(".partial")
    write_yaml(partial, content)
    os.replace(partial, path)


def _mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file of plain values; raise `RunError` if there is none."""
    if path.exists() and not path.is_file():
        raise RunError(f"{path} is not a file; give the {FILE} of a run, such as results/my-search/{FILE}")
    try:
        content = read_yaml(path)
    except FileNotFoundError as error:
        raise RunError(f"{path} does not exist; give the {FILE} of a run, such as results/my-search/{FILE}") from error
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}); make it readable") from error
    except UnreadableError as error:
        raise RunError(f"{path} is not a manifest, because it is not plain YAML: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} is not a manifest: it must hold a mapping with the keys {', '.join(KEYS)}")
    return content
