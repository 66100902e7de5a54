"""The answer to "does attention pay here?" in at most twelve words, its grounds, and the command to run next."""

from dataclasses import dataclass
from math import isfinite, nan

YES, NO, UNCLEAR, UNTRAINED = "yes", "no", "unclear", "untrained"

WORDS = 12
"""Most words of a headline."""


@dataclass(frozen=True)
class Answer:
    """What a run shows so far.

    Attributes:
        kind: `YES`, `NO`, `UNCLEAR` or `UNTRAINED`.
        headline: The answer in at most `WORDS` words.
        detail: One or two sentences with the intervals.
        next_command: A command that works on this run; empty if there is nothing left to do.
        trial: Number of the trial that the answer recommends; None where the baseline is to be kept.
    """

    kind: str
    headline: str
    detail: str
    next_command: str = ""
    trial: int | None = None


def yes(label: str, gain: float, half_width: float, latency_ratio: float = nan) -> str:
    """Headline of a gain that is beyond the noise.

    Args:
        label: What gains.
        gain: Its gain in mAP50-95, as a fraction.
        half_width: Half-width of the interval of the gain.
        latency_ratio: Its latency relative to the baseline; NaN if unknown.

    Returns:
        E.g. `Yes: GAM@2 gains 0.18 ± 0.02 mAP for 1.39 x latency.`
    """
    price = f" for {latency_ratio:.2f} x latency" if isfinite(latency_ratio) else ""
    digits = 2 if half_width >= 0.01 else 3 if half_width >= 0.001 else 4
    return f"Yes: {label} gains {gain:.{digits}f} ± {half_width:.{digits}f} mAP{price}."


def short_name(label: str, number: int | None) -> str:
    """A name of at most two words: the label where it is that short, else the number of the trial.

    Args:
        label: The label of an architecture.
        number: Number of its trial, if any.

    Returns:
        The name.
    """
    if len(label.split()) <= 2:
        return label
    return "one candidate" if number is None else f"trial {number}"
