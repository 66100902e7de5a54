"""Runs and comparisons as plain values, for `--json`. Metrics are fractions; units are in the names of the others."""

from dataclasses import asdict
from typing import Any

import pandas as pd

from gamsearch.reporting.comparison import Comparison
from gamsearch.study.record import Record


def run_values(record: Record) -> dict[str, Any]:
    """What a run has found.

    Args:
        record: The run.

    Returns:
        `name`, `folder`, `model`, `task`, `answer`, `objectives`, `counts`, `baseline`, `front` and `best`.
    """
    baseline, best = record.baseline, record.best
    return {
        "name": record.name,
        "folder": record.folder,
        "model": record.detector_name,
        "task": record.task.name,
        "answer": asdict(record.answer()),
        "objectives": [{"name": m.name, "direction": m.direction, "unit": m.unit} for m in record.objectives],
        "counts": asdict(record.counts),
        "baseline": None if baseline is None else trial_values(record, baseline),
        "best": None if best is None else trial_values(record, best),
        "front": [trial_values(record, row) for _, row in record.front.iterrows()],
    }


def trial_values(record: Record, row: pd.Series) -> dict[str, Any]:
    """One trial.

    Args:
        record: The run.
        row: The trial's row of its trials.

    Returns:
        Its number, state, label and architecture, and all metrics and gains that are known.
    """
    names = [*(m.name for m in record.task.all_metrics), *record.task.gains, "latency_ratio"]
    return {
        "number": int(row["number"]),
        "state": row["state"],
        "label": row["label"],
        "architecture": row["architecture"],
        **{name: float(row[name]) for name in names if pd.notna(row[name])},
    }


def comparison_values(compared: Comparison) -> dict[str, Any]:
    """What a comparison has found.

    Args:
        compared: The comparison.

    Returns:
        The verdict, the hypervolume and the front of each run, and the settings that differ.
    """
    names, called = [metric.name for metric in compared.objectives], [run.name for run in compared.runs]
    runs = [
        {
            "name": run.name,
            "hypervolume": compared.hypervolume(run),
            "hypervolume_of_baseline": compared.baseline_hypervolume(run),
            "front": [dict(zip(names, map(float, point), strict=True)) for point in compared.front(run)],
        }
        for run in compared.runs
    ]
    return {
        "verdict": compared.verdict(),
        "relative_to_baselines": compared.relative,
        "objectives": names,
        "reference_point": compared.reference_point,
        "runs": runs,
        "differing": {key: dict(zip(called, texts, strict=True)) for key, texts in compared.differing()},
    }
