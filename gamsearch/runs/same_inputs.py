"""A run is resumed with the inputs that it began with: same space, data, weights and device. No torch."""

from collections.abc import Callable, Mapping
from typing import Any

import optuna

from gamsearch.errors import RunError


def check_space(study: optuna.Study, fingerprint: str, name: str) -> None:
    """Refuse another space, because the parameters of a study cannot change.

    Args:
        study: The run's study.
        fingerprint: That of the space as it is.
        name: The space as the user gave it.

    Raises:
        RunError: The study has another space.
    """
    if study.user_attrs.get("space", {}).get("fingerprint") != fingerprint:
        raise RunError(f"the search space '{name}' changed since this run began; use another --name")


def record_changes(study: optuna.Study, data: str, search_anyway: bool) -> None:
    """Record what a resumed run may change: where the data are now, and whether it searches whatever a screening says.

    Args:
        study: The run's study.
        data: The data YAML, whose fingerprint was checked.
        search_anyway: Whether the run, its workers and later calls search even where nothing pays.
    """
    settings, changed = study.user_attrs.get("settings", {}), {"data": data, "search_anyway": search_anyway}
    if any(settings.get(name, False) != value for name, value in changed.items()):
        study.set_user_attr("settings", {**settings, **changed})


def check_fingerprints(study: optuna.Study, found: Mapping[str, Any], changes: Callable[[], str] = str) -> None:
    """Record new fingerprints; refuse data, weights or a device other than those that the run began with.

    Args:
        study: The run's study.
        found: Fingerprints by name.
        changes: Names the files of the data that differ; gives an empty string where that is not known.

    Raises:
        RunError: A fingerprint differs from the recorded one.
    """
    known = study.user_attrs.get("fingerprints", {})
    for what, value in found.items():
        if known.setdefault(what, value) != value:
            named = f" ({text})" if what == "data" and (text := changes()) else ""
            remedy = "restore them or use another --name" if what == "data" else "use another --name"
            raise RunError(f"the {what} changed since this run began{named}, so trials would not compare; {remedy}")
    study.set_user_attr("fingerprints", known)
