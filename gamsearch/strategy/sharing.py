"""How the workers of one study share its search budget and its architectures."""

import optuna

from gamsearch.strategy.ending import reason_to_stop
from gamsearch.strategy.search_context import SearchContext
from gamsearch.study import recovery


def await_turn(context: SearchContext) -> bool:
    """Wait while the trials of other workers may use up the rest; return whether there is something left to try."""
    while not context.registry.leaving:
        context.claims.sweep()
        busy = context.claims.busy()
        if reason_to_stop(context) is not None:
            return False
        if not busy or reason_to_stop(context, busy) is None:
            return True
        context.registry.wait()
    return False


def claim(context: SearchContext, trial: optuna.Trial, key: str) -> int | None:
    """Claim an architecture for a trial, or return the number of the earlier trial that it gives way to."""
    twin = recovery.earlier_retry(context.study, trial)
    if twin is None:
        twin = context.claims.claim(trial, key)
    return _one_too_many(context, trial) if twin is None else twin


def _one_too_many(context: SearchContext, trial: optuna.Trial) -> int | None:
    """The number of an earlier trial that uses up the rest of the search budget, or None.

    Two workers can see room for one more trial at the same time. The later trial gives way, unless it was enqueued:
    the queue must lose nothing.
    """
    if not context.registry.id:
        return None
    earlier = [t for t in context.claims.busy() if t.number < trial.number]
    enqueued = "fixed_params" in context.history.trials[trial.number].system_attrs
    if not earlier or enqueued or reason_to_stop(context, earlier) is None:
        return None
    return earlier[-1].number


def has_ended(study: optuna.Study, number: int) -> bool:
    """Whether a trial is finished; other workers end the trials of a worker that they consider dead."""
    storage = study._storage  # a study can only list all of its trials, which takes long where there are thousands
    trial = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    return storage.get_trial(trial).state.is_finished()
