"""What a tracker is, and which there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from gamsearch.architecture import Architecture
from gamsearch.errors import OptionError
from gamsearch.plugins.registry import Registry, first_line, origin_of
from gamsearch.study.record import Record

PROJECT = "gamsearch"
"""Name of the project or experiment where the environment of the tracker names no other."""


@dataclass(frozen=True)
class TrackedTrial:
    """One trial as trackers know it.

    Attributes:
        search: Name of the search, which groups its trials.
        number: The trial's number.
        state: `complete`, `pruned` or `failed`.
        parameters: Its architecture, seed and epochs.
        curve: Validation metrics by epoch, from 1.
        metrics: Its results: the task's metrics and gains as fractions, costs in the units of their names.
    """

    search: str
    number: int
    state: str
    parameters: Mapping[str, str | int]
    curve: Mapping[int, Mapping[str, float]]
    metrics: Mapping[str, float]

    @property
    def name(self) -> str:
        """E.g. `mine-trial-003`, which is the same whenever the run is resumed."""
        return f"{self.search}-trial-{self.number:03d}"

    @staticmethod
    def of(record: Record, row: pd.Series) -> "TrackedTrial":
        """A row of the trials of a record.

        Args:
            record: The run.
            row: The trial.

        Returns:
            The trial.
        """
        architecture = Architecture.from_dict(row["architecture"])
        known = {
            "architecture": row["label"],
            "modules": len(architecture.placements),
            **{f"site_{p.site}": p.label.replace(f"@{p.site}", "") for p in architecture.placements},
            "reason": row["reason"],
            "epochs": row["epochs"],
            "seed": row["seed"],
        }
        parameters = {k: v if isinstance(v, str) else int(v) for k, v in known.items() if pd.notna(v) and v != ""}
        names = [*(m.name for m in record.task.all_metrics), *record.task.gains, "latency_ratio"]
        metrics = {name: float(row[name]) for name in names if pd.notna(row[name])}
        curve = {int(e["epoch"]): {k: float(v) for k, v in e.items() if k != "epoch"} for e in row["curve"]}
        return TrackedTrial(record.name, int(row["number"]), str(row["state"]), parameters, curve, metrics)


@dataclass(frozen=True)
class TrackedAnswer:
    """What a search has found.

    Attributes:
        search: Name of the search.
        trials: Number of its trials so far.
        headline: The answer in at most twelve words.
        detail: Its grounds.
        front: The Pareto front, best first: number, label and objectives.
        parameters: Settings of the search.
    """

    search: str
    trials: int
    headline: str
    detail: str
    front: pd.DataFrame
    parameters: Mapping[str, str | int]

    @property
    def name(self) -> str:
        """Name of its run in a tracker."""
        return f"{self.search}-answer"

    @property
    def text(self) -> str:
        """The answer and the front as Markdown."""
        head = "| " + " | ".join(self.front.columns) + " |\n" + "|---" * len(self.front.columns) + "|"
        rows = ["| " + " | ".join(map(str, row)) + " |" for row in self.front.itertuples(index=False)]
        return "\n\n".join((f"**{self.headline}**", self.detail, "\n".join([head, *rows])))

    @staticmethod
    def of(record: Record) -> "TrackedAnswer":
        """The answer of a record.

        Args:
            record: The run.

        Returns:
            The answer.
        """
        answer = record.answer()
        front = record.front[["number", "label", *(m.name for m in record.objectives)]]
        simple = {k: v for k, v in record.settings.items() if isinstance(v, str | int) and v != ""}
        return TrackedAnswer(record.name, len(record.trials), answer.headline, answer.detail, front, simple)


class Tracker(Protocol):
    """Logs trials and the answer of one search; what it raises is reported, and the search goes on."""

    def log_trial(self, trial: TrackedTrial) -> None:
        """Log a trial that has ended as a run of its own."""
        ...

    def log_answer(self, answer: TrackedAnswer) -> None:
        """Log the answer of the search; again if the search is resumed."""
        ...


Open = Callable[[Path], Tracker]
"""Opens a tracker for a search, given a folder for whatever it keeps on disk. The folder need not exist."""


@dataclass(frozen=True)
class TrackerSpec:
    """A kind of tracker.

    Attributes:
        name: What `--track` calls it.
        open: Opens it.
        requires: The package that it imports; empty for none.
    """

    name: str
    open: Open
    requires: str = ""

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return first_line(self.open)


TRACKERS: Registry[TrackerSpec] = Registry("tracker", OptionError)


def tracker(name: str, requires: str = "") -> Callable[[Open], Open]:
    """Register a class or a function that opens a tracker: `@gamsearch.register.tracker`.

    Args:
        name: What `--track` calls it.
        requires: The package that it imports; a run without it is refused before anything is trained. Empty for none.

    Returns:
        A decorator for `open(folder) -> Tracker`.

    Raises:
        OptionError: The name is taken.
    """

    def register(opened: Open) -> Open:
        TRACKERS.add(name, TrackerSpec(name, opened, requires), origin_of(opened))
        return opened

    return register
