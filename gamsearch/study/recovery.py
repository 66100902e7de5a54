"""Trials that ended although their architecture was not to blame: ended for good, and put into the queue again."""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from gamsearch.study.history import LOST, interrupted, is_lost
from gamsearch.study.workers import SingleWorker, lost, owner

LOSSES = 10
"""A candidate whose worker vanished so often in a row is recorded as failed: it may be what kills them."""


def release_interrupted(study: optuna.Study, registry: SingleWorker | None = None) -> int:
    """End the trials of dead workers and enqueue every interrupted one again; return how many.

    The new trial is enqueued before the old one ends, so that a death in between loses nothing; two workers that do
    this at once enqueue it twice, and the second is answered from the first (`superfluous`).
    """
    everything = study.get_trials(deepcopy=False)
    retried = {t.user_attrs.get("retry_of") for t in everything}
    count = 0
    for trial in lost(study, registry or SingleWorker()):
        vanished = [t for t in _lineage(everything, trial) if is_lost(t)]
        if owner(trial) and len(vanished) + 1 >= LOSSES:
            _end_lost(study, trial, f"error: its worker vanished {LOSSES} times, so it was not tried again")
            continue
        count += _enqueue_again(study, trial, retried)
        _end_lost(study, trial, f"{LOST}: its worker {owner(trial)} vanished" if owner(trial) else "")
    for trial in everything:
        if interrupted(trial):
            count += _enqueue_again(study, trial, retried)
    return count


def _enqueue_again(study: optuna.Study, trial: FrozenTrial, retried: set[Any]) -> bool:
    if trial.number in retried or not _proposed(trial):
        return False
    study.enqueue_trial(_proposed(trial), user_attrs={"retry_of": trial.number, **_anchor(trial)})
    retried.add(trial.number)
    return True


def _end_lost(study: optuna.Study, trial: FrozenTrial, reason: str) -> None:
    """Tell that a trial of a dead worker failed, unless another worker was faster."""
    try:
        if reason:
            study._storage.set_trial_user_attr(trial._trial_id, "reason", reason)  # a Trial would sample anew
        study.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, RuntimeError):  # it has ended meanwhile
        return


def _lineage(everything: Sequence[FrozenTrial], trial: FrozenTrial) -> list[FrozenTrial]:
    """The trials that this one repeats because they were interrupted, the latest first."""
    found: list[FrozenTrial] = []
    while (before := trial.user_attrs.get("retry_of")) is not None and before < trial.number:
        trial = everything[before]
        found.append(trial)
    return found


def superfluous(study: optuna.Study, trial: Trial) -> int | None:
    """The number of an earlier trial that repeats the same interrupted one as `trial`, or None."""
    before = trial.user_attrs.get("retry_of")
    if before is None:
        return None
    twins = (
        t.number
        for t in study.get_trials(deepcopy=False)
        if t.user_attrs.get("retry_of") == before and t.number < trial.number
    )
    return next(twins, None)


def _proposed(trial: FrozenTrial) -> dict[str, Any]:
    """The parameters of a trial; those that were enqueued for it if it was stopped before it could ask for them."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _anchor(trial: FrozenTrial) -> dict[str, bool]:
    return {"anchor": True} if trial.user_attrs.get("anchor") else {}
