"""How long a verification takes: at first from the search's trainings, then from its own epochs."""

import time
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, nan
from typing import Any

import pandas as pd

from gamsearch.analysis.verification import SCALE_UP
from gamsearch.architecture import BASELINE
from gamsearch.runs.forecast import CANDIDATE_COST, Clock, Forecast

SCALE_UP_COST = 2.5
"""Seconds of an epoch of the next larger detector relative to the baseline, until it has been timed."""
BURST = 0.05
"""Epochs that take less than this share of their expected time were trained before, by a call that was interrupted."""


class VerificationForecast:
    """The forecast of a verification.

    Args:
        arms: Keys of the arms.
        seeds: The seeds at which each is trained.
        epochs: Epochs of a training.
        trials: The trials of the search, as in `Record.trials`, where they ran on the same hardware; else none of them.
        write: Called with each new forecast, for the record.
        clock: The time in seconds since the epoch.
    """

    def __init__(
        self,
        arms: Sequence[str],
        seeds: Sequence[int],
        epochs: int,
        trials: pd.DataFrame,
        write: Callable[[dict[str, Any]], None],
        clock: Clock = time.time,
    ):
        self.arms, self.seeds, self.epochs = arms, seeds, epochs
        paces = {key: pace for key in arms if isfinite(pace := _pace(trials, key))}
        known = BASELINE in paces
        self.costs = {key: paces.get(key, cost * paces.get(BASELINE, 1.0)) for key, cost in _costs(arms).items()}
        self.forecast = Forecast(write, 1.0 if known else nan, clock)
        self.done, self.left, self.last = 0.0, 0.0, self.forecast.begun
        self.key = BASELINE

    @property
    def text(self) -> str:
        """The latest forecast in words."""
        return self.forecast.text

    def training(self, trainings: Mapping[str, Sequence[Mapping[str, Any]]], key: str) -> str:
        """Renew the forecast before a training.

        Args:
            trainings: What is recorded, by arm.
            key: The arm that is trained next.

        Returns:
            The forecast in words; empty while the pace is unknown.
        """
        self.key = key
        recorded = {arm: {one["seed"] for one in trainings.get(arm, ())} for arm in self.arms}
        missing = {arm: sum(seed not in recorded[arm] for seed in self.seeds) for arm in self.arms}
        self.left = sum(self.costs[arm] * self.epochs * count for arm, count in missing.items())
        return self.forecast.renew(self.done, self.left)

    def epoch(self) -> str:
        """Renew the forecast after an epoch of the training.

        Returns:
            The forecast in words.
        """
        cost, now = self.costs[self.key], self.forecast.clock()
        took, self.last = now - self.last, now
        self.done, self.left = self.done + cost, max(0.0, self.left - cost)
        if took < BURST * cost * self.forecast.each:
            self.forecast.begin(self.done)
        return self.forecast.renew(self.done, self.left)


def _pace(trials: pd.DataFrame, key: str) -> float:
    """Seconds per epoch of an architecture in the search; NaN if it was not trained there."""
    rows = trials[
        ((trials["key"] == key) | (trials["label"] == key)) & (trials["epochs_trained"] > 0) & trials["seconds"].notna()
    ]
    return float(rows["seconds"].sum() / rows["epochs_trained"].sum()) if len(rows) else nan


def _costs(arms: Sequence[str]) -> dict[str, float]:
    """Seconds of an epoch relative to the baseline, where nothing was timed."""
    known = {BASELINE: 1.0, SCALE_UP: SCALE_UP_COST}
    return {key: known.get(key, CANDIDATE_COST) for key in arms}
