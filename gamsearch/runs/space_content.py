"""A resolved search space as the content of a space file, as records hold it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gamsearch.plugins.loading import import_plugins
from gamsearch.space.search_space import SearchSpace
from gamsearch.study.urls import masked


def space_content(space: SearchSpace) -> dict[str, Any]:
    """Return a search space as the content of a space file.

    Args:
        space: The resolved search space.

    Returns:
        The content, which names the detector's YAML as a file beside it.
    """
    modules = {
        m.name: {
            **({m.spec.strength: m.strengths} if m.spec.strength else {}),
            **dict(m.options),
            **({"sites": [f"row {site}" for site in m.sites]} if m.sites is not None else {}),
        }
        for m in space.modules
    }
    content: dict[str, Any] = plain(
        {
            "detector": f"{space.detector.name}.yaml",
            "sites": space.sites,
            "semantics": space.semantics,
            "attention": modules,
            "illegal": "skip",
            "rules": {rule.name: rule.value for rule in space.rules},
            "limits": {limit.metric: limit.text for limit in space.limits},
            "objectives": space.objectives,
            **({"plugins": space.plugins} if space.plugins else {}),
        }
    )
    return content


def recorded_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded search space as a space file in which the sites may be rows of any kind.

    Args:
        content: What `space_content` returned.

    Returns:
        The content with `row 15` in place of 15.
    """
    sites = content.get("sites")
    listed = [f"row {s}" if type(s) is int else s for s in sites] if isinstance(sites, list) else sites
    return {**content, "sites": listed}


def plain(value: Any) -> Any:
    """Return a value as YAML can hold it.

    Args:
        value: Mappings, lists and tuples of plain values.

    Returns:
        The value with lists instead of tuples and masked passwords.
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return masked(value) if isinstance(value, str) else value


def import_recorded_plugins(folder: Path, study: Mapping[str, Any]) -> None:
    """Import the plug-ins of a run's space, so that its modules are known in a process that does not read the space.

    Args:
        folder: The run's folder; plug-ins in it are refused, since it may come from somebody else.
        study: User attributes of its study.

    Raises:
        SpaceError: A plug-in cannot be imported.
    """
    content = study.get("space", {}).get("content", {})
    import_plugins(content.get("plugins", []), folder)
