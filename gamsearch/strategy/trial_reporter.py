"""One training as the search follows it: recorded epoch by epoch, refused, stopped or paused where there is reason."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import optuna
from optuna.trial import TrialState

from gamsearch.architecture import Architecture
from gamsearch.evaluation import Paused, WorkerLeft
from gamsearch.signals import stop_request
from gamsearch.strategy.refusals import refuse_by_limits
from gamsearch.strategy.search_context import SearchContext
from gamsearch.strategy.sharing import has_ended
from gamsearch.strategy.stopping import StopDecision
from gamsearch.study.history import ArchitectureHistory


@dataclass(frozen=True)
class TrialContext:
    """One trial of a search.

    Attributes:
        search: The search.
        trial: The running trial.
        architecture: What it evaluates.
        known: What earlier, paused trials of the architecture measured; None if there are none.
    """

    search: SearchContext
    trial: optuna.Trial
    architecture: Architecture
    known: ArchitectureHistory | None

    @property
    def has_ended(self) -> bool:
        """Whether other workers ended the trial because they consider this one dead."""
        return has_ended(self.search.study, self.trial.number)

    @property
    def leaving(self) -> bool:
        """Whether the training must end after the current epoch, whatever it measured."""
        registry = self.search.registry
        return registry.leaving or (bool(registry.id) and self.has_ended)


class TrialReporter:
    """Takes the reports of one training; `curve` grows with each."""

    def __init__(self, context: TrialContext):
        search, known = context.search, context.known
        self.context, self.search, self.trial = context, search, context.trial
        self.budget = replace(search.plan.trial_budget, done=known.epochs if known else 0)
        now = known or ArchitectureHistory(context.architecture, context.trial.number, TrialState.RUNNING)
        self.now = replace(now, curve=dict(now.curve), built=dict(now.built), paused=True, state=TrialState.RUNNING)
        self.trained = 0
        self.begun = time.monotonic()
        begun = sum(bool(k.curve) for k in search.history.candidates)
        self.never_stopped = (
            context.architecture.is_baseline
            or "imported" in context.trial.user_attrs
            or (known is None and search.plan.stopping.never_stops(begun))
            or search.plan.trains_to_the_end(search.used, self.budget.epochs - self.budget.done)
        )

    @property
    def curve(self) -> list[dict[str, float]]:
        """All epochs so far, those of earlier, paused trials included."""
        return [{"epoch": epoch, **self.now.curve[epoch]} for epoch in sorted(self.now.curve)]

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record what an epoch measured; refuse, stop or pause where there is reason to (see `EpochReport`)."""
        with stop_request.deferred():
            self._record(epoch, metrics)

    def _record(self, epoch: int, metrics: Mapping[str, float]) -> None:
        if epoch == 0:
            self._report_built(metrics)
            return
        self.now.curve = {e: known for e, known in self.now.curve.items() if e < epoch}  # it may have started over
        self.trained += 1
        if metrics:
            self.now.curve[epoch] = dict(metrics)
        self.search.progress.epoch(epoch, self.budget.epochs, metrics)
        if epoch in self.budget.rungs and epoch > self.budget.done and not self.never_stopped:
            self._obey(self._after_rung())
        if self.context.leaving and epoch < self.budget.epochs:
            raise WorkerLeft

    def _report_built(self, metrics: Mapping[str, float]) -> None:
        """Record the built metrics beside their predictions; refuse by limits or screen."""
        search, architecture, known = self.search, self.context.architecture, self.context.known
        self.trial.set_user_attr("built", dict(metrics))
        self.now.built.update(metrics)
        foreseeable = not architecture.is_baseline and architecture in search.plan.space
        if known is None and foreseeable and search.freeze_thaw is not None:
            self.trial.set_user_attr("foreseen", dict(search.freeze_thaw.predict_costs(architecture) or {}))
        baseline = search.history.baseline
        refuse_by_limits(self.trial, search.plan.space, baseline.built if baseline else None, metrics)
        if not self.never_stopped and known is None:
            self._obey(search.policy.screen(search.history, architecture, self.now.built, self.budget.epochs))

    def _after_rung(self) -> StopDecision | None:
        search = self.search
        search.history.update()
        stop = search.policy.after_rung(search.history, self.now, self.budget.epochs)
        if stop is None and search.freeze_thaw is not None:
            return search.freeze_thaw.pause(search.history, self.now)
        return stop

    def _obey(self, stop: StopDecision | None) -> None:
        if stop is None:
            return
        self.trial.set_user_attr("reason", stop.reason)
        self.trial.set_user_attr("stop", stop.to_dict())
        self.trial.set_user_attr("feasible", True)
        raise Paused if stop.paused else optuna.TrialPruned

    def record_cost(self) -> None:
        """Record the curve and what it cost, however the training ended."""
        self.trial.set_user_attr("epochs_trained", self.trained)
        self.trial.set_user_attr("took", round(time.monotonic() - self.begun, 3))
        if self.trained:
            self.trial.set_user_attr("curve", self.curve)
