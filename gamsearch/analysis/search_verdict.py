"""What the short trainings of a search show: the baseline's noise, the best candidate at other seeds, the verdict."""

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class Noise:
    """How much map50_95 varies with the seed alone.

    Attributes:
        sd: Sample standard deviation over the baseline controls.
        seeds: Number of controls.
    """

    sd: float
    seeds: int

    def half_width(self, comparisons: int = 1) -> float:
        """Half-width of a 95 % interval for the difference of two runs: `t * sd * sqrt(2)`, n-1 degrees of freedom.

        Args:
            comparisons: Number of differences that are tested; the quantile is Bonferroni-corrected for it.

        Returns:
            The half-width, as a fraction of mAP.
        """
        quantile = stats.t.ppf(1 - 0.025 / comparisons, self.seeds - 1)
        return float(quantile * self.sd * sqrt(2))


@dataclass(frozen=True)
class Confirmation:
    """Paired gains of a candidate over the baseline in map50_95, at seeds that did not select it."""

    label: str
    gains: tuple[float, ...]
    latency_ratio: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.gains))

    @property
    def half_width(self) -> float:
        """Half-width of the 95 % interval of the mean gain: Student's t over the paired differences."""
        count = len(self.gains)
        return float(stats.t.ppf(0.975, count - 1) * np.std(self.gains, ddof=1) / sqrt(count))

    @property
    def text(self) -> str:
        """E.g. `+0.0021 ± 0.0060 (95 %, 4 paired seeds)`."""
        return f"{self.mean:+.4f} ± {self.half_width:.4f} (95 %, {len(self.gains)} paired seeds)"


def confirmed_verdict(confirmation: Confirmation, candidates: pd.DataFrame) -> str:
    """State what the paired gains of the best candidate at other seeds show.

    Args:
        confirmation: Its gains at seeds that did not select it.
        candidates: All candidates, best first.

    Returns:
        One sentence.
    """
    mean, half, count = confirmation.mean, confirmation.half_width, len(candidates)
    winner = f"the best of {count} candidates, {confirmation.label}," if count > 1 else f"{confirmation.label}"
    chosen = f"gained {candidates['map50_95_gain'].iloc[0]:+.4f} at the seed it was chosen at"
    if mean - half > 0:
        ratio = confirmation.latency_ratio
        price = "" if not isfinite(ratio) else f" at {100 * (ratio - 1):+.0f} % latency"
        best = f", the best of {count} candidates," if count > 1 else ""
        return f"{confirmation.label}{best} beats the baseline by {confirmation.text}{price}, in short training."
    if mean + half < 0:
        return f"No placement beats the baseline: {winner} {chosen} and lost at others: {confirmation.text}."
    return f"No placement is shown to beat the baseline: {winner} {chosen} and {confirmation.text} at others."


def unconfirmed_verdict(candidates: pd.DataFrame, noise: Noise | None, seeds: int) -> str:
    """Compare the best gain with the noise of the baseline.

    Args:
        candidates: All candidates, best first, at least one.
        noise: The baseline's noise, if it was measured.
        seeds: Number of baseline seeds that were measured.

    Returns:
        One sentence.
    """
    gains, count = candidates["map50_95_gain"], len(candidates)
    best = f"{gains.iloc[0]:+.4f} ({candidates['label'].iloc[0]})"
    if noise is None:
        why = f"{seeds} baseline seeds gave the same value" if seeds > 1 else "fewer than two baseline seeds"
        claim = "can be said to beat" if gains.iloc[0] > 0 else "beats"
        of = f" of {count} candidates" if count > 1 else ""
        unknown = f"and the noise was not measured ({why})"
        return f"No placement {claim} the baseline: the best gain{of} is {best}, {unknown}."
    threshold = noise.half_width(count)
    corrected = f", Bonferroni-corrected for {count} candidates" if count > 1 else ""
    margin = f"differences below {threshold:.4f} (95 %, {noise.seeds} baseline seeds{corrected}) are noise"
    beyond = int((gains > threshold).sum())
    most = 1.0 - float((candidates["map50_95"] - gains).iloc[0])  # the largest possible gain over this baseline
    if 0 < gains.iloc[0] < most <= threshold:
        many = f" for {count} candidates" if count > 1 else ""
        return (
            f"It is undecided whether a placement beats the baseline: the best gain is {best}, but {noise.seeds} "
            f"baseline seeds are too few{many} (no gain could exceed their noise, 95 %)."
        )
    if beyond == 0:
        within = " beyond the noise" if gains.iloc[0] > 0 else ""
        return f"No placement beats the baseline{within}: the best gain is {best}, {margin}."
    winners = f"{beyond} of {count} candidates" if count > 1 else "The only candidate"
    verb = "beat" if beyond > 1 else "beats"
    return f"{winners} {verb} the baseline beyond the noise: the best gain is {best}, {margin}."
