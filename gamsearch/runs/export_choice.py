"""Which trial `export` takes, and which of its weights: those of the verification where there are any."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gamsearch.analysis import pareto
from gamsearch.analysis.answer import YES
from gamsearch.architecture import BASELINE
from gamsearch.errors import OptionError, RunError, nearest, plural
from gamsearch.metrics import METRICS
from gamsearch.study.record import Record


@dataclass(frozen=True)
class Choice:
    """The trial to export.

    Attributes:
        row: Its row of the table.
        stem: Name of the files without extension.
        reason: Why this trial, for the first line and the header.
    """

    row: pd.Series
    stem: str
    reason: str

    @property
    def is_baseline(self) -> bool:
        return bool(self.row["label"] == BASELINE)


@dataclass(frozen=True)
class Weights:
    """The weights to export.

    Attributes:
        path: The state dict.
        verified: Whether a verification trained them at full budget.
        origin: Epochs and seed of their training, in words.
        metrics: What the validation of that training measured, by metric.
    """

    path: Path
    verified: bool
    origin: str
    metrics: dict[str, float]


def chosen(record: Record, pick: str = "", trial: int | None = None) -> Choice:
    """Return the trial to export.

    Args:
        record: The run's record.
        pick: `knee` or the name of an objective, for the best of the Pareto front in it; empty for what the run
            recommends, which is the baseline unless a candidate is shown to be better.
        trial: Number of the trial, instead of a pick.

    Returns:
        The trial.

    Raises:
        OptionError: There is no such pick or trial, or the trial has no trained model.
        RunError: No trial is complete.
    """
    if trial is not None:
        return Choice(_numbered(record, trial), f"trial-{trial}", "chosen by number")
    front, names = record.front, [m.name for m in record.objectives]
    if front.empty:
        raise RunError(f"{record.name} has no complete trial yet, so there is nothing to export; run it first")
    if not pick:
        return _recommended(record)
    if pick == "knee":
        row = front.iloc[pareto.knee(front[names].to_numpy(float), record.objectives)]
    elif pick in names:
        row = front.sort_values(pick, ascending=not METRICS[pick].maximise, kind="stable").iloc[0]
    else:
        offered = ", ".join(["knee", *names])
        raise OptionError(f"--pick '{pick}' is not an objective of this run{nearest(pick, names)}; it takes {offered}")
    return Choice(row, "best", f"pick {pick}")


def _numbered(record: Record, trial: int) -> pd.Series:
    rows = record.trials[record.trials["number"] == trial]
    if rows.empty:
        raise OptionError(f"there is no trial {trial}; the run has trials 0 to {len(record.trials) - 1}")
    row = rows.iloc[0]
    if row["state"] != "complete":
        raise OptionError(f"trial {trial} is {row['state']} and has no trained model; choose a complete trial")
    return row


def _recommended(record: Record) -> Choice:
    """The candidate that the run's answer recommends, else the baseline."""
    answer = record.answer()
    if answer.kind == YES and answer.trial is not None:
        return Choice(_numbered(record, answer.trial), "best", "recommended by the run")
    if record.baseline is None:
        raise RunError(f"{record.name} recommends no trial and has no complete baseline; name a trial with --trial")
    return Choice(record.baseline, "baseline", "the recommendation, since no candidate is shown to be better")


def advice(record: Record, choice: Choice) -> str:
    """Say how to export something else than a recommended baseline.

    Args:
        record: The run's record.
        choice: The trial to export.

    Returns:
        One sentence; empty where the baseline was not chosen by recommendation.
    """
    if choice.stem != "baseline":
        return ""
    headline, candidates = record.answer().headline, record.candidates
    if candidates.empty:
        return headline
    number = int(candidates.iloc[0]["number"])
    return f"{headline} To export a candidate all the same, name it, e.g. --trial {number} or --pick knee."


def weights_of(folder: Path, record: Record, row: pd.Series) -> Weights:
    """Return the weights to export: of the verified seed with the median primary metric, else those of the search.

    Args:
        folder: The run's folder.
        record: The run's record.
        row: The trial's row of the table.

    Returns:
        The weights. With an even number of seeds, the median is the lower one of the middle two.

    Raises:
        RunError: The trial was measured in a shared network only.
    """
    trainings = record.verification.trainings.get(BASELINE if row["label"] == BASELINE else row["key"], {})
    place = folder / "verify" / "weights"
    primary, metrics = record.task.primary, [metric.name for metric in record.task.all_metrics]
    kept = [
        (float(done[primary]), seed)
        for seed, done in trainings.items()
        if done.get(primary) is not None and (place / f"{row['key']}-seed{seed}.pt").is_file()
    ]
    settings = record.settings
    if not kept and settings.get("evaluator") == "supernet":
        raise RunError(
            f"trial {int(row['number'])} was measured in a shared network, so it has no weights of its own; "
            f"train it with `python -m gamsearch verify {folder}` first"
        )
    if not kept:
        stage = record.baseline_stage.get("epochs", settings.get("baseline_epochs"))
        epochs = settings.get("epochs", int(row["epochs"]))  # a curve may lack epochs that nothing validated
        origin = f"the search's short training ({_number(stage)} + {epochs} epochs"
        figures = {m: float(row.get(m, math.nan)) for m in metrics}
        path = folder / "weights" / f"{row['key']}-seed{int(row['seed'])}.pt"
        return Weights(path, False, f"{origin}, seed {int(row['seed'])})", _known(figures))
    seed = sorted(kept)[(len(kept) - 1) // 2][1]
    epochs = plural(int(record.verification.settings.get("epochs") or 0), "epoch")
    which = "the only seed" if len(kept) == 1 else f"the median of {len(kept)} seeds by {record.task.primary_title}"
    figures = {m: _float(trainings[seed].get(m)) for m in metrics}
    path = place / f"{row['key']}-seed{seed}.pt"
    return Weights(path, True, f"the verification ({epochs}, seed {seed}: {which})", _known(figures))


def _known(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _number(value: Any) -> str:
    return "?" if value is None else f"{value}"
