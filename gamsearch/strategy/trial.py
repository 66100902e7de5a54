"""One trial: ask for an architecture; refuse it, recall it or evaluate it; record the result."""

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import isfinite

import optuna
from optuna.trial import FrozenTrial, TrialState

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, GamsearchError, RunError
from gamsearch.evaluation import Measurement, Paused, WorkerLeft
from gamsearch.signals import stop_request
from gamsearch.strategy.refusals import refuse_by_rules
from gamsearch.strategy.search_context import SearchContext
from gamsearch.strategy.sharing import claim
from gamsearch.strategy.trial_reporter import TrialContext, TrialReporter
from gamsearch.study.interruptions import INTERRUPTED


def run_trial(context: SearchContext, trial: optuna.Trial) -> tuple[float, ...]:
    """Run one trial and return its objectives; a trial without them raises what Optuna expects for its state."""
    proposed = context.plan.space.sample(trial.suggest_int)
    imported = "imported" in trial.user_attrs
    architecture = Architecture.from_dict(trial.user_attrs["architecture"]) if imported else proposed
    _describe(context, trial, architecture)
    twin = claim(context, trial, architecture.key)
    if twin is not None:
        return _recall(trial, context.history.update().trials[twin])
    known = context.history.architectures.get(architecture.key)
    if known is not None and known.settled:
        return _recall(trial, context.history.trials[known.number])
    refuse_by_rules(trial, context.plan.space, context.plan.space.baseline if imported else architecture)
    if known is not None:
        trial.set_user_attr("resumes", known.number)
    context.report_start(trial.number, architecture.label)
    measurement = _evaluate(TrialContext(context, trial, architecture, known))
    values = tuple(measurement.metrics[m.name] for m in context.objectives)
    if not all(map(isfinite, values)):
        trial.set_user_attr("reason", f"nan: an objective is not finite: {values}")
        raise CandidateFailed("nan", f"an objective is not finite: {values}")
    trial.set_user_attr("measurement", measurement.to_dict())
    trial.set_user_attr("feasible", True)
    return values


def _describe(context: SearchContext, trial: optuna.Trial, architecture: Architecture) -> None:
    for name, value in {
        **({"worker": context.registry.id} if context.registry.id else {}),
        "architecture": architecture.to_dict(),
        "key": architecture.key,
        "label": architecture.label,
        "seed": context.plan.trial_budget.seed,
        "started": round(time.time(), 1),
    }.items():
        trial.set_user_attr(name, value)


def _recall(trial: optuna.Trial, twin: FrozenTrial) -> tuple[float, ...]:
    """Answer a repeat from the record: the values of a complete twin, PRUNED otherwise. Nothing is trained twice."""
    trial.set_user_attr("recalled_from", twin.number)
    key = trial.user_attrs["key"]
    if twin.user_attrs.get("key", key) != key:  # it gives way to another architecture, whose figures are not its own
        trial.set_user_attr("reason", f"left out: trial {twin.number} uses up the search budget")
        raise optuna.TrialPruned
    for name in ("built", "measurement", "feasible"):
        if name in twin.user_attrs:
            trial.set_user_attr(name, twin.user_attrs[name])
    for name, value in twin.constraints.items():
        trial.set_constraint(name, value)
    if twin.state == TrialState.COMPLETE:
        return tuple(twin.values)
    trial.set_user_attr("reason", f"repeats trial {twin.number}: {twin.user_attrs.get('reason', '')}")
    raise optuna.TrialPruned


def _evaluate(context: TrialContext) -> Measurement:
    """Evaluate, recording as it proceeds; whatever ends it early leaves its reason and its curve in the record."""
    reporter = TrialReporter(context)
    try:
        with _recording_the_reason(context), stop_request.precedence(), stop_request.allowed():
            measurement = context.search.evaluator.evaluate(context.architecture, reporter.budget, reporter.report)
            return replace(measurement, curve=reporter.curve)
    finally:
        reporter.record_cost()


@contextmanager
def _recording_the_reason(context: TrialContext) -> Iterator[None]:
    """Record why an evaluation ended early, and raise what ends the trial (PRUNED, FAIL) or the whole search."""
    trial = context.trial
    try:
        yield
    except WorkerLeft as left:
        if context.has_ended:  # the worker does not leave: others consider it dead
            raise optuna.TrialPruned from left
        trial.set_user_attr("reason", INTERRUPTED)
        raise KeyboardInterrupt from left
    except Paused as pause:
        raise optuna.TrialPruned from pause
    except optuna.TrialPruned:
        raise
    except (KeyboardInterrupt, GamsearchError):  # for the user to fix, not the candidate's fault
        trial.set_user_attr("reason", INTERRUPTED)
        raise
    except CandidateFailed as failure:
        trial.set_user_attr("reason", str(failure))
        raise
    except OSError as error:  # the machine's fault, not the candidate's
        trial.set_user_attr("reason", INTERRUPTED)
        where = error.filename or "a file"
        raise RunError(
            f"{where} cannot be used ({error.strerror or error}); fix that, then repeat the command to resume"
        ) from error
    except Exception as error:
        trial.set_user_attr("reason", f"error: {type(error).__name__}: {error}")
        trial.set_user_attr("traceback", traceback.format_exc())
        raise CandidateFailed("error", f"{type(error).__name__}: {error}") from error
