"""When a candidate's training ends before its budget does. No torch.

Parameters, FLOPs and latency are known before training and only mAP grows, so a candidate can stop as soon as even an
optimistic guess of its final mAP is dominated by a finished candidate. Optuna's pruners cannot be used: they raise for
more than one objective (its issue 3450). A stopped trial is PRUNED, with reason, last measurement and bound; COMPLETE
means trained for the whole budget.

    off          every candidate is trained to the end
    default      stopped where a conservative bound is dominated; paused at rungs by the `thaw` sampler
    aggressive   a tighter bound, and paused at every rung unless in the best third there (MO-ASHA)

A paused training is resumed when it is promoted or proposed again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil, exp, inf, isfinite, log
from statistics import fmean
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray
from optuna.trial import TrialState

from gamsearch.architecture import Architecture
from gamsearch.errors import OptionError, nearest
from gamsearch.metrics import Metric
from gamsearch.strategy.surrogate import Observation, Surrogates
from gamsearch.study.history import ArchitectureHistory, History

REDUCTION = 3
"""Rungs are this factor apart, and one in so many candidates is promoted at each (Li et al., arXiv 1810.05934)."""
FIRST_RUNG = 10
"""The first rung is at this fraction of the budget, at the earliest after one epoch."""
MOST_OBSERVATIONS = 300
"""A surrogate is fitted to at most so many observations, the latest ones: its cost grows with their cube."""


@dataclass(frozen=True)
class StopDecision:
    """Why a training stops after `epoch`: `bound` is the optimistic final map50_95 (None for a pause by rank).

    `by` is the number of the trial that dominates it; a `paused` training may go on.
    """

    reason: str
    epoch: int
    bound: float | None = None
    by: int | None = None
    paused: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class StoppingSettings:
    """How readily trainings stop; `STOPPING` has the three settings.

    `alpha` is the share of finished trainings whose rise the bound may underestimate, `margin` is added to it in
    standard deviations of the seed noise, `least` finished trainings are needed first, every `probe`-th candidate is
    never stopped (only survivors would have whole curves otherwise), `by_rank` pauses all but the best at every rung.
    """

    name: str
    alpha: float = 0.02
    margin: float = 2.0
    least: int = 10
    probe: int = 10
    by_rank: bool = False

    @property
    def on(self) -> bool:
        return self.name != "off"

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """The epochs at which a training of `epochs` may stop, e.g. (2, 6) of 20; none when off."""
        rungs, rung = [], max(1, epochs // FIRST_RUNG)
        while self.on and rung < epochs:
            rungs.append(rung)
            rung *= REDUCTION
        return tuple(rungs)

    def spares(self, number: int) -> bool:
        """Whether the candidate of trial `number` is never stopped."""
        return number % self.probe == 0


STOPPING = {
    "off": StoppingSettings("off"),
    "default": StoppingSettings("default"),
    "aggressive": StoppingSettings("aggressive", alpha=0.1, margin=0.0, least=8, probe=20, by_rank=True),
}


def stopping_named(name: str) -> StoppingSettings:
    """Return the setting called `name`, or say which there are."""
    if name not in STOPPING:
        raise OptionError(f"there is no stopping '{name}'{nearest(name, STOPPING)}; there are {', '.join(STOPPING)}")
    return STOPPING[name]


@dataclass(frozen=True)
class StoppingPolicy:
    """Decides on one study's trainings: `objectives` as in the study, `noise` the seed noise of map50_95."""

    stopping: StoppingSettings
    objectives: tuple[Metric, ...]
    surrogates: Surrogates
    noise: float = 0.0

    @property
    def applies(self) -> bool:
        """Bounds are on map50_95 alone; with another trained objective a candidate could be wanted for that one."""
        return self.stopping.on and [m.name for m in self.objectives if m.stage == "trained"] == ["map50_95"]

    def screen(
        self, history: History, architecture: Architecture, built: Mapping[str, float], epochs: int
    ) -> StopDecision | None:
        """Before training: stop if the surrogate's optimistic final gain is dominated; what it says is conservative."""
        done = _finished(history, epochs)
        if not self.applies or len(done) < self.stopping.least + 5 or history.baseline is None:
            return None
        surrogate = self.surrogates.of(observations(history, (*self.stopping.rungs(epochs), epochs)))
        mean, sd = surrogate.predict([architecture], epochs)
        calibration = max(1.0, float(np.std(surrogate.left_out())))
        bound = history.baseline.curve[epochs]["map50_95"] + float(mean[0]) + 2 * calibration * float(sd[0])
        return self._dominated("screened before training", history, built, bound + self._margin, 0, epochs)

    def after_rung(self, history: History, known: ArchitectureHistory, epochs: int) -> StopDecision | None:
        """After a rung: stop for good if the bound is dominated, pause if the setting pauses by rank."""
        if not self.applies or history.baseline is None:
            return None
        return self._bounded(history, known, epochs) or (
            self._ranked(history, known) if self.stopping.by_rank else None
        )

    def _bounded(self, history: History, known: ArchitectureHistory, epochs: int) -> StopDecision | None:
        """The dominance bound: final gains regressed on the gain at the rung and the costs, with left-out residuals."""
        epoch, costs = known.epochs, known.costs(self.objectives)
        rows = [
            (gain, *own, final)
            for other in _finished(history, epochs)
            if (gain := history.gain(other, epoch)) is not None
            and (final := history.gain(other, epochs)) is not None
            and (own := other.costs(self.objectives)) is not None
        ]
        gain = history.gain(known, epoch)
        if len(rows) < self.stopping.least or gain is None or costs is None or history.baseline is None:
            return None
        bound = optimistic(np.array(rows, dtype=float), np.array([gain, *costs]), self.stopping.alpha)
        final = history.baseline.curve[epochs]["map50_95"] + bound + self._margin
        return self._dominated("stopped", history, known.built, final, epoch, epochs)

    @property
    def _margin(self) -> float:
        return self.stopping.margin * self.noise

    def _dominated(
        self, what: str, history: History, built: Mapping[str, float], bound: float, epoch: int, epochs: int
    ) -> StopDecision | None:
        """A stop if a finished training costs no more in anything and has a map50_95 of at least `bound`."""
        names = [m.name for m in self.objectives if m.stage == "built"]
        finished = _finished(history, epochs)
        for other in (*finished, *([history.baseline] if history.baseline else [])):
            cheaper = all(other.built[name] <= built[name] for name in names)
            if cheaper and other.curve[epochs]["map50_95"] >= bound:
                reason = f"{what}: at best {bound:.4f} after {epochs} epochs, dominated by trial {other.number}"
                return StopDecision(reason, epoch, bound, other.number)
        return None

    def _ranked(self, history: History, known: ArchitectureHistory) -> StopDecision | None:
        """A pause unless `known` is among the best 1/REDUCTION of all that reached its rung, by non-dominated rank."""
        if self.promotable(history, known.epochs, also=known, only=known):
            return None
        return StopDecision(
            f"paused after epoch {known.epochs}: not in the best third there", known.epochs, paused=True
        )

    def promotable(
        self,
        history: History,
        rung: int,
        also: ArchitectureHistory | None = None,
        only: ArchitectureHistory | None = None,
    ) -> list[ArchitectureHistory]:
        """Of the best 1/REDUCTION of all candidates that reached `rung`, those that are paused there, best first."""
        reached = {k.architecture.key: k for k in history.candidates if rung in k.curve and k.state != TrialState.FAIL}
        if also is not None:
            reached[also.architecture.key] = also
        there = list(reached.values())
        count = len(there) // REDUCTION
        if count == 0:
            return []
        signs = [-1.0 if m.maximise else 1.0 for m in self.objectives]
        points = np.array([self._point(k, rung) for k in there]) * signs
        ranks = moocore.pareto_rank(points)
        best = sorted(range(len(there)), key=lambda i: (ranks[i], points[i, 0]))[:count]
        return [there[i] for i in best if (there[i] is only if only else there[i].paused and there[i].epochs == rung)]

    def _point(self, known: ArchitectureHistory, rung: int) -> list[float]:
        return [known.curve[rung][m.name] if m.stage == "trained" else known.built[m.name] for m in self.objectives]


def optimistic(finished: NDArray[np.float64], candidate: NDArray[np.float64], alpha: float) -> float:
    """An upper bound on a candidate's final gain from `finished` (`n x d`, the last column the final gain).

    Ridge regression on standardised columns; to its prediction comes the 1 - `alpha` quantile of the leave-one-out
    residuals (if positive), with n below 1/`alpha` the largest one. Costs are among the columns because larger
    candidates start slower: a bound without them stopped the slow starters near the front.
    """
    inputs, final = finished[:, :-1], finished[:, -1]
    centre, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-12
    design = np.column_stack([np.ones(len(final)), (inputs - centre) / spread])
    ridge = np.diag([0.0] + [0.1] * inputs.shape[1])
    inverse = np.linalg.inv(design.T @ design + ridge)
    weights = inverse @ design.T @ final
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    residuals = np.sort((final - design @ weights) / np.clip(1 - leverage, 0.2, 1.0))
    quantile = residuals[min(len(final) - 1, ceil((len(final) + 1) * (1 - alpha)) - 1)]
    predicted = np.concatenate([[1.0], (candidate - centre) / spread]) @ weights
    return float(predicted + max(float(quantile), 0.0))


def observations(history: History, marks: Sequence[int]) -> list[Observation]:
    """The paired gains of all candidates, averaged over the epochs from each of `marks` (ascending) to the next.

    A single epoch's gain is noisy: on BCCD its noise (0.008) exceeded what the architectures differ by (0.005).
    """
    found: list[Observation] = []
    for known in reversed(history.candidates):
        for first, last in zip((0, *marks), marks, strict=False):
            epochs = [epoch for epoch in known.curve if first < epoch <= last]
            gains = [gain for epoch in epochs if (gain := history.gain(known, epoch)) is not None]
            if epochs and len(gains) == len(epochs) and all(map(isfinite, gains)):
                centre = exp(fmean(map(log, epochs)))
                found.append(Observation(known.architecture, centre, fmean(gains), len(gains)))
        if len(found) >= MOST_OBSERVATIONS:
            break
    return found[::-1]


def _finished(history: History, epochs: int) -> list[ArchitectureHistory]:
    """Candidates trained for the whole budget."""
    return [k for k in history.candidates if k.complete and k.curve and epochs in k.curve]


def seed_noise(baselines: Sequence[Mapping[str, float]]) -> float:
    """Standard deviation of the baseline's map50_95 over its seeds (0 if unknown): that of paired gains is smaller."""
    values = [float(b["map50_95"]) for b in baselines if isfinite(b.get("map50_95", inf))]
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
