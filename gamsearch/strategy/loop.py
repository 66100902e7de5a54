"""The search loop: try candidates until there is a reason to stop, alone or together with other workers."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import optuna
from optuna.trial import FrozenTrial, TrialState

from gamsearch.errors import CandidateFailed, GamsearchError
from gamsearch.evaluation import Evaluator
from gamsearch.signals import stop_request
from gamsearch.strategy import controls, proposals
from gamsearch.strategy.ending import reason_to_stop
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.progress import Progress, gain_of, outcome_of
from gamsearch.strategy.search_context import SearchContext, open_context
from gamsearch.strategy.sharing import await_turn, has_ended
from gamsearch.strategy.trial import run_trial
from gamsearch.study import recovery, store
from gamsearch.study.single_worker import SingleWorker

REPEATS_BEFORE_MUTATION = 3
ASKS_PER_TRIAL = 30

AfterTrial = Callable[[optuna.Study, FrozenTrial], None]


def search(
    study: optuna.Study,
    plan: Plan,
    evaluator: Evaluator,
    progress: Progress,
    registry: SingleWorker | None = None,
    opened: Callable[[], None] = lambda: None,
) -> str:
    """Search until the plan is fulfilled. The study's storage holds all results at any moment.

    With a `registry` this worker shares the study with others. The one that leads evaluates trial 0, enqueues the hand
    placements and opens the study; the others must wait for that. From then on all do the same.

    Args:
        study: Where everything is recorded; a study that holds trials already is resumed.
        plan: What the search is to do.
        evaluator: Measures architectures.
        progress: Displays what happens.
        registry: The workers of the study; None if there is only this one.
        opened: Called just before the study is opened to other workers.

    Returns:
        Why the search ended.

    Raises:
        RunError: The baseline cannot be evaluated, several candidates in a row failed, or a file cannot be used.
        OptionError: There is no such sampler, or it cannot search this space.
        KeyboardInterrupt: This worker was asked to leave.
    """
    plan, registry = plan.with_rungs(), registry or SingleWorker()
    if registry.leads:
        recovery.release_interrupted(study, registry)
    context = open_context(study, plan, evaluator, progress, registry)
    if registry.leads:
        _open_study(context, opened)
    noise = controls.measure_noise(context)
    context = replace(context, policy=replace(context.policy, noise=noise))
    why = _search_until_done(context)
    controls.confirm_best(context)
    return why


def _open_study(context: SearchContext, opened: Callable[[], None]) -> None:
    """Do what must be done once, before other workers take part."""
    controls.require_baseline(context, partial(_evaluate_baseline, context))
    proposals.enqueue_anchors(context.study, context.plan, context.evaluator.predict_costs)
    if context.freeze_thaw is not None and context.plan.search_budget.amount:
        # so that this worker alone measures the latency table
        context.evaluator.predict_costs(context.plan.space.baseline)
    opened()
    context.study.set_user_attr("open", True)


def _evaluate_baseline(context: SearchContext) -> None:
    """Run the trial of the baseline: nothing else is enqueued before, so one that is enqueued again comes first."""
    if not store.trials(context.study, TrialState.WAITING):
        context.study.enqueue_trial(context.plan.space.encode(context.plan.space.baseline))
    _optimize(context, 1)


def _search_until_done(context: SearchContext) -> str:
    """Try candidates until there is a reason to stop and no other worker runs one; return the reason."""
    n_trials, exhausted = context.plan.trials * ASKS_PER_TRIAL + 100, False
    while True:
        stop_request.check()
        again = not exhausted or bool(store.trials(context.study, TrialState.WAITING))
        if await_turn(context) and again and _optimize(context, n_trials, partial(_after_trial, context)):
            context.history.update()
            exhausted = reason_to_stop(context) is None
        if context.registry.leaving:
            raise KeyboardInterrupt
        if not context.claims.busy():
            if (why := reason_to_stop(context)) is not None:
                return why
            if exhausted and not store.trials(context.study, TrialState.WAITING):
                return "the sampler proposed nothing new any more"
        context.registry.wait()


def _optimize(context: SearchContext, n_trials: int, after_trial: AfterTrial | None = None) -> bool:
    """Run trials; return False if other workers considered this one dead.

    They have then ended its trial and enqueued it again, so its result cannot be recorded.
    """
    begun: list[int] = []
    recorded: list[int] = []

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        begun.append(trial.number)
        return run_trial(context, trial)

    def after(study: optuna.Study, trial: FrozenTrial) -> None:
        recorded.append(trial.number)
        if after_trial is not None:
            after_trial(study, trial)

    try:
        with warnings.catch_warnings(), stop_request.deferred():  # Optuna's `tell` hides what interrupts it
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            context.study.optimize(objective, n_trials=n_trials, catch=(CandidateFailed,), callbacks=[after])
    except (ValueError, AssertionError, optuna.exceptions.UpdateFinishedTrialError) as error:
        cause: BaseException | None = error
        while cause is not None:  # Optuna asserts that `tell` succeeded, which hides why it did not
            if isinstance(cause, GamsearchError):
                raise cause from error
            cause = cause.__context__
        if not begun or begun[-1] in recorded or not has_ended(context.study, begun[-1]):
            raise  # what a callback raises comes after the result is recorded
        return False
    return True


def _after_trial(context: SearchContext, study: optuna.Study, trial: FrozenTrial) -> None:
    """Report the trial, enqueue what the sampler would not propose, and end the search if there is reason to."""
    gain = gain_of(trial, context.history, context.plan.trial_budget.epochs)
    context.progress.ended(trial.number, outcome_of(trial), gain)
    context.streaks.count(trial)
    stop_request.check()
    if context.streaks.repeats >= REPEATS_BEFORE_MUTATION:
        proposals.enqueue_neighbour(study, context.plan, context.history, trial.number)
    elif context.plan.stopping.by_rank:
        proposals.enqueue_promoted(study, context.plan, context.history)
    if "recalled_from" in trial.user_attrs and context.claims.busy():
        context.registry.wait()  # what is left to try may be exactly what other workers are running
    if not await_turn(context):
        study.stop()
