"""What the curve of a training shows: whether its primary metric still rises, judged by the curve's own noise.

A curve is a sequence of readings `(epoch, primary metric)`, epochs from 1 in ascending order, the metric as a fraction.
It is judged by a line through the readings of its last half: its slope, with standard error, against the scatter around
it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from scipy import stats

from gamsearch.errors import plural
from gamsearch.tasks import DETECT, Task

Reading = Sequence[float]
Curve = Sequence[Reading]

FEWEST_READINGS = 4
"""Readings that a line is fitted to, at least; fewer leave no noise to judge it by."""
CONFIDENCE = 0.95
"""One-sided confidence that a curve rises."""
DENSE = 16
"""Epochs up to which every epoch is validated; the interval doubles whenever the number of epochs does."""
DECAY_SHARE = 0.25
"""Length of the final decay of the learning rate, relative to the epochs before it."""
FLAT, STEEP = 0.25, 0.5
"""A curve is flat if it rises at less, steep if it rises at more than this share of its mean rate so far."""
READINGS_IN_NOISE = 3
"""Readings in a row after which a rise that is hidden by noise is not waited for any longer."""
NOTHING = 2.0
"""A curve whose level is below this many standard deviations of a reading has learned nothing that can be seen."""


@dataclass(frozen=True)
class Trend:
    """The last half of a curve.

    Attributes:
        epochs: Its last epoch.
        level: The line at that epoch.
        slope: Its rise per epoch.
        error: Standard error of the slope.
        noise: Standard deviation of a reading around the line.
        readings: Readings that the line is fitted to.
    """

    epochs: float
    level: float
    slope: float
    error: float
    noise: float
    readings: int

    @property
    def smallest_slope(self) -> float:
        """The slope that is exceeded with `CONFIDENCE`."""
        return self.slope - float(stats.t.ppf(CONFIDENCE, self.readings - 2)) * self.error

    @property
    def largest_slope(self) -> float:
        """The slope that is not exceeded with `CONFIDENCE`."""
        return self.slope + float(stats.t.ppf(CONFIDENCE, self.readings - 2)) * self.error

    @property
    def next_gain(self) -> float:
        """What the line gains if the training goes on for half as long again."""
        return self.slope * self.epochs / 2


def trend(curve: Curve) -> Trend | None:
    """Fit a line to the last half of a curve.

    Args:
        curve: The readings.

    Returns:
        The line; None with fewer than `FEWEST_READINGS` readings.
    """
    if len(curve) < FEWEST_READINGS:
        return None
    last = curve[-1][0]
    late = [reading for reading in curve if reading[0] > last / 2]
    late = late if len(late) >= FEWEST_READINGS else list(curve[-FEWEST_READINGS:])
    x, y = np.array(late, dtype=float).T
    slope, middle = np.polyfit(x - x.mean(), y, 1)
    residuals = y - middle - slope * (x - x.mean())
    noise = sqrt(float(residuals @ residuals) / (len(x) - 2))
    error = noise / sqrt(float(((x - x.mean()) ** 2).sum()))
    return Trend(float(last), float(middle + slope * (last - x.mean())), float(slope), error, noise, len(x))


def is_read(epoch: int) -> bool:
    """Return whether a training validates after this epoch: after each of the first `DENSE`, then less and less often.

    Args:
        epoch: The epoch, from 1.

    Returns:
        Whether the curve has a reading there; a last half has at least half of `DENSE` of them, or all its epochs.
    """
    every = 1
    while every * DENSE < epoch:
        every *= 2
    return epoch % every == 0


def is_flat(curve: Curve) -> bool:
    """Return whether it hardly pays to train longer.

    A curve is flat when it surely rises at less than `FLAT` of its mean rate so far. One too noisy for that is flat
    when, at each of its last `READINGS_IN_NOISE` readings, half as long again would have gained less than the noise.

    Args:
        curve: The readings at a constant learning rate.

    Returns:
        Whether the curve is flat; False while it is too short to tell, or has learned nothing yet.
    """
    line = trend(curve)
    if line is None or line.level <= NOTHING * line.noise:
        return False
    if line.largest_slope * line.epochs <= FLAT * line.level:
        return True
    lines = [trend(curve[: len(curve) - back]) for back in range(READINGS_IN_NOISE)]
    return all(one is not None and one.next_gain <= one.noise for one in lines)


def decay_epochs(after: int) -> int:
    """Return how many epochs the learning rate decays.

    Args:
        after: The epochs at a constant rate before.

    Returns:
        At least 1.
    """
    return max(1, ceil(DECAY_SHARE * after))


def flat_after(curve: Curve, fewest: int, most: int) -> int | None:
    """Find the epoch after which a training that ends when its curve is flat lets its learning rate decay.

    It depends on the curve alone, so it is the same whenever and wherever it is computed.

    Args:
        curve: The readings so far, at epochs for which `is_read` holds.
        fewest: Epochs of the whole training, at least.
        most: Epochs of the whole training, at most.

    Returns:
        The first epoch at which the curve is flat, or the last that leaves time for the decay; None if it is ahead.
    """
    latest = max((e for e in range(1, most + 1) if is_read(e) and e + decay_epochs(e) <= most), default=1)
    for count, (epoch, _) in enumerate(curve, start=1):
        total = epoch + decay_epochs(int(epoch))
        if epoch >= latest or (total >= fewest and is_flat(curve[:count])):
            return int(epoch)
    return None


def still_rising(curve: Curve, remedy: str, from_scratch: bool = True, task: Task = DETECT) -> str:
    """State why a training is too short for its model to be compared with.

    It is if its curve surely still rises at more than `STEEP` of its mean rate so far, if it is not above its own
    noise, or if it began from scratch and is too short to have a trend.

    Args:
        curve: The readings of the whole training.
        remedy: What to do about it, in the imperative.
        from_scratch: Whether it began with random weights, so at zero.
        task: What is trained.

    Returns:
        One sentence; empty if the training is long enough, or if too few readings of a fine-tuning exist to tell.
    """
    if not curve:
        return ""
    epochs, reached = curve[-1]
    state = f"the baseline is at {task.primary_title} {reached:.3f} after {plural(int(epochs), 'epoch')}"
    line = trend(curve)
    if line is None:
        return f"{state}, too few to tell whether it has learned enough: {remedy}" if from_scratch else ""
    if line.level <= NOTHING * line.noise or reached <= 0:
        return f"{state}, no more than its noise, so it has learned nothing yet: {remedy}"
    if line.smallest_slope * line.epochs <= STEEP * line.level:
        return ""
    return f"{state} and still rising by {100 * line.slope / line.level:.0f} % an epoch: {remedy}"
