"""How long a run or a verification takes: the training that is left times the seconds that an epoch has taken."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from math import isfinite, nan
from typing import Any

import optuna

from gamsearch.analysis.noise import architectures_to_repeat
from gamsearch.strategy.plan import Plan
from gamsearch.study import store
from gamsearch.study.history import History

ATTRIBUTE = "forecast"
"""Attribute of the study that holds the latest forecast of the process that leads: `begun`, `end`, `certain`."""
Clock = Callable[[], float]
CANDIDATE_COST = 1.2
"""Seconds of a candidate's epoch relative to one of the baseline stage, until candidates have been timed."""


class Forecast:
    """The expected end of what a process does, renewed as it learns.

    Args:
        write: Called with each new forecast, for the record.
        each: Seconds that one unit of work is expected to take; NaN if unknown.
        clock: The time in seconds since the epoch.
    """

    def __init__(
        self,
        write: Callable[[dict[str, Any]], None] = lambda facts: None,
        each: float = nan,
        clock: Clock = time.time,
    ):
        self.write, self.each, self.clock = write, each, clock
        self.begun = clock()
        self.text = ""
        self._start = (self.begun, 0.0)

    def begin(self, done: float = 0.0) -> None:
        """Measure the pace from now on.

        Args:
            done: Work that is done already.
        """
        self._start = (self.clock(), done)

    def renew(self, done: float, left: float, seconds: float = 0.0, certain: bool = True) -> str:
        """Estimate the end from the pace so far.

        Args:
            done: Work done, in the unit of `begin`.
            left: Work left.
            seconds: Time that is left besides.
            certain: Whether `left` is what is left, or the most that may be left.

        Returns:
            E.g. `about 3 h 10 min in all, until 17:40`; empty while the pace is unknown.
        """
        (moment, before), now = self._start, self.clock()
        if done > before:
            self.each = (now - moment) / (done - before)
        if isfinite(self.each):
            facts = {"begun": self.begun, "end": now + left * self.each + seconds, "certain": certain}
            self.write(facts)
            self.text = sentence(facts, now)
        return self.text


def sentence(facts: Mapping[str, Any], now: float) -> str:
    """Say how long it takes.

    Args:
        facts: A forecast, as `Forecast` writes it.
        now: The time in seconds since the epoch.

    Returns:
        E.g. `about 3 h 10 min in all, until 17:40`; empty if there is no forecast.
    """
    try:
        end = datetime.fromtimestamp(facts["end"])
    except (KeyError, ValueError, OverflowError, OSError):  # none yet, or a damaged record
        return ""
    days = (end.date() - datetime.fromtimestamp(now).date()).days
    moment = end.strftime("%H:%M" if days == 0 else "%a %H:%M" if 0 < days < 7 else "%d %b %Y %H:%M")
    certain = facts.get("certain", True)
    limit = "" if certain else ", less if the baseline's curve flattens early"
    late = ", later than expected" if now > facts["end"] + 60 else ""
    return (
        f"{'about' if certain else 'at most'} {span(facts['end'] - facts['begun'])} in all, until {moment}{limit}{late}"
    )


def span(seconds: float) -> str:
    """Say how long a time is.

    Args:
        seconds: The time.

    Returns:
        E.g. `45 s`, `12 min`, `3 h 10 min` or `2 d 5 h`.
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


class RunForecast:
    """The forecast of a search: first from the epochs of the baseline stage, then from the trainings of the search.

    Args:
        study: The study.
        plan: What the search is to do.
        devices: Devices that train at the same time.
        clock: The time in seconds since the epoch.
    """

    def __init__(self, study: optuna.Study, plan: Plan, devices: int = 1, clock: Clock = time.time):
        self.study, self.plan, self.devices = study, plan, devices
        self.history = History(study)
        self.forecast = Forecast(lambda facts: study.set_user_attr(ATTRIBUTE, facts), self._recorded_pace(), clock)
        self.epochs, self.timed = 0, False
        study.set_user_attr(ATTRIBUTE, {})

    @property
    def text(self) -> str:
        """The latest forecast in words."""
        return self.forecast.text

    def baseline_epoch(self, left: int, certain: bool) -> str:
        """Renew the forecast after an epoch of the baseline stage.

        Args:
            left: Epochs of the stage that are left, at most.
            certain: Whether they all will be trained.

        Returns:
            The forecast in words.
        """
        self.epochs += 1
        epochs, seconds = self._left()
        text = self.forecast.renew(self.epochs, left + CANDIDATE_COST * epochs / self.devices, seconds, certain)
        if self.epochs == 1:
            self.forecast.begin(1)  # the first epoch also read the images
        return text

    def training(self) -> str:
        """Renew the forecast when a training of the search begins.

        Returns:
            The forecast in words.
        """
        done, (epochs, seconds) = self._done(), self._left()
        if not self.timed:  # from now on candidates are timed
            self.forecast.begin(done)
            self.forecast.each *= CANDIDATE_COST / self.devices if self.epochs else 1.0
        self.timed = True
        return self.forecast.renew(done, epochs, seconds)

    def _done(self) -> int:
        """Epochs of training that the search has done: of candidates, and of the baseline and the best at all seeds."""
        each, known = self.plan.trial_budget.epochs, self.study.user_attrs
        repeats = len(known.get("baseline_seeds", [])) + sum(map(len, known.get("confirmations", {}).values()))
        return self.history.update().charged(each) + each * repeats

    def _left(self) -> tuple[float, float]:
        """Epochs of training that the search has left, and hours of its budget in seconds."""
        each, budget = self.plan.trial_budget.epochs, self.plan.search_budget
        known, seeds, history = self.study.user_attrs, self.plan.noise_seeds, self.history.update()
        controls = seeds - len(known.get("baseline_seeds", []))
        confirmed = sum(map(len, known.get("confirmations", {}).values()))
        trainings = max(0, controls) + max(0, architectures_to_repeat(seeds) * (seeds - 1) - confirmed)
        rest = max(0.0, budget.amount - budget.used(history.charged(each), each, history.seconds))
        if budget.unit == "hours":
            return float(each * trainings), 3600 * rest
        epochs = rest * (each if budget.unit == "trainings" else 1)
        untried = max(0, self.plan.space.size - len(history.architectures))
        return each * trainings + min(epochs, each * untried), 0.0

    def _recorded_pace(self) -> float:
        """Seconds per epoch of the trainings that are recorded; NaN if there are none."""
        trained = [t.user_attrs for t in store.trials(self.study) if t.user_attrs.get("epochs_trained")]
        seconds = sum(float(one.get("took", nan)) for one in trained)
        return seconds / sum(one["epochs_trained"] for one in trained) if trained else nan
