"""The search loop: ask, refuse what is inadmissible before training, recall what is known, evaluate, record.

Stops when its allowance is used up, when every architecture of the space is known, or when the sampler proposes nothing
new any more; each end has its reason.
"""

import random
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite

import optuna
from optuna.trial import FrozenTrial, TrialState

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, GamsearchError, RunError
from gamsearch.evaluation import Evaluator, Measurement, Paused, WorkerLeft
from gamsearch.strategy import proposals
from gamsearch.strategy.controls import Controls
from gamsearch.strategy.freeze_thaw import FreezeThaw, FreezeThawSampler
from gamsearch.strategy.plan import Plan, Progress
from gamsearch.strategy.samplers import SamplerContext, sampler_named
from gamsearch.strategy.stopping import StoppingPolicy, seed_noise
from gamsearch.strategy.surrogate import Surrogates
from gamsearch.strategy.trial import TrialContext, TrialReporter, refuse_by_rules
from gamsearch.study import recovery, store
from gamsearch.study.claims import TrialClaims
from gamsearch.study.history import INTERRUPTED, ArchitectureHistory, History
from gamsearch.study.record import STATES
from gamsearch.study.workers import SingleWorker

REPEATS_BEFORE_MUTATION = 3
ERRORS_BEFORE_STOP = 3
ASKS_PER_TRIAL = 30


def search(
    study: optuna.Study,
    plan: Plan,
    evaluator: Evaluator,
    progress: Progress,
    registry: SingleWorker | None = None,
    opened: Callable[[], None] = lambda: None,
) -> str:
    """Run until the plan is fulfilled and return why it ended. Everything is in the study's storage at any moment.

    With a `registry` this worker shares the study with others: the one that leads evaluates trial 0, enqueues the hand
    placements and opens the study (`opened` is called just before), the others wait for
    that; from there on all do the same.
    """
    rungs = plan.stopping.rungs(plan.trial_budget.epochs)
    curve = plan.stopping.on or sampler_named(plan.sampler, plan.space).reads_curves
    plan = replace(plan, trial_budget=replace(plan.trial_budget, rungs=rungs, curve=curve))
    registry = registry or SingleWorker()
    if registry.leads:
        recovery.release_interrupted(study, registry)
    run = _Search(study, plan, evaluator, progress, registry)
    if registry.leads:
        run.controls.baseline(run.evaluate_baseline)
        proposals.enqueue_anchors(study, plan)
        run.measure_latencies()
        opened()
        study.set_user_attr("open", True)
    seeds = run.controls.noise(plan.space.baseline, plan.noise_seeds)
    run.policy = replace(run.policy, noise=seed_noise(seeds))
    why = run.together(plan.trials * ASKS_PER_TRIAL + 100)
    run.controls.confirm()
    return why


class _Search:
    """State of one call of `search`: what is known, how many repeats and errors came in a row."""

    def __init__(
        self, study: optuna.Study, plan: Plan, evaluator: Evaluator, progress: Progress, registry: SingleWorker
    ):
        self.study, self.plan, self.evaluator, self.progress = study, plan, evaluator, progress
        self.registry, self.claims = registry, TrialClaims(study, registry)
        self.objectives = store.objectives_of(study)
        self.history = History(study)
        surrogates = Surrogates(plan.space)
        self.policy = StoppingPolicy(plan.stopping, self.objectives, surrogates)
        self.controls = Controls(study, plan.trial_budget, evaluator, self, registry)
        seed = plan.seed + len(store.trials(study))  # a resumed search must not draw the same again
        seed += 0 if registry.leads else int(registry.id, 16) % 10**6  # nor one worker the same as the next
        rungs, epochs = plan.trial_budget.rungs, plan.trial_budget.epochs
        rng = random.Random(seed)
        self.freeze_thaw = FreezeThaw(
            plan.space, self.objectives, epochs, rungs, evaluator.predict_costs, rng, surrogates
        )
        context = SamplerContext(plan.space, plan.trials, seed, self.history, self.freeze_thaw)
        study.sampler = sampler_named(plan.sampler, plan.space).make(context)
        self.repeats = self.errors = 0
        self.current: int | None = None
        self.last_error = ""

    def optimise(self, n_trials: int, callbacks: list[Callable[[optuna.Study, FrozenTrial], None]]) -> bool:
        """Ask, evaluate, tell; return False if it ended because others took this worker for dead.

        Then its trial has been ended and enqueued anew, and nothing can be told of it any more.
        """
        self.current = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self.study.optimize(self.objective, n_trials=n_trials, catch=(CandidateFailed,), callbacks=callbacks)
        except (ValueError, AssertionError, optuna.exceptions.UpdateFinishedTrialError) as error:
            before: BaseException | None = error
            while before is not None:  # Optuna asserts that telling has worked, and hides why it has not
                if isinstance(before, GamsearchError):
                    raise before from error
                before = before.__context__
            if self.current is None or not self._is_ended(self.current):
                raise
            return False
        return True

    def _is_ended(self, number: int) -> bool:
        return store.trials(self.study)[number].state.is_finished()

    def evaluate_baseline(self) -> None:
        """Nothing else is in the queue before the baseline is complete, so an interrupted or failed one comes first."""
        if not store.trials(self.study, TrialState.WAITING):
            self.study.enqueue_trial(self.plan.space.encode(self.plan.space.baseline))
        self.optimise(1, [])

    def measure_latencies(self) -> None:
        """Have the latency table made before other workers need it, if the sampler asks for it at all."""
        if isinstance(self.study.sampler, FreezeThawSampler):
            self.evaluator.predict_costs(self.plan.space.baseline)

    # with other workers ------------------------------------------------------------------------------------------
    def together(self, n_trials: int) -> str:
        """Try candidates until there is reason to stop and no other worker is at work on one any more; return why."""
        exhausted = False
        while True:
            again = not exhausted or bool(store.trials(self.study, TrialState.WAITING))
            if self.await_turn() and again and self.optimise(n_trials, [self.after_trial]):
                exhausted = self.reason_to_stop() is None
            if self.registry.leaving:
                raise KeyboardInterrupt
            if not self.claims.busy():
                if (why := self.reason_to_stop()) is not None:
                    return why
                if exhausted and not store.trials(self.study, TrialState.WAITING):
                    return "the sampler proposed nothing new any more"
            self.registry.wait()

    def await_turn(self) -> bool:
        """Wait while what others are at work on may use up the rest; return whether there is something left to try."""
        while not self.registry.leaving:
            self.claims.sweep()
            if self.reason_to_stop() is not None:
                return False
            busy = self.claims.busy()
            if not busy or self.reason_to_stop(busy) is None:
                return True
            self.registry.wait()
        return False

    def one_too_many(self, trial: optuna.Trial) -> int | None:
        """The number of an earlier trial that uses up the rest of the allowance, or None.

        Two workers can see room for one more trial at the same time; the later trial gives way, unless it was in the
        queue, from which nothing may be lost.
        """
        earlier = [t for t in self.claims.busy() if t.number < trial.number]
        queued = "fixed_params" in store.trials(self.study)[trial.number].system_attrs
        if not earlier or queued or self.reason_to_stop(earlier) is None:
            return None
        return earlier[-1].number

    # what the controls show ----------------------------------------------------------------------------------------
    def started(self, number: int, label: str) -> None:
        self.progress.started(number, label, self.used, self.plan.search_budget)

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        self.progress.epoch(epoch, epochs, metrics)

    def ended(self, number: int, outcome: str, gain: float | None) -> None:
        self.progress.ended(number, outcome, gain)

    # one trial ---------------------------------------------------------------------------------------------------
    def objective(self, trial: optuna.Trial) -> tuple[float, ...]:
        self.current = trial.number
        architecture = self.plan.space.sample(trial.suggest_int)
        self._describe(trial, architecture)
        twin = recovery.earlier_retry(self.study, trial)
        if twin is None:
            twin = self.claims.claim(trial, architecture.key)
        if twin is None:
            twin = self.one_too_many(trial)
        if twin is not None:
            return self._answer_from(trial, store.trials(self.study)[twin])
        known = self.history.update().architectures.get(architecture.key)
        if known is not None and known.settled:
            return self._answer_from(trial, store.trials(self.study)[known.number])
        refuse_by_rules(trial, self.plan.space, architecture)
        if known is not None:
            trial.set_user_attr("resumes", known.number)
        self.started(trial.number, architecture.label)
        measurement = self._evaluate(trial, architecture, known)
        values = tuple(measurement.metrics[m.name] for m in self.objectives)
        if not all(map(isfinite, values)):
            trial.set_user_attr("reason", f"nan: an objective is not finite: {values}")
            raise CandidateFailed("nan", f"an objective is not finite: {values}")
        trial.set_user_attr("measurement", measurement.to_dict())
        trial.set_user_attr("feasible", True)
        return values

    def _describe(self, trial: optuna.Trial, architecture: Architecture) -> None:
        for name, value in {
            **({"worker": self.registry.id} if self.registry.id else {}),
            "architecture": architecture.to_dict(),
            "key": architecture.key,
            "label": architecture.label,
            "seed": self.plan.trial_budget.seed,
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

    def _evaluate(
        self, trial: optuna.Trial, architecture: Architecture, known: ArchitectureHistory | None
    ) -> Measurement:
        """Evaluate, recording as it goes; whatever ends it early leaves its reason and its curve in the record."""
        freeze_thaw = self.freeze_thaw if isinstance(self.study.sampler, FreezeThawSampler) else None
        context = TrialContext(
            *(self.plan.space, self.plan.trial_budget, self.history, self.policy, freeze_thaw, self.progress.epoch),
            leaving=lambda: self.registry.leaving or (bool(self.registry.id) and self._is_ended(trial.number)),
        )
        reporter = TrialReporter(context, trial, architecture, known)
        try:
            measurement = self.evaluator.evaluate(architecture, reporter.budget, reporter.report)
            return replace(measurement, curve=reporter.curve)
        except WorkerLeft as left:
            if self._is_ended(trial.number):  # by others, who took this worker for dead
                raise optuna.TrialPruned from left
            trial.set_user_attr("reason", INTERRUPTED)
            raise KeyboardInterrupt from left
        except Paused as pause:
            raise optuna.TrialPruned from pause
        except optuna.TrialPruned:
            raise
        except (KeyboardInterrupt, GamsearchError):  # the user's to mend, not the candidate's
            trial.set_user_attr("reason", INTERRUPTED)
            raise
        except CandidateFailed as failure:
            trial.set_user_attr("reason", str(failure))
            raise
        except OSError as error:  # the machine's, not the candidate's
            trial.set_user_attr("reason", INTERRUPTED)
            where = error.filename or "a file"
            raise RunError(
                f"{where} cannot be used ({error.strerror or error}); mend that, then the same command goes on"
            ) from error
        except Exception as error:
            trial.set_user_attr("reason", f"error: {type(error).__name__}: {error}")
            trial.set_user_attr("traceback", traceback.format_exc())
            raise CandidateFailed("error", f"{type(error).__name__}: {error}") from error
        finally:
            reporter.keep()

    # between trials ----------------------------------------------------------------------------------------------
    def after_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._tell_progress(trial)
        self.repeats = self.repeats + 1 if "recalled_from" in trial.user_attrs else 0
        failed = trial.state == TrialState.FAIL and "traceback" in trial.user_attrs
        self.errors = self.errors + 1 if failed else 0
        self.last_error = trial.user_attrs.get("reason", "") if failed else self.last_error
        if self.repeats >= REPEATS_BEFORE_MUTATION:
            proposals.enqueue_neighbour(study, self.plan, self.history, trial.number)
        elif self.plan.stopping.by_rank:
            proposals.enqueue_promoted(study, self.plan, self.history, self.policy)
        if "recalled_from" in trial.user_attrs and self.claims.busy():
            self.registry.wait()  # perhaps all that is left is what others are at work on
        if not self.await_turn():
            study.stop()

    def _tell_progress(self, trial: FrozenTrial) -> None:
        own = trial.user_attrs
        outcome = STATES[trial.state.name]
        if "recalled_from" in own:
            outcome = f"repeats trial {own['recalled_from']}"
        elif trial.state != TrialState.COMPLETE:
            outcome = f"{outcome}: {own.get('reason', '')}"
        gain = None
        control = self.history.update().baseline
        if trial.state == TrialState.COMPLETE and control is not None:
            gain = own["measurement"]["metrics"]["map50_95"] - control.curve[self.plan.trial_budget.epochs]["map50_95"]
        self.progress.ended(trial.number, outcome, gain)

    @property
    def used(self) -> float:
        """How much of the allowance is used up; a failed candidate counts as a full training."""
        history, each = self.history.update(), self.plan.trial_budget.epochs
        return self.plan.search_budget.used(history.charged(each), each, history.seconds)

    def reason_to_stop(self, busy: Sequence[FrozenTrial] = ()) -> str | None:
        """Why the search ends now, or None if it goes on; `busy` trials count as if they were trained to the end."""
        if self.errors >= ERRORS_BEFORE_STOP:
            raise RunError(f"{self.errors} candidates in a row failed, the last one with {self.last_error}")
        each, search_budget = self.plan.trial_budget.epochs, self.plan.search_budget
        used = self.used + search_budget.used(each * len(busy), each, 0.0)
        begun = [k for k in self.history.candidates if k.curve or k.state == TrialState.FAIL]
        if used >= search_budget.amount:
            spent = f", {self.history.spent} epochs in all" if self.plan.stopping.on else ""
            return f"{len(begun)} candidates were evaluated{spent}"
        settled = [k for k in self.history.candidates if k.settled and not k.reason.startswith("rule")]
        if len(settled) + len({t.user_attrs.get("key") for t in busy}) + 1 >= self.plan.space.size:
            return f"all {self.plan.space.size} architectures of the space are known"
        return None
