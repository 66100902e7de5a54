"""Comparison of several runs: a common reference point for all fronts, and the settings that differ.

Figures on different data, and latencies on different machines, are not comparable. In that case each run is measured
relative to its own baseline: maximised objectives as the difference, minimised ones as the ratio. No torch, no optuna.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gamsearch.analysis import pareto
from gamsearch.errors import OptionError, RunError
from gamsearch.metrics import Metric
from gamsearch.reporting import formatting
from gamsearch.reporting.compared_run import ENVIRONMENT, ComparedRun
from gamsearch.study.record import Record
from gamsearch.tasks import Task


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Runs with the same objectives, in the order given.

    Attributes:
        runs: The runs.
        objectives: Their objectives.
        relative: Whether every run is measured relative to its own baseline.
        why: The reason for this; empty otherwise.
        same_data: Whether all runs are known to have used the same data. Otherwise there is no winner.
        reference_point: The worst value per objective of the runs' own reference points, in the same form as the
            values; None if no run has a baseline.
    """

    runs: tuple[ComparedRun, ...]
    objectives: tuple[Metric, ...]
    relative: bool
    why: str
    reference_point: tuple[float, ...] | None
    same_data: bool = True

    @property
    def task(self) -> Task:
        """The task of all runs."""
        return self.runs[0].record.task

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(run.name for run in self.runs)}: {self.verdict()}>"

    def front(self, run: ComparedRun) -> NDArray[np.float64]:
        """A run's Pareto front, sorted by the first objective.

        Args:
            run: One of the runs.

        Returns:
            The values, `members x objectives`.
        """
        return self._values(run, run.record.front[[m.name for m in self.objectives]].to_numpy(float))

    def baseline(self, run: ComparedRun) -> NDArray[np.float64] | None:
        """The objectives of a run's baseline.

        Args:
            run: One of the runs.

        Returns:
            One value per objective; None while the baseline is not complete.
        """
        baseline = run.record.baseline
        if baseline is None:
            return None
        return self._values(run, baseline[[m.name for m in self.objectives]].to_numpy(float)[None])[0]

    def hypervolume(self, run: ComparedRun) -> float | None:
        """The hypervolume that a run's front dominates up to the common reference point.

        Args:
            run: One of the runs.

        Returns:
            The hypervolume; None if the run has no baseline.
        """
        if self.reference_point is None or run.record.baseline is None:
            return None
        return pareto.hypervolume(self.front(run), self.reference_point, self.objectives)

    def baseline_hypervolume(self, run: ComparedRun) -> float | None:
        """The hypervolume that a run's baseline alone dominates.

        Args:
            run: One of the runs.

        Returns:
            The hypervolume; None if the run has no baseline.
        """
        baseline = self.baseline(run)
        if self.reference_point is None or baseline is None:
            return None
        return pareto.hypervolume(baseline[None], self.reference_point, self.objectives)

    def verdict(self) -> str:
        """Say whose front has the largest hypervolume (without an interval, as these are single runs), or why none has.

        On different data no front is better than another: what is gained there depends on the data.
        """
        volumes = {run.name: self.hypervolume(run) for run in self.runs}
        known = sorted(((v, name) for name, v in volumes.items() if v is not None), key=lambda pair: -pair[0])
        if len(known) < 2:
            return "Fewer than two runs have a complete baseline, so there is nothing to compare yet."
        if not self.same_data:
            return f"No winner: {self.why[:1].lower()}{self.why[1:]}"
        (most, best), others = known[0], known[1:]
        if most == others[0][0]:
            equal = [name for value, name in known if value == most]
            return f"The fronts of {', '.join(equal[:-1])} and {equal[-1]} have the same hypervolume, {most:#.4g}."
        rest = ", ".join(f"{v:#.4g} for {name} ({100 * (v / most - 1):+.2f}\N{NO-BREAK SPACE}%)" for v, name in others)
        relative = " relative to its own baseline" if self.relative else ""
        caveat = "these are single runs, so small differences may be due to chance"
        return f"The front of {best} has the largest hypervolume{relative}: {most:#.4g}, against {rest}; {caveat}."

    def differing(self) -> list[tuple[str, tuple[str, ...]]]:
        """The settings that are not the same in all runs, as `(setting, one text per run)`; passwords are masked.

        Versions, machine and commit differ only if two runs recorded different values.
        """
        columns = [dict(formatting.flat(run.settings)) for run in self.runs]
        names = dict.fromkeys(name for column in columns for name in column)
        rows = [(name, tuple(column.get(name, "") for column in columns)) for name in names]
        return [(name, texts) for name, texts in rows if len(_different(name, texts)) > 1]

    def _values(self, run: ComparedRun, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return against_baseline(run.record, points, self.objectives) if self.relative else points


def compare(runs: Sequence[ComparedRun]) -> Comparison:
    """Compare two or more runs that have the same objectives.

    Args:
        runs: The runs; those with the same name get a number.

    Returns:
        The comparison.

    Raises:
        OptionError: Fewer than two runs are given.
        RunError: Their tasks or objectives differ.
    """
    if len(runs) < 2:
        raise OptionError("compare needs the folders of two or more runs, e.g. results/a results/b")
    objectives, task = runs[0].record.objectives, runs[0].record.task
    for run in runs[1:]:
        if run.record.task != task:
            raise RunError(
                f"{runs[0].name} searched {task.noun} and {run.name} {run.record.task.noun}; only runs of the same "
                "task can be compared"
            )
        if {m.name for m in run.record.objectives} != {m.name for m in objectives}:
            raise RunError(
                f"{runs[0].name} was optimised for {_names(objectives)} and {run.name} for "
                f"{_names(run.record.objectives)}; only runs with the same objectives can be compared"
            )
    why, data = _why_relative(runs), {run.data for run in runs}
    same = len(data) == 1 and "" not in data
    return Comparison(_uniquely_named(runs), objectives, bool(why), why, _worst(runs, objectives, bool(why)), same)


def against_baseline(record: Record, points: NDArray[np.float64], objectives: Sequence[Metric]) -> NDArray[np.float64]:
    """Points (`n x objectives`) as differences (maximised) or ratios (minimised) to the baseline; NaN without one."""
    baseline = record.baseline
    reference = np.full(len(objectives), np.nan)
    if baseline is not None:
        reference = baseline[[m.name for m in objectives]].to_numpy(float)
    return np.where([m.maximise for m in objectives], points - reference, points / reference)


def _why_relative(runs: Sequence[ComparedRun]) -> str:
    """Why absolute values are not comparable; empty if they are."""
    data, clocks = {run.data for run in runs}, {run.clock for run in runs}
    quantity = runs[0].record.task.quantity
    if "" in data:
        return f"For at least one run the data is not recorded, so its {quantity} may not be comparable."
    if len(data) > 1:
        several = f"{quantity}s" if quantity.endswith("mAP") else f"values of {quantity}"
        return f"The runs used different data, and {several} on different data are not comparable."
    if len(clocks) > 1:
        return f"Latency was measured in different ways ({'; '.join(sorted(clocks))}), so it is not comparable."
    return ""


def _uniquely_named(runs: Sequence[ComparedRun]) -> tuple[ComparedRun, ...]:
    """The runs with unique names: a number is added to a name that occurs again."""
    names: list[str] = []
    for run in runs:
        number = 2
        name = run.name
        while name in names:
            name, number = f"{run.name} ({number})", number + 1
        names.append(name)
    return tuple(replace(run, name=name) for run, name in zip(runs, names, strict=True))


def _worst(runs: Sequence[ComparedRun], objectives: Sequence[Metric], relative: bool) -> tuple[float, ...] | None:
    """The worst value per objective among the runs' own reference points."""
    points = []
    for run in runs:
        own = dict(zip((m.name for m in run.record.objectives), run.record.reference_point or (), strict=False))
        if own and run.record.baseline is not None:
            point = np.array([own[m.name] for m in objectives], dtype=float)
            points.append(against_baseline(run.record, point[None], objectives)[0] if relative else point)
    if not points:
        return None
    worst = [min(c) if m.maximise else max(c) for m, c in zip(objectives, np.transpose(points), strict=True)]
    return tuple(float(value) for value in worst)


def _different(name: str, texts: Sequence[str]) -> set[str]:
    """The distinct texts; a missing fact about the environment does not count, since older runs lack some."""
    return {text for text in texts if text or name.split(".")[0] not in ENVIRONMENT}


def _names(objectives: Sequence[Metric]) -> str:
    return ", ".join(m.name for m in objectives)
