"""The search loop: ask, refuse what is inadmissible before training, recall what is known, evaluate, record.

Stops when enough candidates were evaluated, when every architecture of the space is known, or when the sampler proposes
nothing new any more; each end has its reason.
"""

import random
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from gamsearch import pareto
from gamsearch import study as records
from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, RunError, SpaceError
from gamsearch.evaluation import Budget, Evaluator, Measurement
from gamsearch.metrics import METRICS
from gamsearch.samplers import STARTUP_TRIALS, sampler_named
from gamsearch.space import SearchSpace

REPEATS_BEFORE_MUTATION = 3
ERRORS_BEFORE_STOP = 3
ASKS_PER_TRIAL = 30


class Progress(Protocol):
    """What a search tells while it runs; `gamsearch.progress` shows it."""

    def started(self, number: int, label: str, evaluated: int, trials: int) -> None: ...
    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None: ...
    def ended(self, number: int, outcome: str, gain: float | None) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What a search is to do: the space, the budget of one trial, how many trials, by which sampler.

    `noise_seeds` is the number of seeds at which the baseline control is measured (trial 0's included).
    """

    space: SearchSpace
    budget: Budget
    trials: int
    sampler: str = "auto"
    noise_seeds: int = 3


def search(study: optuna.Study, plan: Plan, evaluator: Evaluator, progress: Progress) -> str:
    """Run until the plan is fulfilled and return why it ended. Everything is in the study's storage at any moment."""
    records.release_interrupted(study)
    seed = plan.budget.seed + len(records.trials(study))  # a resumed search must not draw the same again
    study.sampler = sampler_named(plan.sampler)(len(plan.space.sites), plan.trials, seed)
    run = _Search(study, plan, evaluator, progress)
    run.baseline()
    _enqueue_anchors(study, plan)
    if run.reason_to_stop() is None:
        run.optimise(plan.trials * ASKS_PER_TRIAL + 100, [run.after_trial])
    why = run.reason_to_stop() or "the sampler proposed nothing new any more"
    run.confirm()
    return why


def _enqueue_anchors(study: optuna.Study, plan: Plan) -> None:
    """Once per study: the published hand placements, then sparse random draws up to the start-up trials."""
    if study.user_attrs.get("anchors_enqueued"):
        return
    space, anchors = plan.space, [] if plan.sampler == "brute" else plan.space.anchors()
    for architecture in anchors:
        study.enqueue_trial(space.encode(architecture), user_attrs={"anchor": True})
    if plan.sampler in ("tpe", "nsga2", "auto", "gp"):
        rng, known = random.Random(plan.budget.seed), {a.key for a in anchors}
        for _ in range(STARTUP_TRIALS - len(anchors)):
            architecture = space.draw(rng)
            if architecture.key not in known:
                study.enqueue_trial(space.encode(architecture))
                known.add(architecture.key)
    study.set_user_attr("anchors_enqueued", True)


class _Search:
    """State of one call of `search`: how many repeats and errors came in a row."""

    def __init__(self, study: optuna.Study, plan: Plan, evaluator: Evaluator, progress: Progress):
        self.study, self.plan, self.evaluator, self.progress = study, plan, evaluator, progress
        self.repeats = self.errors = 0
        self.last_error = ""

    def optimise(self, n_trials: int, callbacks: list[Callable[[optuna.Study, FrozenTrial], None]]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.optimize(self.objective, n_trials=n_trials, catch=(CandidateFailed,), callbacks=callbacks)

    # the baseline ------------------------------------------------------------------------------------------------
    def baseline(self) -> None:
        """Evaluate the stock detector and its control at the other noise seeds, as far as the record lacks them.

        Nothing else is in the queue before the baseline is complete, so that an interrupted or failed one comes first.
        """
        if records.baseline_trial(self.study) is None:
            if not records.trials(self.study, TrialState.WAITING):
                self.study.enqueue_trial(self.plan.space.encode(self.plan.space.baseline))
            self.optimise(1, [])
        control = records.baseline_trial(self.study)
        if control is None:
            reason = records.trials(self.study)[-1].user_attrs.get("reason", "unknown")
            raise RunError(f"the baseline could not be evaluated ({reason}), so nothing can be compared with it")
        if "reference_point" not in self.study.user_attrs:
            point = pareto.reference_point(control.values, records.objectives_of(self.study))
            self.study.set_user_attr("reference_point", list(point))
        first = {**control.user_attrs["measurement"]["metrics"], "seed": self.plan.budget.seed}
        seeds = self.study.user_attrs.get("baseline_seeds", [first])
        self.study.set_user_attr("baseline_seeds", seeds)
        while len(seeds) < self.plan.noise_seeds:
            try:
                seeds.append(self._at_seed(self.plan.space.baseline, 0, self.plan.budget.seed + len(seeds)))
            except CandidateFailed as failure:
                raise RunError(f"the baseline failed at another seed ({failure}), so its noise is unknown") from failure
            self.study.set_user_attr("baseline_seeds", seeds)

    def _at_seed(self, architecture: Architecture, number: int, seed: int) -> dict[str, float]:
        """The metrics of an architecture at another seed; whatever goes wrong is a `CandidateFailed`."""
        done = min(len(records.evaluated(self.study)), self.plan.trials)
        self.progress.started(number, f"{architecture.label}, seed {seed}", done, self.plan.trials)
        try:
            measurement = self.evaluator.evaluate(architecture, replace(self.plan.budget, seed=seed), self._show_epoch)
        except CandidateFailed:
            raise
        except Exception as error:
            raise CandidateFailed("error", f"{type(error).__name__}: {error}") from error
        return {**measurement.metrics, "seed": seed}

    def _show_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        if epoch:
            self.progress.epoch(epoch, self.plan.budget.epochs, metrics)

    def confirm(self) -> None:
        """Train the best candidate at the baseline's other seeds as far as the record lacks them.

        The best of many gains at one seed is too good by selection; its paired gains at other seeds are not.
        """
        best = records.record(self.study, "").candidates.head(1)
        if best.empty or best["map50_95_gain"].iloc[0] <= 0:
            return
        key, architecture = best["key"].iloc[0], Architecture.from_dict(best["architecture"].iloc[0])
        kept = self.study.user_attrs.get("confirmations", {})
        done = kept.setdefault(key, [])
        for control in self.study.user_attrs["baseline_seeds"][1 + len(done) :]:
            try:
                done.append(self._at_seed(architecture, int(best["number"].iloc[0]), int(control["seed"])))
            except CandidateFailed as failure:
                self.progress.ended(int(best["number"].iloc[0]), f"not confirmed: {failure}", None)
                return
            self.study.set_user_attr("confirmations", kept)

    # one trial ---------------------------------------------------------------------------------------------------
    def objective(self, trial: optuna.Trial) -> tuple[float, ...]:
        architecture = self.plan.space.sample(trial.suggest_int)
        self._describe(trial, architecture)
        twin = records.recall(self.study, architecture.key, trial.number)
        if twin is not None:
            return self._answer_from(trial, twin)
        self._refuse_by_rules(trial, architecture)
        done = len(records.evaluated(self.study))
        self.progress.started(trial.number, architecture.label, done, self.plan.trials)
        measurement = self._evaluate(trial, architecture)
        trial.set_user_attr("measurement", measurement.to_dict())
        trial.set_user_attr("feasible", True)
        return tuple(measurement.metrics[m.name] for m in records.objectives_of(self.study))

    def _describe(self, trial: optuna.Trial, architecture: Architecture) -> None:
        for name, value in {
            "architecture": architecture.to_dict(),
            "key": architecture.key,
            "label": architecture.label,
            "seed": self.plan.budget.seed,
            "started": round(time.time(), 1),
        }.items():
            trial.set_user_attr(name, value)

    def _answer_from(self, trial: optuna.Trial, twin: FrozenTrial) -> tuple[float, ...]:
        """Answer a repeat from the record: the values of a completed twin, PRUNED otherwise; never trained again."""
        trial.set_user_attr("recalled_from", twin.number)
        for name in ("built", "measurement", "feasible"):
            if name in twin.user_attrs:
                trial.set_user_attr(name, twin.user_attrs[name])
        for name, value in twin.constraints.items():
            trial.set_constraint(name, value)
        if twin.state == TrialState.COMPLETE:
            return tuple(twin.values)
        trial.set_user_attr("reason", f"repeats trial {twin.number}: {twin.user_attrs.get('reason', '')}")
        raise optuna.TrialPruned

    def _refuse_by_rules(self, trial: optuna.Trial, architecture: Architecture) -> None:
        refusal = self.plan.space.refusal(architecture)
        trial.set_constraint("rules", 1.0 if refusal else -1.0)
        if refusal:
            for limit in self.plan.space.limits:  # not built, so not known; samplers want the same names in all trials
                trial.set_constraint(f"limit:{limit.metric}", 0.0)
            self._refuse(trial, f"rule: {refusal}")

    def _refuse_by_limits(self, trial: optuna.Trial, built: Mapping[str, float]) -> None:
        """Check built metrics against the limits before any training; the baseline itself is never refused."""
        control = records.baseline_trial(self.study)
        baseline: Mapping[str, float] = control.user_attrs["measurement"]["metrics"] if control else built
        broken = []
        for limit in self.plan.space.limits:
            bound = limit.bound(baseline[limit.metric])
            trial.set_constraint(f"limit:{limit.metric}", built[limit.metric] - bound)
            if built[limit.metric] > bound:
                unit = METRICS[limit.metric].unit
                broken.append(f"{limit.metric} {built[limit.metric]:.4g} {unit} is above {bound:.4g} ({limit.text})")
        if broken and control is not None:
            self._refuse(trial, "limit: " + "; ".join(broken))

    def _refuse(self, trial: optuna.Trial, reason: str) -> None:
        trial.set_user_attr("reason", reason)
        trial.set_user_attr("feasible", False)
        raise optuna.TrialPruned

    def _evaluate(self, trial: optuna.Trial, architecture: Architecture) -> Measurement:
        """Evaluate, recording as it goes; whatever fails leaves its reason in the record."""
        curve: list[dict[str, Any]] = []

        def report(epoch: int, metrics: Mapping[str, float]) -> None:
            if epoch == 0:
                trial.set_user_attr("built", dict(metrics))
                self._refuse_by_limits(trial, metrics)
                return
            curve.append({"epoch": epoch, **metrics})
            self.progress.epoch(epoch, self.plan.budget.epochs, metrics)

        try:
            return self.evaluator.evaluate(architecture, self.plan.budget, report)
        except optuna.TrialPruned:
            raise
        except KeyboardInterrupt:
            trial.set_user_attr("reason", records.INTERRUPTED)
            raise
        except CandidateFailed as failure:
            trial.set_user_attr("reason", str(failure))
            trial.set_user_attr("curve", curve)
            raise
        except Exception as error:
            trial.set_user_attr("reason", f"error: {type(error).__name__}: {error}")
            trial.set_user_attr("traceback", traceback.format_exc())
            raise CandidateFailed("error", f"{type(error).__name__}: {error}") from error

    # between trials ----------------------------------------------------------------------------------------------
    def after_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._tell_progress(trial)
        self.repeats = self.repeats + 1 if "recalled_from" in trial.user_attrs else 0
        failed = trial.state == TrialState.FAIL and "traceback" in trial.user_attrs
        self.errors = self.errors + 1 if failed else 0
        self.last_error = trial.user_attrs.get("reason", "") if failed else self.last_error
        if self.repeats >= REPEATS_BEFORE_MUTATION:
            self._enqueue_neighbour(trial.number)
        if self.reason_to_stop() is not None:
            study.stop()

    def _tell_progress(self, trial: FrozenTrial) -> None:
        own = trial.user_attrs
        outcome = records.STATES[trial.state]
        if "recalled_from" in own:
            outcome = f"repeats trial {own['recalled_from']}"
        elif trial.state != TrialState.COMPLETE:
            outcome = f"{outcome}: {own.get('reason', '')}"
        gain = None
        control = records.baseline_trial(self.study)
        if trial.state == TrialState.COMPLETE and control is not None:
            ours, theirs = own["measurement"]["metrics"], control.user_attrs["measurement"]["metrics"]
            gain = ours["map50_95"] - theirs["map50_95"]
        self.progress.ended(trial.number, outcome, gain)

    def _enqueue_neighbour(self, number: int) -> None:
        """After several repeats in a row, propose a one-site change of a front member instead."""
        frame = records.table(self.study)
        members = frame[frame["on_front"]]["architecture"].tolist()
        rng = random.Random(self.plan.budget.seed * 1_000_003 + number)
        known = set(frame["key"])
        for _ in range(20):
            try:
                architecture = self.plan.space.neighbour(Architecture.from_dict(rng.choice(members)), rng)
            except SpaceError:
                return
            if architecture.key not in known:
                self.study.enqueue_trial(self.plan.space.encode(architecture))
                return

    def reason_to_stop(self) -> str | None:
        """Why the search ends now, or None if it goes on."""
        done = records.evaluated(self.study)
        if len(done) >= self.plan.trials:
            return f"{len(done)} candidates were evaluated"
        if self.errors >= ERRORS_BEFORE_STOP:
            raise RunError(f"{self.errors} candidates in a row failed, the last one with {self.last_error}")
        known = {t.user_attrs.get("key") for t in done} | self._refused_by_limits()
        if len(known) + 1 >= self.plan.space.size:
            return f"all {self.plan.space.size} architectures of the space are known"
        return None

    def _refused_by_limits(self) -> set[str]:
        pruned = records.trials(self.study, TrialState.PRUNED)
        return {t.user_attrs["key"] for t in pruned if str(t.user_attrs.get("reason", "")).startswith("limit")}
