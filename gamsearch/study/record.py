"""A run as one frozen value: what the report, the table and the export are derived from. No torch, no optuna."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gamsearch.analysis import pareto
from gamsearch.analysis.search_verdict import Confirmation, Noise, confirmed_verdict, unconfirmed_verdict
from gamsearch.analysis.verification import Verification
from gamsearch.architecture import BASELINE
from gamsearch.errors import CandidateFailed
from gamsearch.metrics import METRICS, Metric

STATES = ("complete", "pruned", "failed", "running", "waiting")

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

    `settings` are the run's settings (command, data, versions, ...; nested mappings allowed). `baseline_seeds` are the
    metrics of the baseline control at each seed, trial 0's first; `confirmations` those of candidates (by key) at the
    seeds after the first; `verification` is what finalists did at full budget, without finalists if there was none.
    `trials` has one row per trial in order: `number`, `state` (one of `STATES`), `key`, `label`, `architecture`
    (`Architecture.to_dict` form), one column per metric, the paired differences `map50_95_gain` and `map50_gain` to
    the baseline at the same seed and epochs, `reason`, `retried` (how it was trained otherwise after a first failure),
    `recalled_from` (number of the trial that answered a repeat, or NaN), `resumed_by` (number of the trial in which a
    paused training went on, or NaN), `bound` (the optimistic map50_95 at which it was stopped), `epochs` (length of the
    curve), `epochs_trained` (in this trial), `seconds`, `seed`, `curve` (one mapping per epoch), and the flags
    `feasible`, `anchor` (published hand placement), `on_front`, `paused`. Missing columns are added as unknown.
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
    def shown(self) -> pd.DataFrame:
        """One row per training: without the pieces of trainings that were paused and went on in a later trial."""
        return self.trials[self.trials["resumed_by"].isna()]

    @property
    def complete(self) -> pd.DataFrame:
        """Trials that were evaluated, without repeats that were answered from the record."""
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
        ours = [s for s in self.confirmations.get(best["key"], ()) if s.get("seed") in controls]
        gains = tuple(float(s["map50_95"] - controls[s["seed"]]) for s in ours)
        if len(gains) < 2 or np.ptp(gains) == 0:  # an evaluator that ignores the seed confirms nothing
            return None
        return Confirmation(best["label"], gains, best["latency_ratio"])

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
        """Whether any finalist has two seeds at full budget: then they say more than all brief trainings."""
        return any(finalist.gain.count >= 2 for finalist in self.verification.finalists)

    def verdict(self) -> str:
        """Say whether any placement beats the baseline in map50_95: by the verification, else by the search."""
        return self.verification.verdict() if self.verified else self.search_verdict()

    def search_verdict(self) -> str:
        """Say in one sentence what the brief trainings show of the best candidate, and how sure that is."""
        candidates = self.candidates
        if not candidates.empty:
            confirmation = self.confirmation
            if confirmation is not None:
                return confirmed_verdict(confirmation, candidates)
            return unconfirmed_verdict(candidates, self.noise, len(self.baseline_seeds))
        if self.trials.empty:
            return "Nothing has been evaluated yet."
        if self.complete.empty:
            return f"No trial was completed ({self.tally()}), so nothing can be said about attention yet."
        if self.baseline is None:
            return f"The baseline was not completed ({self.tally()}), so no placement can be compared with it."
        among = f" ({self.tally()})" if len(self.trials) > 1 else ""
        return f"Only the baseline has been completed{among}, so no placement can be compared with it yet."

    def transfer(self) -> str:
        """Say how much of the baseline the candidates inherited, e.g. `355 of 355 tensors in each of 24 candidates`."""
        rows = self.complete[self.complete["label"] != BASELINE]
        if rows.empty or "tensors_inherited" not in rows or rows["tensors_inherited"].isna().all():
            return ""
        least, expected = rows["tensors_inherited"].min(), rows["tensors_expected"].max()
        return (
            f"Inherited from the baseline: {least:.0f} of {expected:.0f} tensors in each of {len(rows)} candidates, "
            f"{rows['misplaced'].max():.0f} in the wrong place."
        )

    def prediction_error(self) -> str:
        """Say how well latencies were foreseen where it is a test: architectures of several modules, measured directly.

        The increments behind the predictions come from single modules, so no measurement here was used for them.
        """
        rows = self.trials[self.trials["recalled_from"].isna() & self.trials["latency_ratio"].notna()]
        several = rows["architecture"].map(lambda form: len(form.get("placements", ())) > 1)
        rows = rows[several & rows["latency_ratio_foreseen"].notna()].drop_duplicates("key")
        errors = (rows["latency_ratio_foreseen"] / rows["latency_ratio"] - 1).abs()
        if errors.empty or errors.max() == 0:
            return ""
        error = f"{100 * errors.median():.1f} % (median), {100 * errors.max():.1f} % at most"
        measured = f"{len(rows)} architectures of several modules that were also measured directly"
        return f"Latency was foreseen by an additive table; over {measured} its error was {error}."

    def economy(self) -> str:
        """Say what stopping saved, e.g. `90 epochs for 14 candidates, 280 if all had been trained to the end`."""
        rows = self.shown[(self.shown["label"] != BASELINE) & self.shown["recalled_from"].isna()]
        begun = rows[rows["epochs"] > 0]
        if begun.empty:
            return ""
        whole = int(self.trials["epochs"].max())
        spent = int(self.trials.loc[self.trials["label"] != BASELINE, "epochs_trained"].sum())
        if spent == 0 or spent >= whole * len(begun):
            return ""
        screened = int((rows["bound"].notna() & (rows["epochs"] == 0)).sum())
        more = f"; {screened} more were screened out before training" if screened else ""
        full = f"{whole * len(begun)} if all had been trained to the end"
        return f"{spent} epochs for {len(begun)} candidates, {full}{more}."

    def tally(self) -> str:
        """Count the trials by state, failures by reason, e.g. `18 complete, 2 repeats, 3 failed (2 nan, 1 build)`."""
        counts = Counter(self.trials["state"])
        repeats = counts["complete"] - len(self.complete)
        counts["complete"] -= repeats
        words = {state: f"{counts[state]} {state}" for state in STATES if counts[state]}
        if repeats:
            words = {"complete": "0 complete", **words}
            words["complete"] += f", {repeats} repeat{'s' * (repeats > 1)}"
        if "pruned" in words:
            words["pruned"] += self._pruned()
        if "failed" in words:
            words["failed"] += f" ({_reasons(self.trials.loc[self.trials['state'] == 'failed', 'reason'])})"
        return ", ".join(words.values()) or "no trials"

    def _pruned(self) -> str:
        """What became of the pruned trials if any was stopped or paused, e.g. ` (6 went on, 2 paused, 1 stopped)`."""
        rows = self.trials[self.trials["state"] == "pruned"]
        went_on, stopped = rows["resumed_by"].notna(), rows["bound"].notna() & ~rows["paused"]
        counts = {"went on": went_on, "paused": rows["paused"] & ~went_on, "stopped": stopped}
        parts = [f"{int(mask.sum())} {word}" for word, mask in counts.items() if mask.any()]
        refused = len(rows) - sum(int(mask.sum()) for mask in counts.values())
        return f" ({', '.join([*parts, *([f'{refused} refused'] if refused else [])])})" if parts else ""


def _reasons(texts: pd.Series) -> str:
    """Count the words of `CandidateFailed.REASONS` that the texts begin with, e.g. `2 nan, 1 build`."""
    words = texts.str.split(":").str[0].str.strip()
    counts = Counter(word if word in (*CandidateFailed.REASONS, "interrupted") else "error" for word in words)
    return ", ".join(f"{n} {word}" for word, n in counts.most_common())


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


def latency_backend(recorded: Mapping[str, Any]) -> str:
    """With what a run with these recorded settings measured latency; nothing for a replay, whose table knows it."""
    if recorded.get("evaluator") == "replay":
        return ""
    return str(recorded.get("latency_backend") or recorded.get("latency") or "")  # what `auto` stood for
