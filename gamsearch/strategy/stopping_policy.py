"""Decides when a candidate's training stops before its budget ends. No torch.

Parameters, FLOPs and latency are known before training and only the primary metric grows, so a candidate can stop as
soon as even an optimistic estimate of its final value is dominated by a finished candidate. Optuna's pruners cannot be
used: they raise for more than one objective (Optuna issue 3450).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gamsearch.architecture import Architecture
from gamsearch.metrics import Metric
from gamsearch.strategy.gain_bound import upper_bound
from gamsearch.strategy.observations import observations
from gamsearch.strategy.promotion import best_third
from gamsearch.strategy.stopping import StopDecision, StoppingSettings
from gamsearch.strategy.surrogate import Surrogates
from gamsearch.study.history import ArchitectureHistory, History
from gamsearch.tasks import Task


@dataclass(frozen=True)
class StoppingPolicy:
    """Decides when the trainings of one study stop.

    Attributes:
        stopping: How readily they stop.
        objectives: As in the study.
        surrogates: Predict gains before training.
        noise: Standard deviation of the primary metric over seeds.
    """

    stopping: StoppingSettings
    objectives: tuple[Metric, ...]
    surrogates: Surrogates
    noise: float = 0.0

    def applies(self, task: Task) -> bool:
        """Whether the primary metric is the only trained objective: another one may make a candidate worth training."""
        return self.stopping.on and task.only_primary(m.name for m in self.objectives)

    def screen(
        self, history: History, architecture: Architecture, built: Mapping[str, float], epochs: int
    ) -> StopDecision | None:
        """Before training: stop if the surrogate's optimistic final gain is dominated, calibrated on left-out gains."""
        if not self.applies(history.task) or history.baseline is None:
            return None
        if len(_finished(history, epochs)) < self.stopping.least + 5:
            return None
        surrogate = self.surrogates.of(observations(history, (*self.stopping.rungs(epochs), epochs)))
        mean, sd = surrogate.predict([architecture], epochs)
        calibration = max(1.0, float(np.std(surrogate.left_out())))
        bound = history.level(history.baseline, epochs) + float(mean[0]) + 2 * calibration * float(sd[0])
        return self._dominated("screened before training", history, built, bound + self._margin, 0, epochs)

    def after_rung(self, history: History, known: ArchitectureHistory, epochs: int) -> StopDecision | None:
        """After a rung: stop for good if the bound is dominated, pause if the settings pause by rank."""
        if not self.applies(history.task) or history.baseline is None:
            return None
        stop = self._bounded(history, known, epochs)
        return self._ranked(history, known) if stop is None and self.stopping.by_rank else stop

    def _bounded(self, history: History, known: ArchitectureHistory, epochs: int) -> StopDecision | None:
        """Regress final gains on the gains at the rung and the costs; stop if the upper bound is dominated."""
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
        bound = upper_bound(np.array(rows, dtype=float), np.array([gain, *costs]), self.stopping.alpha)
        final = history.level(history.baseline, epochs) + bound + self._margin
        return self._dominated("stopped", history, known.built, final, epoch, epochs)

    @property
    def _margin(self) -> float:
        return self.stopping.margin * self.noise

    def _dominated(
        self, what: str, history: History, built: Mapping[str, float], bound: float, epoch: int, epochs: int
    ) -> StopDecision | None:
        """A stop if a finished training costs no more in anything and has a primary metric of at least `bound`."""
        names = [m.name for m in self.objectives if m.stage == "built"]
        finished = _finished(history, epochs)
        for other in (*finished, *([history.baseline] if history.baseline else [])):
            cheaper = all(other.built[name] <= built[name] for name in names)
            if cheaper and history.level(other, epochs) >= bound:
                reason = f"{what}: at best {bound:.4f} after {epochs} epochs, dominated by trial {other.number}"
                return StopDecision(reason, epoch, bound, other.number)
        return None

    def _ranked(self, history: History, known: ArchitectureHistory) -> StopDecision | None:
        """A pause unless the training is among the best third of all that reached its rung."""
        if any(best is known for best in best_third(history, known.epochs, self.objectives, also=known)):
            return None
        reason = f"paused after epoch {known.epochs}: not in the best third there"
        return StopDecision(reason, known.epochs, paused=True)


def _finished(history: History, epochs: int) -> list[ArchitectureHistory]:
    """Candidates trained for the whole budget."""
    return [k for k in history.candidates if k.complete and k.curve and epochs in k.curve]
