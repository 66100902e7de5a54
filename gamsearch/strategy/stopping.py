"""How readily trainings stop before their budget ends (the settings of `--stopping`), and the decision to stop one.

    off          every candidate is trained to the end
    default      stopped where a conservative bound is dominated; paused at rungs by the `thaw` sampler
    aggressive   a tighter bound, and paused at every rung unless in the best third there (MO-ASHA)

A stopped trial is PRUNED, with reason, last measurement and bound; COMPLETE means trained for the whole budget. A
paused training resumes when it is promoted or proposed again.
"""

from dataclasses import asdict, dataclass
from typing import Any

from gamsearch.errors import OptionError, nearest

REDUCTION = 3
"""Ratio of successive rungs; at each, one candidate in `REDUCTION` is promoted (Li et al., arXiv 1810.05934)."""
FIRST_RUNG = 10
"""The first rung is at this fraction of the budget, at the earliest after one epoch."""


@dataclass(frozen=True)
class StopDecision:
    """Why a training stops.

    Attributes:
        reason: In one sentence.
        epoch: The last epoch that was trained; 0 if none was.
        bound: The optimistic final primary metric; None for a pause by rank.
        by: The number of the trial that dominates it.
        paused: Whether the training may resume.
    """

    reason: str
    epoch: int
    bound: float | None = None
    by: int | None = None
    paused: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The JSON-ready form that records hold."""
        return asdict(self)


@dataclass(frozen=True)
class StoppingSettings:
    """How readily trainings stop; `STOPPING` has the three settings.

    Attributes:
        name: What `--stopping` calls it.
        alpha: Share of finished trainings whose further gain the bound may underestimate.
        margin: Added to the bound, in standard deviations of the seed noise.
        least: Finished trainings that are needed before any is stopped.
        probe: One candidate in `probe` is never stopped: otherwise only survivors would have whole curves.
        by_rank: Whether all but the best are paused at every rung.
    """

    name: str
    alpha: float = 0.02
    margin: float = 2.0
    least: int = 10
    probe: int = 10
    by_rank: bool = False

    @property
    def on(self) -> bool:
        """Whether any training may stop early."""
        return self.name != "off"

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """The epochs after which a training may stop.

        Args:
            epochs: Epochs of a full training.

        Returns:
            Ascending epochs, e.g. (2, 6, 18) of 20; none when off.
        """
        rungs, rung = [], max(1, epochs // FIRST_RUNG)
        while self.on and rung < epochs:
            rungs.append(rung)
            rung *= REDUCTION
        return tuple(rungs)

    def never_stops(self, number: int) -> bool:
        """Whether a candidate is trained to the end in any case.

        Args:
            number: Candidates whose training began before.

        Returns:
            True for one in `probe`.
        """
        return number % self.probe == 0


STOPPING = {
    "off": StoppingSettings("off"),
    "default": StoppingSettings("default"),
    "aggressive": StoppingSettings("aggressive", alpha=0.1, margin=0.0, least=8, probe=20, by_rank=True),
}


def stopping_named(name: str) -> StoppingSettings:
    """Look up stopping settings.

    Args:
        name: What `--stopping` calls them.

    Returns:
        The settings.

    Raises:
        OptionError: There are no such settings; the message names those there are.
    """
    if name not in STOPPING:
        raise OptionError(f"there is no stopping '{name}'{nearest(name, STOPPING)}; there are {', '.join(STOPPING)}")
    return STOPPING[name]
