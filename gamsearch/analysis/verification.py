"""What the verification of a run found so far: a frozen view of the dictionary that the study records.

Trainings are paired by seed; a seed counts if both sides finished it. Metrics are fractions, latency the ratio to the
baseline. No torch, no optuna.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np

from gamsearch.analysis import verification_verdict
from gamsearch.analysis.agreement import Agreement, agreement
from gamsearch.analysis.finalist import Compared, Training, figure, latency_ratio
from gamsearch.analysis.significance import (
    UNKNOWN,
    NoiseFloor,
    PairedTest,
    estimate,
    noise_floor,
    paired,
    paired_tests,
)
from gamsearch.architecture import BASELINE
from gamsearch.tasks import DETECT, Task

SCALE_UP = "scale-up"
"""The key of the larger detector among the trainings; that of the baseline is its label."""


@dataclass(frozen=True, eq=False)
class Verification:
    """The finalists' and the baseline's trainings at full budget, and what they show; a `Record` gives it its task."""

    settings: Mapping[str, Any]
    chosen: tuple[Mapping[str, Any], ...] = ()
    control: Mapping[str, Any] | None = None
    trainings: Mapping[str, Mapping[int, Training]] = field(default_factory=dict)
    bootstrap: Mapping[str, Any] = field(default_factory=dict)
    task: Task = DETECT

    @classmethod
    def from_dict(cls, form: Mapping[str, Any] | None) -> "Verification":
        """Read what the study recorded.

        Args:
            form: The recorded dictionary; whatever is missing counts as not done yet.

        Returns:
            The verification.
        """
        form = form or {}
        chosen = tuple(finalist for finalist in form.get("finalists") or () if finalist.get("key"))
        trainings = {
            name: {int(done["seed"]): done for done in listed or () if done.get("seed") is not None}
            for name, listed in (form.get("trainings") or {}).items()
        }
        return cls(form.get("settings") or {}, chosen, form.get("scale_up"), trainings, form.get("bootstrap") or {})

    @property
    def planned(self) -> int:
        """Trainings that it takes: each finalist, the baseline and the larger detector, if any, at each seed."""
        arms = 1 + len(self.chosen) + (self.control is not None)
        return arms * int(self.settings.get("seeds") or 0) if self.chosen else 0

    @property
    def done(self) -> int:
        """Trainings that are recorded."""
        return sum(map(len, self.trainings.values()))

    @property
    def _metrics(self) -> tuple[str, str]:
        """The metrics that are compared, the one that decides first."""
        return self.task.primary, self.task.secondary

    @cached_property
    def finalists(self) -> tuple[Compared, ...]:
        """The finalists as the search ranked them."""
        keys = [finalist["key"] for finalist in self.chosen]
        tests = {
            metric: paired_tests([self._gains(key, metric) for key in keys], blocked=self._same_seeds(keys, metric))
            for metric in self._metrics
        }
        return tuple(
            self._compared(finalist, {metric: tests[metric][index] for metric in self._metrics})
            for index, finalist in enumerate(self.chosen)
        )

    @cached_property
    def scale_up(self) -> Compared | None:
        """The next model scale without attention against the baseline, uncorrected; None if it was not requested."""
        if self.control is None:
            return None
        tests = {metric: paired_tests([self._gains(SCALE_UP, metric)])[0] for metric in self._metrics}
        return self._compared({"label": self.control.get("name", SCALE_UP), **self.control, "key": SCALE_UP}, tests)

    @cached_property
    def beyond_growth(self) -> dict[str, PairedTest]:
        """Per finalist's key, its gain beyond what scaling up would give for the same latency, Holm-corrected.

        The reference is the straight line from the baseline to the scale-up: a finalist with a third of the scale-up's
        extra latency is compared with a third of its gain, one without extra latency with the baseline, one slower
        than the scale-up with its full gain. Paired by seed; the latency ratios are taken as exact. Empty unless there
        is a scale-up that is slower than the baseline.
        """
        grown = self.scale_up
        if grown is None or not grown.latency.mean > 1:
            return {}
        priced = [finalist for finalist in self.finalists if isfinite(finalist.latency.mean)]
        tests = paired_tests([self._beyond(finalist, grown) for finalist in priced])
        return {finalist.key: found for finalist, found in zip(priced, tests, strict=True)}

    @cached_property
    def noise_floor(self) -> NoiseFloor | None:
        """How much the baseline's primary metric varies with the seed alone."""
        return noise_floor(list(self._figures(BASELINE, self.task.primary).values()))

    @cached_property
    def agreement(self) -> Agreement | None:
        """Kendall's tau between the finalists' gains in the search and their mean verified gains."""
        return agreement([f.search_gain for f in self.finalists], [f.gain.mean for f in self.finalists])

    @property
    def best(self) -> Compared | None:
        """The tested finalist with the largest mean gain in the primary metric, or None."""
        tested = [finalist for finalist in self.finalists if finalist.gain.claim != UNKNOWN]
        return max(tested, key=lambda finalist: finalist.gain.mean, default=None)

    @property
    def seeds_done(self) -> int:
        """Seeds that every finalist (and the scale-up, if requested) shares with the baseline."""
        names = [finalist["key"] for finalist in self.chosen] + [SCALE_UP] * (self.control is not None)
        return min((len(self._gains(name, self.task.primary)) for name in names), default=0)

    @property
    def complete(self) -> bool:
        """Whether every planned seed is paired; without a plan, always true."""
        return self.seeds_done >= int(self.settings.get("seeds") or 0)

    def verdict(self) -> str:
        """State in one or two sentences which finalists are better or worse than the baseline, with intervals."""
        if not self.chosen:
            return "No finalist was chosen for verification."
        text = verification_verdict.of_finalists(self.finalists)
        if self.complete:
            return text
        return f"{text} The verification is incomplete: {self.seeds_done} of {self.settings['seeds']} seeds are done."

    def against_growth(self) -> str:
        """State whether the best finalist gains more for its latency than the next model scale; empty if unknown."""
        best, grown = self.best, self.scale_up
        beyond = self.beyond_growth.get(best.key) if best else None
        if best is None or grown is None or beyond is None or beyond.claim == UNKNOWN:
            return ""
        return verification_verdict.of_growth(best, grown, beyond)

    def _compared(self, finalist: Mapping[str, Any], tests: Mapping[str, PairedTest]) -> Compared:
        key, number = finalist["key"], finalist.get("number")
        return Compared(
            key=key,
            label=str(finalist.get("label") or key),
            number=None if number is None else int(number),
            architecture=finalist.get("architecture") or {},
            search_gain=figure(finalist, "brief_gain"),
            tests=tests,
            latency=latency_ratio(list(self._of(key).values())),
            per_class={
                name: {metric: estimate(self._gains(key, "per_class", name, metric)) for metric in self._metrics}
                for name in self._names(key, "per_class")
            },
            per_size={n: estimate(self._gains(key, "per_size", n)) for n in self._names(key, "per_size")},
            bootstrap=self.bootstrap.get(key) or {},
        )

    def _of(self, key: str) -> Mapping[int, Training]:
        return self.trainings.get(key, {})

    def _figures(self, key: str, *path: str) -> dict[int, float]:
        """The figure at this path of each training of `key`, by seed."""
        return {seed: figure(done, *path) for seed, done in self._of(key).items()}

    def _gains(self, key: str, *path: str) -> tuple[float, ...]:
        return paired(self._figures(key, *path), self._figures(BASELINE, *path))

    def _same_seeds(self, keys: Sequence[str], metric: str) -> bool:
        """Whether all of `keys` share the same seeds with the baseline."""
        finite = [{seed for seed, value in self._figures(key, metric).items() if isfinite(value)} for key in keys]
        baseline = {seed for seed, value in self._figures(BASELINE, metric).items() if isfinite(value)}
        return len({frozenset(seeds & baseline) for seeds in finite}) == 1

    def _names(self, key: str, part: str) -> list[str]:
        """The classes or sizes that trainings of both `key` and the baseline have, in the record's order."""
        names, baseline = (
            dict.fromkeys(n for done in self._of(k).values() for n in done.get(part) or {}) for k in (key, BASELINE)
        )
        return [name for name in names if name in baseline]

    def _beyond(self, finalist: Compared, grown: Compared) -> tuple[float, ...]:
        share = float(np.clip((finalist.latency.mean - 1) / (grown.latency.mean - 1), 0, 1))
        baseline, larger = (self._figures(key, self.task.primary) for key in (BASELINE, SCALE_UP))
        line = {seed: baseline[seed] + share * (larger[seed] - baseline[seed]) for seed in baseline.keys() & larger}
        return paired(self._figures(finalist.key, self.task.primary), line)
