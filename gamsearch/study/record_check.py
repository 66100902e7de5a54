"""Whether a study holds what the rest of gamsearch relies on: its schema, and what depends on its task."""

from collections.abc import Callable
from typing import Any

import optuna
from optuna.trial import TrialState

from gamsearch.errors import one_line
from gamsearch.files import printable
from gamsearch.metrics import is_reserved, learn
from gamsearch.plugins.registry import NAME
from gamsearch.study import schema
from gamsearch.tasks import task_of


def problem(study: optuna.Study) -> str | None:
    """Find where a record breaks what the rest of gamsearch relies on.

    Args:
        study: A study of this version's schema.

    Returns:
        The first problem, or None.
    """
    forms = study.user_attrs.get("metrics", {})
    found = _problem_of_metrics(forms)
    if found:
        return found
    learn(printable(forms))
    found = schema.mismatch(study.user_attrs, schema.STUDY)
    if found or not study.user_attrs.get("objectives"):
        return found or "it names no objectives"
    corner, objectives = study.user_attrs.get("reference_point"), study.user_attrs["objectives"]
    if corner is not None and len(corner) != len(objectives) or len(study.directions) != len(objectives):
        return "its reference point or its directions differ in number from its objectives"
    task = task_of(study.user_attrs.get("detector", {}).get("yaml", {}))
    needed, expected = {*objectives, task.primary, task.secondary}, trial_schema(task.primary)
    for trial in study.get_trials(deepcopy=False):
        attributes = trial.user_attrs
        found = schema.mismatch(attributes, expected, f"trial {trial.number}")
        if found:
            return found
        if "key" in attributes and not attributes.get("architecture"):  # recorded before the key
            return f"trial {trial.number} has a key without an architecture"
        metrics = attributes.get("measurement", {}).get("metrics", {})
        if trial.state == TrialState.COMPLETE and not metrics.keys() >= needed:
            return f"trial {trial.number} is complete without {', '.join(sorted(needed - metrics.keys()))}"
    return None


def _problem_of_metrics(forms: Any) -> str | None:
    """What is wrong with the description of the metrics of plug-ins."""
    found = schema.mismatch(forms, {...: schema.METRIC}, "metrics")
    if found or not all(form.keys() == schema.METRIC.keys() for form in forms.values()):
        return found or "its metrics are not described"
    wrong = [name for name in forms if is_reserved(name) or not NAME.fullmatch(name)]
    return f"a metric cannot be called '{one_line(wrong[0])[:80]}'" if wrong else None


def trial_schema(primary: str) -> dict[str, Any]:
    """The schema of a trial's user attributes; `primary` is the metric that every validated epoch has."""
    curve = [_epoch(primary)]
    return {**schema.TRIAL, "measurement": {**schema.MEASUREMENT, "curve": curve}, "curve": curve}


def _epoch(primary: str) -> Callable[[Any], bool]:
    """The metrics of one epoch of a training."""

    def epoch(value: Any) -> bool:
        known = schema.mismatch(value, schema.NUMBERS) is None
        return known and value.keys() >= {"epoch", primary} and schema.count(value["epoch"])

    return epoch
