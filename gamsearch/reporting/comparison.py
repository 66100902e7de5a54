"""Several runs side by side: one reference point for all fronts, what their settings differ in. No torch, no optuna.

mAPs of different data, and latencies of different machines, do not compare. Then each run is held against its own
baseline instead: what is to be maximised as the difference, what is to be minimised as the ratio to trial 0's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gamsearch.analysis import pareto
from gamsearch.errors import GamsearchError, OptionError, RunError
from gamsearch.metrics import Metric
from gamsearch.study.record import Record, latency_backend

UNIMPORTANT = ("name", "out", "command", "latency_backend")
"""Settings that differ between any two runs, and what `latency` is shown as."""

SURROUNDINGS = ("versions", "machine", "commit")


@dataclass(frozen=True, eq=False)
class Run:
    """One run: what it is called here, its record, and the facts about it that the record's settings lack.

    `data` identifies what mAP was measured on and `clock` what latency was measured with (device and backend); an empty
    text if that was not recorded.
    """

    name: str
    record: Record
    data: str = ""
    clock: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Read a run's folder; `RunError` if it holds none."""
        from gamsearch.study import store

        study = store.load(folder)
        record, own = store.record(study, folder.resolve().name), study.user_attrs
        prints = own.get("fingerprints", {})
        data = prints.get("data") or record.settings.get("data_fingerprint") or prints.get("table")
        clock = (prints.get("device") or record.settings.get("hardware"), latency_backend(record.settings))
        facts = {"detector": record.detector_name, "space fingerprint": own.get("space", {}).get("fingerprint", "")}
        shown = ", ".join(str(word) for word in clock if word)
        return cls(record.name, record, str(data or ""), shown, {**facts, **_surroundings(folder)})

    @property
    def settings(self) -> dict[str, Any]:
        """The settings and facts that are worth holding against another run's."""
        kept = {name: value for name, value in self.record.settings.items() if name not in UNIMPORTANT}
        return {**kept, "latency": latency_backend(self.record.settings), **self.facts}


def _surroundings(folder: Path) -> dict[str, Any]:
    """Versions, machine and commit from the run's manifest; nothing where there is none that can be read."""
    from gamsearch.runs.manifest import FILE, Manifest

    try:
        content = Manifest.read(folder / FILE).content
    except GamsearchError:
        return {}
    return {name: content[name] for name in SURROUNDINGS if name in content}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs with the same objectives, in the order given.

    `relative` says that all is measured against each run's own baseline, and `why` so. `reference_point` (None without
    any baseline) is the worst of the runs' own per objective, in the same form.
    """

    runs: tuple[Run, ...]
    objectives: tuple[Metric, ...]
    relative: bool
    why: str
    reference_point: tuple[float, ...] | None

    def front(self, run: Run) -> NDArray[np.float64]:
        """`members x objectives` of a run's Pareto front, best first objective first."""
        return self._values(run, run.record.front[[m.name for m in self.objectives]].to_numpy(float))

    def baseline(self, run: Run) -> NDArray[np.float64] | None:
        """The baseline's objectives, or None while it is not complete."""
        baseline = run.record.baseline
        if baseline is None:
            return None
        return self._values(run, baseline[[m.name for m in self.objectives]].to_numpy(float)[None])[0]

    def hypervolume(self, run: Run) -> float | None:
        """What the run's front dominates up to the common reference point."""
        if self.reference_point is None or run.record.baseline is None:
            return None
        return pareto.hypervolume(self.front(run), self.reference_point, self.objectives)

    def baseline_hypervolume(self, run: Run) -> float | None:
        """What the run's baseline alone dominates up to the common reference point."""
        baseline = self.baseline(run)
        if self.reference_point is None or baseline is None:
            return None
        return pareto.hypervolume(baseline[None], self.reference_point, self.objectives)

    def verdict(self) -> str:
        """Say in one sentence whose front dominates most; single runs, so no interval belongs to it."""
        volumes = {run.name: self.hypervolume(run) for run in self.runs}
        known = sorted(((v, name) for name, v in volumes.items() if v is not None), key=lambda pair: -pair[0])
        if len(known) < 2:
            return "Fewer than two runs have a complete baseline, so there is nothing to compare yet."
        (most, best), others = known[0], known[1:]
        if most == others[0][0]:
            level = [name for value, name in known if value == most]
            return f"The fronts of {', '.join(level[:-1])} and {level[-1]} have the same hypervolume, {most:#.4g}."
        rest = ", ".join(f"{v:#.4g} of {name} ({100 * (v / most - 1):+.2f}\N{NO-BREAK SPACE}%)" for v, name in others)
        over = " over its own baseline" if self.relative else ""
        single = "these are single runs, so small differences may be chance"
        return f"The front of {best} dominates most{over}: hypervolume {most:#.4g}, against {rest}; {single}."

    def differing(self) -> list[tuple[str, tuple[str, ...]]]:
        """`(setting, one text per run)` of the settings that are not the same in all runs; passwords are masked.

        Of versions, machine and commit only where two runs recorded something different.
        """
        from gamsearch.reporting.formatting import flat

        columns = [dict(flat(run.settings)) for run in self.runs]
        names = dict.fromkeys(name for column in columns for name in column)
        rows = [(name, tuple(column.get(name, "") for column in columns)) for name in names]
        return [(name, texts) for name, texts in rows if len(_different(name, texts)) > 1]

    def _values(self, run: Run, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return against_baseline(run.record, points, self.objectives) if self.relative else points


def compare(runs: Sequence[Run]) -> Comparison:
    """Hold two or more runs against each other; `OptionError` for fewer, `RunError` for other objectives."""
    if len(runs) < 2:
        raise OptionError("compare takes two or more folders of runs, e.g. results/a results/b")
    objectives = runs[0].record.objectives
    for run in runs[1:]:
        if {m.name for m in run.record.objectives} != {m.name for m in objectives}:
            raise RunError(
                f"{runs[0].name} was optimised for {_names(objectives)} and {run.name} for "
                f"{_names(run.record.objectives)}; only runs with the same objectives compare"
            )
    why = _why_relative(runs)
    return Comparison(_told_apart(runs), objectives, bool(why), why, _worst(runs, objectives, bool(why)))


def against_baseline(record: Record, points: NDArray[np.float64], objectives: Sequence[Metric]) -> NDArray[np.float64]:
    """The `n x len(objectives)` points as difference (maximised) or ratio (minimised) to trial 0; NaN without one."""
    baseline = record.baseline
    own = np.full(len(objectives), np.nan)
    if baseline is not None:
        own = baseline[[m.name for m in objectives]].to_numpy(float)
    return np.where([m.maximise for m in objectives], points - own, points / own)


def _why_relative(runs: Sequence[Run]) -> str:
    """Why absolute values do not compare, or an empty text if they do."""
    data, clocks = {run.data for run in runs}, {run.clock for run in runs}
    if "" in data:
        return "For some run it is not recorded which data it was measured on, so its mAP may not compare with others'."
    if len(data) > 1:
        return "The runs were measured on different data, and mAPs of different data do not compare."
    if len(clocks) > 1:
        return f"Latency was measured in different ways ({'; '.join(sorted(clocks))}), which does not compare."
    return ""


def _told_apart(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs with names that are all different: a number after those that occur again."""
    names: list[str] = []
    for run in runs:
        number = 2
        name = run.name
        while name in names:
            name, number = f"{run.name} ({number})", number + 1
        names.append(name)
    return tuple(replace(run, name=name) for run, name in zip(runs, names, strict=True))


def _worst(runs: Sequence[Run], objectives: Sequence[Metric], relative: bool) -> tuple[float, ...] | None:
    """Of the runs' own reference points the worst value per objective."""
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
    """The texts that count as different; older runs did not record versions, machine and commit in full."""
    return {text for text in texts if text or name.split(".")[0] not in SURROUNDINGS}


def _names(objectives: Sequence[Metric]) -> str:
    return ", ".join(m.name for m in objectives)
