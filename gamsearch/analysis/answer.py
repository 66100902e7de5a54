"""The answer to "does attention pay here?" in at most twelve words, its grounds, and the command to run next."""

from dataclasses import dataclass
from math import isfinite, nan

from gamsearch.tasks import Task

YES, NO, UNCLEAR, UNTRAINED = "yes", "no", "unclear", "untrained"

WORDS = 12
"""Most words of a headline."""

UNTRAINED_HEADLINE = "The baseline is not trained enough to tell."

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Answer:
    """What a run shows so far.

    Attributes:
        kind: `YES`, `NO`, `UNCLEAR` or `UNTRAINED`.
        headline: The answer in at most `WORDS` words.
        detail: One or two sentences with the intervals.
        next_step: What to do next, in a few words; empty if there is nothing to do.
        next_command: The command that does it; empty if there is none.
        trial: Number of the trial that the answer recommends; None where the baseline is to be kept.
    """

    kind: str
    headline: str
    detail: str
    next_step: str = ""
    next_command: str = ""
    trial: int | None = None

    @property
    def text(self) -> str:
        """The answer with its grounds."""
        return f"{self.headline} {self.detail}"

    @property
    def next(self) -> str:
        """E.g. `Confirm it by full trainings: python -m gamsearch verify results/mine`; may be empty."""
        return ": ".join(filter(None, (self.next_step, self.next_command)))


def yes(label: str, gain: float, half_width: float, task: Task, latency_ratio: float = nan) -> str:
    """Write the headline of a gain that is beyond the noise.

    Args:
        label: What gains.
        gain: Its gain in the primary metric, as a fraction.
        half_width: Half-width of the interval of the gain, as a fraction.
        task: What the detector is for.
        latency_ratio: Its latency relative to the baseline; NaN if unknown.

    Returns:
        E.g. `Yes: GAM@2 gains 0.18 ± 0.02 mAP for 1.39 x latency.`; `1.39x` where that would be too many words.
    """
    price = f" for {latency_ratio:.2f} x latency" if isfinite(latency_ratio) else ""
    digits = 2 if half_width >= 0.01 else 3 if half_width >= 0.001 else 4
    text = f"Yes: {label} gains {gain:.{digits}f} ± {half_width:.{digits}f} {task.quantity}{price}."
    return text if len(text.split()) <= WORDS else text.replace(" x latency", "x latency")


def no(detector: str) -> str:
    """Write the headline where the baseline is to be kept.

    Args:
        detector: Name of the stock detector.

    Returns:
        E.g. `No: keep yolov8n.`
    """
    return f"No: keep {detector}."


def short_name(label: str, number: int | None) -> str:
    """Name an architecture in at most two words.

    Args:
        label: The label of an architecture.
        number: Number of its trial, if any.

    Returns:
        The label where it is that short, else the number of the trial.
    """
    if len(label.split()) <= 2:
        return label
    return "one candidate" if number is None else f"trial {number}"


def in_words(number: int) -> str:
    """Write a small number as a word.

    Args:
        number: Zero or more.

    Returns:
        E.g. `two`; digits above ten.
    """
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)
