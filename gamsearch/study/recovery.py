"""Trials that ended through no fault of their architecture: failed for good, and enqueued again."""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from gamsearch.study.interruptions import LOST, interrupted, is_lost
from gamsearch.study.single_worker import SingleWorker
from gamsearch.study.worker_entries import owner
from gamsearch.study.workers import WorkerRegistry

LOSSES = 10
"""Times in a row that a candidate's worker may vanish before it is recorded as failed: it may be what kills them."""


def release_interrupted(study: optuna.Study, registry: SingleWorker | None = None) -> int:
    """Fail the trials of dead workers and enqueue every interrupted trial again.

    The new trial is enqueued before the old one ends, so that a death in between loses nothing. Two workers that do
    this at the same time enqueue it twice; the second one is answered from the first (`earlier_retry`).

    Args:
        study: The study.
        registry: The worker registry; a search without other workers if None.

    Returns:
        Number of trials that were enqueued again.
    """
    trials = study.get_trials(deepcopy=False)
    retried = {t.user_attrs.get("retry_of") for t in trials}
    count = 0
    for trial in lost(study, registry or SingleWorker()):
        vanished = [t for t in _lineage(trials, trial) if is_lost(t)]
        if owner(trial) and len(vanished) + 1 >= LOSSES:
            _fail(study, trial, f"error: its worker vanished {LOSSES} times, so it was not retried")
            continue
        count += _enqueue_again(study, trial, retried)
        _fail(study, trial, f"{LOST}: its worker {owner(trial)} vanished" if owner(trial) else "")
    for trial in trials:
        if interrupted(trial):
            count += _enqueue_again(study, trial, retried)
    return count


def earlier_retry(study: optuna.Study, trial: Trial) -> int | None:
    """Find an earlier trial that retries the same interrupted trial.

    Args:
        study: The study.
        trial: The trial that may be superfluous.

    Returns:
        Number of the earlier trial, or None.
    """
    retry_of = trial.user_attrs.get("retry_of")
    if retry_of is None:
        return None
    twins = (
        t.number
        for t in study.get_trials(deepcopy=False)
        if t.user_attrs.get("retry_of") == retry_of and t.number < trial.number
    )
    return next(twins, None)


def lost(study: optuna.Study, registry: SingleWorker) -> list[FrozenTrial]:
    """Return the running trials whose worker is dead."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    anyone = bool(registry.others()) if any(not owner(trial) for trial in running) else False
    found = []
    for trial in running:
        worker = owner(trial)
        if worker:
            alive = registry.alive(worker)
        else:  # its worker has not recorded itself yet, or died before it could
            alive = anyone and isinstance(registry, WorkerRegistry) and registry.beating(f"trial {trial.number}", None)
        if not alive:
            found.append(trial)
    return found


def _enqueue_again(study: optuna.Study, trial: FrozenTrial, retried: set[Any]) -> bool:
    """Enqueue a trial's parameters again unless that is done already; `retried` is updated."""
    if trial.number in retried or not _parameters(trial):
        return False
    study.enqueue_trial(_parameters(trial), user_attrs={"retry_of": trial.number, **_origin(trial)})
    retried.add(trial.number)
    return True


def _fail(study: optuna.Study, trial: FrozenTrial, reason: str) -> None:
    """Fail a trial of a dead worker, unless another worker was faster."""
    try:
        if reason:
            study._storage.set_trial_user_attr(trial._trial_id, "reason", reason)  # a Trial would sample again
        study.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, RuntimeError):  # it has ended in the meantime
        return


def _lineage(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> list[FrozenTrial]:
    """The interrupted trials that this one retries, the latest first."""
    lineage: list[FrozenTrial] = []
    while (before := trial.user_attrs.get("retry_of")) is not None and before < trial.number:
        trial = trials[before]
        lineage.append(trial)
    return lineage


def _parameters(trial: FrozenTrial) -> dict[str, Any]:
    """The parameters of a trial; the enqueued ones if it was stopped before they were suggested."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _origin(trial: FrozenTrial) -> dict[str, Any]:
    """What says where a trial came from; an imported one also has its architecture, which may be outside the space."""
    names = ("anchor", *(("imported", "architecture") if "imported" in trial.user_attrs else ()))
    return {name: trial.user_attrs[name] for name in names if trial.user_attrs.get(name)}
