"""One trial on its way: refused before training, recorded epoch by epoch, stopped or paused where there is reason."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import optuna
from optuna.trial import TrialState

from gamsearch.architecture import Architecture
from gamsearch.evaluation import Budget, Left, Paused
from gamsearch.metrics import METRICS
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.freeze_thaw import Thaw
from gamsearch.strategy.stopping import Judge, Stop
from gamsearch.study.history import Evidence, Known


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
class Course:
    """What every training of a search goes by; `thaw` is None where the sampler does not pause trainings.

    `leaving` tells whether this worker was asked to end after its epoch.
    """

    space: SearchSpace
    budget: Budget
    evidence: Evidence
    judge: Judge
    thaw: Thaw | None
    show: Callable[[int, int, Mapping[str, float]], None]
    leaving: Callable[[], bool] = lambda: False


class Training:
    """The training of one trial as the search sees it: `curve` grows with every report.

    `known` is what an earlier, paused trial of the architecture left.
    """

    def __init__(self, course: Course, trial: optuna.Trial, architecture: Architecture, known: Known | None):
        self.course, self.trial, self.known = course, trial, known
        self.budget = replace(course.budget, done=known.epochs if known else 0)
        now = known or Known(architecture, trial.number, TrialState.RUNNING)
        self.now = replace(now, curve=dict(now.curve), built=dict(now.built), paused=True, state=TrialState.RUNNING)
        self.trained = 0
        self.begun = time.monotonic()
        begun = sum(bool(k.curve) for k in course.evidence.candidates)
        self.spared = architecture.is_baseline or (known is None and course.judge.stopping.spares(begun))

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
        self.course.show(epoch, self.budget.epochs, metrics)
        if epoch in self.budget.rungs and epoch > self.budget.done and not self.spared:
            self._stop(self._after_rung())
        if self.course.leaving() and epoch < self.budget.epochs:
            raise Left

    def _built(self, metrics: Mapping[str, float]) -> None:
        """Record the built metrics and what was foreseen of them; refuse or screen."""
        course, architecture = self.course, self.now.architecture
        self.trial.set_user_attr("built", dict(metrics))
        self.now.built.update(metrics)
        if self.known is None and not architecture.is_baseline and course.thaw is not None:
            self.trial.set_user_attr("foreseen", dict(course.thaw.foresee(architecture) or {}))
        baseline = course.evidence.baseline
        refuse_by_limits(self.trial, course.space, baseline.built if baseline else None, metrics)
        if not self.spared and self.known is None:
            self._stop(course.judge.screen(course.evidence, architecture, self.now.built, self.budget.epochs))

    def _after_rung(self) -> Stop | None:
        course = self.course
        stop = course.judge.after_rung(course.evidence, self.now, self.budget.epochs)
        return stop or (course.thaw.pause(course.evidence, self.now) if course.thaw is not None else None)

    def _stop(self, stop: Stop | None) -> None:
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
