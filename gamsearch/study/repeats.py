"""Trainings at several seeds, as a record holds them, and the noise that they show."""

from collections.abc import Mapping, Sequence
from math import isfinite, nan

import pandas as pd

from gamsearch.analysis.noise import BySeed, Gain, Noise, gain, pooled_noise, unpaired_noise
from gamsearch.analysis.search_verdict import Searched
from gamsearch.tasks import Task

Trainings = Sequence[Mapping[str, float]]
"""Metrics of one architecture, one mapping per seed."""


def by_seed(trainings: Trainings, metric: str) -> dict[int, float]:
    """Read a metric by seed.

    Args:
        trainings: Metrics per seed; where the seed was not recorded, the place in the sequence stands for it.
        metric: Its name.

    Returns:
        The finite values.
    """
    known = {int(one.get("seed", place)): float(one.get(metric, nan)) for place, one in enumerate(trainings)}
    return {seed: value for seed, value in known.items() if isfinite(value)}


def repeated(
    complete: pd.DataFrame, confirmations: Mapping[str, Trainings], metric: str
) -> dict[str, dict[int, float]]:
    """Collect the candidates that were trained at several seeds.

    Args:
        complete: Complete trials as of `Record.complete`.
        confirmations: By key, metrics at the seeds after the first.
        metric: Name of the primary metric.

    Returns:
        By key, the metric by seed, that of the trial included.
    """
    found = {key: by_seed(again, metric) for key, again in confirmations.items() if again}
    for key, seed, value in zip(complete["key"], complete["seed"], complete[metric], strict=True):
        if key in found and isfinite(seed) and isfinite(value):
            found[key].setdefault(int(seed), float(value))
    return found


def noise(baseline_seeds: Trainings, candidates: Sequence[BySeed], metric: str) -> Noise | None:
    """Estimate the noise of a paired difference.

    Args:
        baseline_seeds: Metrics of the baseline per seed.
        candidates: The primary metric by seed of candidates that were trained at several seeds.
        metric: Name of the primary metric.

    Returns:
        The noise over all of them, else over the baseline's seeds; None if unknown or as large as any possible gain.
    """
    baseline = by_seed(baseline_seeds, metric)
    found = pooled_noise([baseline, *candidates]) or unpaired_noise(list(baseline.values()))
    return found if found and found.half_width() < 1 - max(baseline.values(), default=0.0) else None


def gain_of(candidate: pd.Series, task: Task, known: Mapping[str, BySeed], baseline_seeds: Trainings) -> Gain | None:
    """Estimate what a candidate gains at the seeds after that of its trial.

    Args:
        candidate: Its trial.
        task: What the detector is for.
        known: The primary metric by seed of the candidates that were trained at several seeds, by key.
        baseline_seeds: Metrics of the baseline per seed.

    Returns:
        The gain with its interval; None without another seed.
    """
    others = [seeds for key, seeds in known.items() if key != candidate["key"]]
    return gain(known.get(candidate["key"], {}), by_seed(baseline_seeds, task.primary), others, candidate["seed"])


def searched(
    detector: str, task: Task, candidates: pd.DataFrame, known: Mapping[str, BySeed], baseline_seeds: Trainings
) -> Searched:
    """Collect what the short trainings show about the best candidate.

    Args:
        detector: Name of the stock detector.
        task: What it is for.
        candidates: Candidates as of `Record.candidates`, best first, at least one.
        known: The primary metric by seed of those that were trained at several seeds, by key.
        baseline_seeds: Metrics of the baseline per seed.

    Returns:
        The best candidate with its gain at the seeds that did not select it.
    """
    best = candidates.iloc[0]
    gained = float(best[task.gain])
    return Searched(
        detector=detector,
        label=str(best["label"]),
        number=int(best["number"]),
        candidates=len(candidates),
        selected_gain=gained,
        gain=gain_of(best, task, known, baseline_seeds),
        latency_ratio=float(best["latency_ratio"]),
        seeds=max(1, len(baseline_seeds)),
        largest=1 - float(best[task.primary] - gained),
        task=task,
    )
