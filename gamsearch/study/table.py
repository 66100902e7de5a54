"""The study read back: one row per trial, and the whole run as one `Record`."""

import math
from collections.abc import Sequence
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from gamsearch.analysis import pareto
from gamsearch.analysis.screened import Screened
from gamsearch.analysis.verification import Verification
from gamsearch.errors import one_line
from gamsearch.files import printable
from gamsearch.metrics import AUDIT_COLUMNS, LATENCIES, Metric
from gamsearch.study.interruptions import INTERRUPTED, interrupted, is_lost
from gamsearch.study.record import STATES, Record
from gamsearch.study.store import baseline_trial, objectives_of, task, trials

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a formula of a spreadsheet begins with, full-width forms included."""


def read_record(study: optuna.Study, name: str, folder: str = "") -> Record:
    """Read everything that a report needs.

    Args:
        study: A study of gamsearch.
        name: Name of the run.
        folder: The run's folder, for the commands that its answer suggests.

    Returns:
        The run without proposals that no worker has started.
    """
    attributes = printable(study.user_attrs)
    rows = trial_table(study)
    return Record(
        name=name,
        settings=attributes.get("settings", {}),
        objectives=objectives_of(study),
        reference_point=tuple(attributes["reference_point"]) if "reference_point" in attributes else None,
        detector_yaml=attributes.get("detector", {}).get("yaml", {}),
        detector_name=attributes.get("detector", {}).get("name", ""),
        baseline_seeds=tuple(attributes.get("baseline_seeds", [])),
        baseline_stage=attributes.get("baseline_stage", {}),
        confirmations={key: tuple(seeds) for key, seeds in attributes.get("confirmations", {}).items()},
        trials=rows[rows["state"] != STATES["WAITING"]].reset_index(drop=True),
        verification=Verification.from_dict(attributes.get("verification")),
        folder=folder,
        screened=Screened.from_dict(attributes.get("screening_answer")),
    )


def trial_table(study: optuna.Study) -> pd.DataFrame:
    """Read all trials.

    Args:
        study: A study of gamsearch.

    Returns:
        One row per trial in order; `Record` documents the columns.
    """
    ranked = task(study)
    metrics = [metric.name for metric in ranked.all_metrics]
    rows = pd.DataFrame([_row(t, metrics) for t in trials(study)], columns=_columns(metrics))
    resumed = {t.user_attrs["resumes"]: t.number for t in trials(study) if "resumes" in t.user_attrs}
    rows["resumed_by"] = rows["number"].map(resumed).astype(float)
    for metric, column in zip((ranked.primary, ranked.secondary), ranked.gains, strict=True):
        rows[column] = _gain(study, rows, metric)
    rows["on_front"] = _on_front(rows, objectives_of(study))
    return rows


def _columns(metrics: Sequence[str]) -> list[str]:
    """The columns of `_row`, and `resumed_by`."""
    return [
        *("number", "state", "key", "label", "architecture", *metrics, *LATENCIES),
        *("reason", "retried", "recalled_from", "resumed_by", "paused", "bound"),
        *("epochs", "epochs_trained", "seconds", "seed", "curve", "feasible", "anchor", "imported", *AUDIT_COLUMNS),
    ]


def _row(trial: FrozenTrial, names: Sequence[str]) -> dict[str, Any]:
    attributes = printable(trial.user_attrs)
    measurement, stop = attributes.get("measurement", {}), attributes.get("stop", {})
    provenance = measurement.get("provenance", {})
    metrics = {**attributes.get("built", {}), **measurement.get("metrics", {})}
    metrics["latency_ratio_foreseen"] = attributes.get("foreseen", {}).get("latency_ratio", math.nan)
    curve = measurement.get("curve", attributes.get("curve", []))
    reason = INTERRUPTED if interrupted(trial) and not is_lost(trial) else _safe_text(attributes.get("reason", ""))
    return {
        "number": trial.number,
        "state": STATES[trial.state.name],
        "key": attributes.get("key", ""),
        "label": _safe_text(attributes.get("label", "")),
        "architecture": attributes.get("architecture", {}),
        **{name: metrics.get(name, math.nan) for name in (*names, *LATENCIES)},
        "reason": reason,
        "retried": _safe_text(_retried(provenance.get("notes", []))),
        "recalled_from": attributes.get("recalled_from", math.nan),
        "paused": bool(stop.get("paused", False)),
        "bound": stop.get("bound"),
        "epochs": len(curve),
        "epochs_trained": attributes.get("epochs_trained", 0 if "recalled_from" in attributes else len(curve)),
        "seconds": provenance.get("seconds", math.nan),
        "seed": attributes.get("seed", math.nan),
        "curve": curve,
        "feasible": bool(attributes.get("feasible", trial.state == TrialState.COMPLETE)),
        "anchor": bool(attributes.get("anchor", False)),
        "imported": _safe_text(attributes.get("imported", "")),
        **{name: provenance.get("audit", {}).get(name, math.nan) for name in AUDIT_COLUMNS},
    }


def _retried(notes: Sequence[str]) -> str:
    """How a retried training differs from the others; half a batch gets other augmentations, so it is not paired."""
    changes = [note.partition(" after:")[0] for note in notes if not note.startswith("went on")]
    return ", ".join(f"{change}, not paired" if change.startswith("batch halved") else change for change in changes)


def _safe_text(text: str) -> str:
    """A text of the record on one line that neither a terminal nor a spreadsheet interprets as a command."""
    line = one_line(text)
    return f"'{line}" if line.startswith(FORMULA) else line


def _gain(study: optuna.Study, rows: pd.DataFrame, metric: str) -> pd.Series:
    """The paired difference to the baseline: same seed, same extra epochs."""
    control = baseline_trial(study)
    if control is None:
        return pd.Series(math.nan, index=rows.index)
    return rows[metric] - control.user_attrs["measurement"]["metrics"][metric]


def _on_front(rows: pd.DataFrame, objectives: Sequence[Metric]) -> pd.Series:
    """Whether a trial is on the Pareto front of the complete, feasible trials."""
    marks = pd.Series(False, index=rows.index)
    admitted = rows[(rows["state"] == STATES["COMPLETE"]) & rows["feasible"] & rows["recalled_from"].isna()]
    if len(admitted):
        marks.loc[admitted.index] = pareto.front(admitted[[m.name for m in objectives]].to_numpy(float), objectives)
    return marks
