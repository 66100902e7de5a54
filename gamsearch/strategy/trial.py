"""One trial on its way: refused before training, recorded epoch by epoch, stopped or paused where there is reason."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import optuna
from optuna.trial import TrialState

from gamsearch.architecture import Architecture
from gamsearch.evaluation import Paused, TrialBudget, WorkerLeft
from gamsearch.metrics import METRICS
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.freeze_thaw import FreezeThaw
from gamsearch.strategy.stopping import StopDecision, StoppingPolicy
from gamsearch.study.history import ArchitectureHistory, History


def refuse_by_rules(trial: optuna.Trial, space: SearchSpace, architecture: Architecture) -> None:
    """Prune the trial of an architecture that a rule of the space refuses."""
    refusal = space.refusal(architecture)
    trial.set_constraint("rules", 1.0 if refusal else -1.0)
    if refusal:
        for limit in space.limits:  # not built, so not known; samplers want the same names in all trials
            trial.set_constraint(f"limit:{limit.metric}", 0.0)
        _refuse(trial, f"rule: {refusal}")


def refuse_by_limits(
    trial: optuna.Trial, space: SearchSpace, baseline: Mapping[str, float] | None, built: Mapping[str, float]
) -> None:
    """Check built metrics against the limits before any training; the baseline itself (None) is never refused."""
    broken = []
    for limit in space.limits:
        bound = limit.bound((baseline or built)[limit.metric])
        trial.set_constraint(f"limit:{limit.metric}", built[limit.metric] - bound)
        if built[limit.metric] > bound:
            unit = METRICS[limit.metric].unit
            broken.append(f"{limit.metric} {built[limit.metric]:.4g} {unit} is above {bound:.4g} ({limit.text})")
    if broken and baseline is not None:
        _refuse(trial, "limit: " + "; ".join(broken))


def _refuse(trial: optuna.Trial, reason: str) -> NoReturn:
    trial.set_user_attr("reason", reason)
    trial.set_user_attr("feasible", False)
    raise optuna.TrialPruned


@dataclass(frozen=True)
class TrialContext:
    """What every training of a search goes by; `freeze_thaw` is None where the sampler does not pause trainings.

    `leaving` tells whether this worker was asked to end after its epoch.
    """

    space: SearchSpace
    budget: TrialBudget
    history: History
    policy: StoppingPolicy
    freeze_thaw: FreezeThaw | None
    show: Callable[[int, int, Mapping[str, float]], None]
    leaving: Callable[[], bool] = lambda: False


class TrialReporter:
    """The training of one trial as the search sees it: `curve` grows with every report.

    `known` is what an earlier, paused trial of the architecture left.
    """

    def __init__(
        self, context: TrialContext, trial: optuna.Trial, architecture: Architecture, known: ArchitectureHistory | None
    ):
        self.context, self.trial, self.known = context, trial, known
        self.budget = replace(context.budget, done=known.epochs if known else 0)
        now = known or ArchitectureHistory(architecture, trial.number, TrialState.RUNNING)
        self.now = replace(now, curve=dict(now.curve), built=dict(now.built), paused=True, state=TrialState.RUNNING)
        self.trained = 0
        self.begun = time.monotonic()
        begun = sum(bool(k.curve) for k in context.history.candidates)
        self.spared = architecture.is_baseline or (known is None and context.policy.stopping.spares(begun))

    @property
    def curve(self) -> list[dict[str, float]]:
        """All epochs so far, those of an earlier, paused trial included."""
        return [{"epoch": epoch, **self.now.curve[epoch]} for epoch in sorted(self.now.curve)]

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record what an epoch measured; refuse, stop or pause where there is reason to."""
        if epoch == 0:
            self._built(metrics)
            return
        self.now.curve = {e: known for e, known in self.now.curve.items() if e < epoch}  # it may have begun again
        self.trained += 1
        if metrics:
            self.now.curve[epoch] = dict(metrics)
        self.context.show(epoch, self.budget.epochs, metrics)
        if epoch in self.budget.rungs and epoch > self.budget.done and not self.spared:
            self._stop(self._after_rung())
        if self.context.leaving() and epoch < self.budget.epochs:
            raise WorkerLeft

    def _built(self, metrics: Mapping[str, float]) -> None:
        """Record the built metrics and what was foreseen of them; refuse or screen."""
        context, architecture = self.context, self.now.architecture
        self.trial.set_user_attr("built", dict(metrics))
        self.now.built.update(metrics)
        if self.known is None and not architecture.is_baseline and context.freeze_thaw is not None:
            self.trial.set_user_attr("foreseen", dict(context.freeze_thaw.predict_costs(architecture) or {}))
        baseline = context.history.baseline
        refuse_by_limits(self.trial, context.space, baseline.built if baseline else None, metrics)
        if not self.spared and self.known is None:
            self._stop(context.policy.screen(context.history, architecture, self.now.built, self.budget.epochs))

    def _after_rung(self) -> StopDecision | None:
        context = self.context
        stop = context.policy.after_rung(context.history, self.now, self.budget.epochs)
        return stop or (
            context.freeze_thaw.pause(context.history, self.now) if context.freeze_thaw is not None else None
        )

    def _stop(self, stop: StopDecision | None) -> None:
        if stop is None:
            return
        self.trial.set_user_attr("reason", stop.reason)
        self.trial.set_user_attr("stop", stop.to_dict())
        self.trial.set_user_attr("feasible", True)
        raise Paused if stop.paused else optuna.TrialPruned

    def keep(self) -> None:
        """Record the curve and what it cost, however the training ended."""
        self.trial.set_user_attr("epochs_trained", self.trained)
        self.trial.set_user_attr("took", round(time.monotonic() - self.begun, 3))
        if self.trained:
            self.trial.set_user_attr("curve", self.curve)
