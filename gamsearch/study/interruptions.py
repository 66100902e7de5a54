"""Trials that ended because the run was stopped or a worker vanished: they say nothing about their architectures."""

from optuna.trial import FrozenTrial, TrialState

from gamsearch.errors import CandidateFailed

INTERRUPTED = "interrupted"
"""Reason of a trial that ended because the run was stopped."""
LOST = "lost"
"""Prefix of the reason of a trial that ended because its worker vanished."""


def interrupted(trial: FrozenTrial) -> bool:
    """Check whether a trial ended because the run was stopped, not because of its architecture.

    A candidate's own failure has one of `CandidateFailed.REASONS`. A killed trial may have no reason, or that of a
    stop that was recorded before the trial could be ended.

    Args:
        trial: A trial of the study.

    Returns:
        Whether the trial was interrupted.
    """
    reason = str(trial.user_attrs.get("reason", ""))
    return trial.state == TrialState.FAIL and reason.partition(":")[0] not in CandidateFailed.REASONS


def is_lost(trial: FrozenTrial) -> bool:
    """Check whether a trial ended because its worker vanished.

    Args:
        trial: A trial of the study.

    Returns:
        Whether the worker vanished.
    """
    return str(trial.user_attrs.get("reason", "")).startswith(LOST)
