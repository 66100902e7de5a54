"""When a search ends, and why."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from gamsearch.errors import RunError, plural
from gamsearch.strategy.search_context import SearchContext

ERRORS_BEFORE_STOP = 3
"""Candidates in a row that end with an unexpected exception; the fault is then hardly theirs."""


def reason_to_stop(context: SearchContext, busy: Sequence[FrozenTrial] = ()) -> str | None:
    """Why the search ends now, or None if it continues; `busy` trials count as if they were trained to the end.

    The history is read as it is: update it before.
    """
    streaks, plan = context.streaks, context.plan
    if streaks.errors >= ERRORS_BEFORE_STOP:
        raise RunError(f"{streaks.errors} candidates in a row failed, the last one with {streaks.last_error}")
    each = plan.trial_budget.epochs
    used = context.used + plan.search_budget.used(each * len(busy), each, 0.0)
    candidates = context.history.candidates
    if used >= plan.search_budget.amount:
        begun = [known for known in candidates if known.curve or known.state == TrialState.FAIL]
        spent = plural(context.history.spent, "epoch")
        return f"the budget of {plan.search_budget} is used up: {plural(len(begun), 'candidate')}, {spent}"
    candidates = [known for known in candidates if known.architecture in plan.space]
    others = len({t.user_attrs.get("key") for t in busy}) + 1
    if len(candidates) + others < plan.space.size:
        return None
    settled = [known for known in candidates if known.settled and not known.reason.startswith("rule")]
    if len(settled) + others >= plan.space.size:
        return f"all {plural(plan.space.size, 'architecture')} of the space are known"
    return None
