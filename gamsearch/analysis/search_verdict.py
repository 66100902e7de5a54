"""What the short trainings of a search show about its best candidate: yes, no or unclear, and on what grounds."""

from dataclasses import dataclass
from math import isfinite

from gamsearch.analysis.answer import NO, UNCLEAR, YES, in_words, no, short_name, yes
from gamsearch.analysis.noise import Gain
from gamsearch.analysis.power import EFFECT
from gamsearch.tasks import DETECT, Task


@dataclass(frozen=True)
class Searched:
    """The best candidate of a search, the baseline's seeds and the gain at other seeds.

    Attributes:
        detector: Name of the stock detector.
        label: Label of the best candidate.
        number: Number of its trial.
        candidates: Number of candidates that it is the best of.
        selected_gain: Its gain at the seed at which it was selected, as a fraction of the primary metric.
        gain: What it gained at other seeds; None if it was not trained there.
        latency_ratio: Its latency relative to the baseline; NaN if unknown.
        seeds: Number of seeds of the baseline.
        largest: The largest gain that the baseline's level leaves room for.
        task: What the detector is for.
    """

    detector: str
    label: str
    number: int
    candidates: int
    selected_gain: float
    gain: Gain | None
    latency_ratio: float
    seeds: int
    largest: float
    task: Task = DETECT

    @property
    def kind(self) -> str:
        """`YES` if the interval is above zero, `NO` if nothing was gained or no gain of `EFFECT` is left in it."""
        if self.selected_gain <= 0:
            return NO
        if self.gain is None or self.gain.noise is None or self.gain.half_width >= self.largest:
            return UNCLEAR
        if self.gain.low > 0:
            return YES
        return NO if self.gain.mean <= 0 or self.gain.high < EFFECT else UNCLEAR

    @property
    def too_few_seeds(self) -> bool:
        """Whether the interval is missing, as wide as the possible gains, or from one degree of freedom and unclear."""
        if self.gain is None or self.gain.noise is None or self.gain.half_width >= self.largest:
            return True
        return self.gain.noise.freedom < 2 and self.kind == UNCLEAR

    @property
    def headline(self) -> str:
        """The answer in at most twelve words."""
        if self.kind == NO:
            return no(self.detector)
        if self.kind == YES and self.gain is not None:
            name = short_name(self.label, self.number)
            return yes(name, self.gain.mean, self.gain.half_width, self.task, self.latency_ratio)
        if self.gain is None and self.seeds > 1:
            return "Unclear: the best candidate was trained at one seed only."
        if self.too_few_seeds:
            return f"Unclear: {in_words(self.seeds)} seed{'s are' if self.seeds > 1 else ' is'} too few to judge."
        return "Unclear: the best gain may be chance."

    @property
    def detail(self) -> str:
        """One or two sentences with the interval and its grounds."""
        metric = self.task.primary_title
        best = f"{self.label}, the best of {self.candidates} candidates," if self.candidates > 1 else self.label
        if self.selected_gain <= 0:
            return f"No candidate gained: {best} differs from the baseline by {self.selected_gain:+.4f} {metric}."
        selected = f"gained {self.selected_gain:+.4f} {metric} at the seed of the search"
        if self.gain is None:
            why = "it was not trained at another seed" if self.seeds > 1 else "the noise was not measured (one seed)"
            return f"{best} {selected}, but {why}."
        count = len(self.gain.differences)
        others = f"{in_words(count)} held-out seed{'s' * (count > 1)}"
        if self.too_few_seeds:
            why = f"{in_words(self.seeds)} seeds are too few to judge that" if self._varies else "no seed differs"
            return f"{best} {selected} and {self.gain.mean:+.4f} at {others}; {why}."
        found = f"{self.gain.mean:+.4f} ± {self.gain.half_width:.4f}"
        if self.kind == YES:
            ratio = self.latency_ratio
            price = f" at {100 * (ratio - 1):+.0f} % latency" if isfinite(ratio) else ""
            return f"{best} gained {found} {metric}{price} in short training, at {others} ({self._grounds})."
        return f"{best} {selected} and {found} at {others} ({self._grounds})."

    @property
    def _varies(self) -> bool:
        return self.gain is not None and (len(self.gain.differences) < 2 or len(set(self.gain.differences)) > 1)

    @property
    def _grounds(self) -> str:
        """E.g. `95 %; SD of a paired difference 0.0085, pooled over 6 architectures`."""
        assert self.gain is not None and self.gain.noise is not None
        noise = self.gain.noise
        more = f", pooled over {noise.architectures} architectures" if noise.architectures > 2 else ""
        return f"95 %; SD of a paired difference {noise.sd:.4f}{more}"
