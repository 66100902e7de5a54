"""A run as one frozen value: what the report, the table and the export are derived from. No torch, no optuna."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gamsearch.analysis import pareto
from gamsearch.analysis.answer import Answer
from gamsearch.analysis.search_verdict import Confirmation, Noise, confirmed_verdict, unconfirmed_verdict
from gamsearch.analysis.verification import Verification
from gamsearch.architecture import BASELINE
from gamsearch.errors import one_line
from gamsearch.metrics import METRICS, Metric
from gamsearch.study import answers
from gamsearch.study.counts import Counts, count

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
"""The word for a trial's state by Optuna's name of it, in the order in which they are counted."""

FIGURES = (
    *("latency_ratio", "latency_iqr_ms", "latency_ratio_foreseen", "map50_95_gain", "map50_gain"),
    *("epochs", "epochs_trained", "seconds", "seed", "bound"),
)
"""Columns of `Record.trials` that hold numbers besides the metrics; NaN where unknown."""

TEXTS = ("state", "key", "label", "reason", "retried")
FLAGS = ("feasible", "anchor", "on_front", "paused")


@dataclass(frozen=True, eq=False)
class Record:
    """One run on disk.

    `trials` has one row per trial in order. Columns that are missing are added as unknown:

    - `number`, `state` (a value of `STATES`), `reason` (why it failed or was pruned)
    - `key`, `label`, `architecture` (as of `Architecture.to_dict`)
    - one column per metric; `map50_95_gain` and `map50_gain`, the paired differences to the baseline at the same seed
      and number of epochs; `latency_ratio`, `latency_iqr_ms`; `latency_ratio_foreseen`, the predicted ratio
    - `retried`: how the training was changed after a first failure
    - `recalled_from`: number of the trial whose result answered this repeat, or NaN
    - `resumed_by`: number of the trial that resumed this paused training, or NaN
    - `bound`: the optimistic map50_95 at which the training was stopped, or NaN
    - `epochs` (length of `curve`), `epochs_trained` (in this trial), `seconds`, `seed`
    - `curve`: one mapping per epoch
    - flags: `feasible`, `anchor` (a published placement), `on_front`, `paused`

    Attributes:
        name: Name of the run.
        settings: Settings of the run (command, data, versions, ...); may be nested.
        objectives: What the search optimised.
        reference_point: Reference point of the hypervolume, one value per objective.
        detector_yaml: The stock detector's YAML.
        detector_name: The stock detector's name.
        baseline_seeds: Metrics of the baseline at each seed, the one of trial 0 first.
        baseline_stage: How the baseline was trained: `epochs`, `from`, its last metrics, `curve` (`[epoch, map50_95]`
            of each validation) and, where the curve still rises steeply at its end, `still_rising`.
        trials: The table above.
        confirmations: By key, metrics of candidates at the seeds after the first.
        verification: What finalists reached at full budget; without finalists if none were verified.
    """

    name: str
    settings: dict[str, Any]
    objectives: tuple[Metric, ...]
    reference_point: tuple[float, ...] | None
    detector_yaml: dict[str, Any]
    detector_name: str
    baseline_seeds: tuple[dict[str, float], ...] = ()
    baseline_stage: dict[str, Any] = field(default_factory=dict)
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)
    confirmations: dict[str, tuple[dict[str, float], ...]] = field(default_factory=dict)
    verification: Verification = field(default_factory=lambda: Verification({}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "trials", _with_all_columns(self.trials))

    @property
    def counts(self) -> Counts:
        """All numbers of the run that are displayed anywhere."""
        confirmed = sum(len(seeds) for seeds in self.confirmations.values())
        return count(self.trials, len(self.baseline_seeds), confirmed)

    @property
    def trainings(self) -> pd.DataFrame:
        """One row per training: without the parts of trainings that a later trial resumed."""
        return self.trials[self.trials["resumed_by"].isna()]

    @property
    def complete(self) -> pd.DataFrame:
        """Trials that were evaluated, without repeats that were answered from an earlier trial."""
        return self.trials[(self.trials["state"] == "complete") & self.trials["recalled_from"].isna()]

    @property
    def baseline(self) -> pd.Series | None:
        """The trial of the stock detector (trial 0, unless that was interrupted), or None while it is not complete."""
        rows = self.complete[self.complete["label"] == BASELINE]
        return None if rows.empty else rows.iloc[0]

    @property
    def candidates(self) -> pd.DataFrame:
        """Complete, feasible trials with attention and a known paired difference to the baseline, best first."""
        rows = self.complete
        rows = rows[rows["feasible"] & (rows["label"] != BASELINE) & rows["map50_95_gain"].notna()]
        return rows.sort_values("map50_95_gain", ascending=False, kind="stable")

    @property
    def front(self) -> pd.DataFrame:
        """Complete trials on the Pareto front, best first objective first."""
        rows = self.complete
        first = self.objectives[0]
        return rows[rows["on_front"]].sort_values(first.name, ascending=not first.maximise, kind="stable")

    @property
    def best(self) -> pd.Series | None:
        """The member of the front with the best first objective, else the baseline, else None."""
        front = self.front
        return self.baseline if front.empty else front.iloc[0]

    @property
    def noise(self) -> Noise | None:
        """Spread of the baseline's map50_95 over its seeds; None with fewer than two seeds or if all are equal."""
        values = [float(s["map50_95"]) for s in self.baseline_seeds if isfinite(s.get("map50_95", np.nan))]
        if len(values) < 2 or np.ptp(values) == 0:
            return None
        return Noise(float(np.std(values, ddof=1)), len(values))

    @property
    def confirmation(self) -> Confirmation | None:
        """The paired gains of the best candidate at the other seeds; None with fewer than two of them."""
        if self.candidates.empty:
            return None
        best = self.candidates.iloc[0]
        controls = {seed.get("seed"): seed["map50_95"] for seed in self.baseline_seeds[1:]}
        paired = [s for s in self.confirmations.get(best["key"], ()) if s.get("seed") in controls]
        gains = tuple(float(s["map50_95"] - controls[s["seed"]]) for s in paired)
        if len(gains) < 2 or np.ptp(gains) == 0:  # an evaluator that ignores the seed confirms nothing
            return None
        return Confirmation(best["label"], gains, best["latency_ratio"])

    @property
    def still_rising(self) -> str:
        """Why the baseline is not trained enough to compare with, and what to do; empty where it is trained enough."""
        return one_line(self.baseline_stage.get("still_rising") or "")

    def hypervolumes(self) -> NDArray[np.float64] | None:
        """Hypervolume after each trial, in order, of the feasible trials so far; None without a reference point."""
        if self.reference_point is None:
            return None
        names = [m.name for m in self.objectives]
        known = self.complete[names].notna().all(axis=1) & self.complete["feasible"]
        counted = self.trials.index.isin(self.complete.index[known])
        points = self.trials[names].to_numpy(dtype=float)
        volumes = [
            pareto.hypervolume(points[: n + 1][counted[: n + 1]], self.reference_point, self.objectives)
            for n in range(len(points))
        ]
        return np.array(volumes, dtype=float)

    @property
    def verified(self) -> bool:
        """Whether any finalist has two seeds at full budget, which outweigh all short trainings."""
        return any(finalist.gain.count >= 2 for finalist in self.verification.finalists)

    def answer(self) -> Answer:
        """Answer in at most twelve words whether attention pays, with the grounds and what to do next."""
        return answers.answer(self)

    def verdict(self) -> str:
        """State whether any placement beats the baseline in map50_95: by the verification, else by the search."""
        return self.verification.verdict() if self.verified else self.search_verdict()

    def search_verdict(self) -> str:
        """State in one sentence what the short trainings show about the best candidate, and how certain that is."""
        candidates = self.candidates
        if not candidates.empty:
            confirmation = self.confirmation
            if confirmation is not None:
                return confirmed_verdict(confirmation, candidates)
            return unconfirmed_verdict(candidates, self.noise, len(self.baseline_seeds))
        if self.trials.empty:
            return "Nothing has been evaluated yet."
        among = f" ({self.counts.sentence})" if self.counts.candidates else ""
        if self.complete.empty:
            return f"No trial was completed{among}, so attention cannot be judged yet."
        if self.baseline is None:
            return f"The baseline was not completed{among}, so no placement can be compared with it."
        return f"Only the baseline has been completed{among}, so no placement can be compared with it yet."


def _with_all_columns(trials: pd.DataFrame) -> pd.DataFrame:
    """Return a copy in the order of the trials that has every column of the record, with its type."""
    table = trials.reset_index(drop=True).copy()
    if "number" not in table:
        table["number"] = range(len(table))
    for column in (*METRICS, *FIGURES, "recalled_from", "resumed_by"):
        table[column] = pd.to_numeric(table[column], errors="coerce") if column in table else np.nan
    for column in TEXTS:
        table[column] = table[column].fillna("").astype(str) if column in table else ""
    for column in FLAGS:
        table[column] = table[column].fillna(False).astype(bool) if column in table else column == "feasible"
    for column, empty in (("architecture", dict), ("curve", list)):
        filled = [v if isinstance(v, empty) else empty() for v in table.get(column, [None] * len(table))]
        table[column] = pd.Series(filled, dtype=object, index=table.index)
    return table


def latency_backend(settings: Mapping[str, Any]) -> str:
    """Return the backend with which a run measured latency.

    Args:
        settings: The recorded settings of the run.

    Returns:
        Name of the backend, where `auto` is resolved; empty for a replay, whose table already holds the latencies.
    """
    if settings.get("evaluator") == "replay":
        return ""
    return str(settings.get("latency_backend") or settings.get("latency") or "")
