"""A run as one frozen value: what the report, the table and the export are derived from. No torch, no optuna."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gamsearch.analysis import pareto
from gamsearch.analysis.answer import Answer
from gamsearch.analysis.noise import Noise
from gamsearch.analysis.screened import Screened
from gamsearch.analysis.search_verdict import Searched
from gamsearch.analysis.verification import Verification
from gamsearch.architecture import BASELINE
from gamsearch.errors import one_line
from gamsearch.metrics import FIGURES, FLAGS, LATENCIES, TEXTS, Metric
from gamsearch.study import answers, repeats
from gamsearch.study.counts import Counts, count
from gamsearch.tasks import Task, task_of

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
"""The word for a trial's state by Optuna's name of it, in the order in which they are counted."""


@dataclass(frozen=True, eq=False)
class Record:
    """One run on disk.

    `trials` has one row per trial in order. Columns that are missing are added as unknown:

    - `number`, `state` (a value of `STATES`), `reason` (why it failed or was pruned)
    - `key`, `label`, `architecture` (as of `Architecture.to_dict`)
    - one column per metric of the task; `Task.gains`, such as `map50_95_gain` and `map50_gain`, the paired differences
      to the baseline at the same seed and number of epochs
    - `latency_ratio`, `latency_iqr_ms`; `latency_ratio_foreseen`, the predicted ratio
    - `retried`: how the training was changed after a first failure
    - `imported`: names of the user's files that hold this architecture
    - `recalled_from`: number of the trial whose result answered this repeat, or NaN
    - `resumed_by`: number of the trial that resumed this paused training, or NaN
    - `bound`: the optimistic primary metric at which the training was stopped, or NaN
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
        baseline_stage: How the baseline was trained: `epochs`, `from`, its last metrics, `curve` (`[epoch,
            primary metric]` of each validation) and, where the curve still rises steeply at its end, `still_rising`.
        trials: The table above.
        confirmations: By key, metrics of candidates at the seeds after the first.
        screened: What shared networks said before the search; None without a screening.
        verification: What finalists reached at full budget; without finalists if none were verified.
        folder: The run's folder, for the commands that are suggested; empty if only the name is known.
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
    folder: str = ""
    screened: Screened | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "trials", _with_all_columns(self.trials, self.task))
        object.__setattr__(self, "verification", replace(self.verification, task=self.task))

    @cached_property
    def task(self) -> Task:
        """What the detector is for; its primary metric ranks the candidates."""
        return task_of(self.detector_yaml)

    @cached_property
    def counts(self) -> Counts:
        """All numbers of the run that are displayed anywhere."""
        confirmed = sum(len(seeds) for seeds in self.confirmations.values())
        return count(self.trials, self.task.gain, len(self.baseline_seeds), confirmed)

    @property
    def trainings(self) -> pd.DataFrame:
        """One row per training: without the parts of trainings that a later trial resumed."""
        return self.trials[self.trials["resumed_by"].isna()]

    @cached_property
    def complete(self) -> pd.DataFrame:
        """Trials that were evaluated, without repeats that were answered from an earlier trial."""
        return self.trials[(self.trials["state"] == "complete") & self.trials["recalled_from"].isna()]

    @property
    def baseline(self) -> pd.Series | None:
        """The trial of the stock detector (trial 0, unless that was interrupted), or None while it is not complete."""
        rows = self.complete[self.complete["label"] == BASELINE]
        return None if rows.empty else rows.iloc[0]

    @cached_property
    def candidates(self) -> pd.DataFrame:
        """Complete, feasible trials with attention and a known paired difference to the baseline, best first."""
        rows = self.complete
        rows = rows[rows["feasible"] & (rows["label"] != BASELINE) & rows[self.task.gain].notna()]
        return rows.sort_values(self.task.gain, ascending=False, kind="stable")

    @property
    def front(self) -> pd.DataFrame:
        """Complete trials on the Pareto front, sorted by the first objective, best first."""
        rows = self.complete
        first = self.objectives[0]
        return rows[rows["on_front"]].sort_values(first.name, ascending=not first.maximise, kind="stable")

    @property
    def best(self) -> pd.Series | None:
        """The member of the front with the best first objective, else the baseline, else None."""
        front = self.front
        return self.baseline if front.empty else front.iloc[0]

    @property
    def repeated(self) -> dict[str, dict[int, float]]:
        """The primary metric by seed of each candidate that was trained at several seeds, by key."""
        return repeats.repeated(self.complete, self.confirmations, self.task.primary)

    @property
    def noise(self) -> Noise | None:
        """The noise of a paired difference, from all repeated trainings; None if unknown or as large as any gain."""
        return repeats.noise(self.baseline_seeds, list(self.repeated.values()), self.task.primary)

    @property
    def searched(self) -> Searched | None:
        """What the short trainings show about the best candidate; None before it and the baseline are complete."""
        if self.candidates.empty or self.baseline is None:
            return None
        return repeats.searched(self.detector_name, self.task, self.candidates, self.repeated, self.baseline_seeds)

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
        grown = pareto.growing_hypervolumes(points[counted], self.reference_point, self.objectives)
        return np.concatenate([[0.0], grown])[np.cumsum(counted)]

    @property
    def verified(self) -> bool:
        """Whether any finalist has two seeds at full budget, which outweigh all short trainings."""
        return any(finalist.gain.count >= 2 for finalist in self.verification.finalists)

    def answer(self) -> Answer:
        """Answer in at most twelve words whether attention pays, with the grounds and what to do next."""
        if not self.verified:
            return self.search_answer()
        return answers.of_verification(self.verification, self.detector_name, self._commands)

    def search_answer(self) -> Answer:
        """The answer of the short trainings alone."""
        if self.still_rising:  # full trainings begin from the original weights instead
            return answers.untrained(self.still_rising)
        if (searched := self.searched) is not None and self.settings.get("evaluator") == "supernet":
            return answers.of_shared(searched, self._commands)
        if searched is not None:
            return answers.of_search(searched, self._commands)
        if self.screened is not None and self.screened.nothing_pays and self.baseline is not None:
            return answers.of_screening(self.screened, self.detector_name, self._commands)
        state = answers.state(self.trials, self.complete, self.baseline is not None, self.counts)
        return answers.unsearched(state, self._commands)

    @property
    def _commands(self) -> answers.Commands:
        return answers.Commands.of(self.settings, self.name, self.folder)

    def verdict(self) -> str:
        """State the answer with its intervals."""
        return self.answer().text

    def search_verdict(self) -> str:
        """State the answer of the short trainings alone with its interval."""
        return self.search_answer().text


def _with_all_columns(trials: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a copy in the order of the trials that has every column of the record, with its type."""
    table = trials.reset_index(drop=True).copy()
    if "number" not in table:
        table["number"] = range(len(table))
    metrics = [metric.name for metric in task.all_metrics]
    for column in (*metrics, *LATENCIES, *task.gains, *FIGURES, "recalled_from", "resumed_by"):
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
