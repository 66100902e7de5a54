"""What is enqueued besides the sampler's proposals: published placements, neighbours of the front, promotions."""

import random

import optuna
from optuna.trial import TrialState

from gamsearch.analysis import pareto
from gamsearch.architecture import Architecture
from gamsearch.errors import SpaceError
from gamsearch.space.neighbours import random_neighbour
from gamsearch.strategy.cost_predictions import PredictCosts
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.promotion import promotable
from gamsearch.strategy.samplers import STARTUP_TRIALS, sampler_named
from gamsearch.study import store
from gamsearch.study.history import History

ATTEMPTS = 20
"""Known neighbours that are sampled before the search continues without one."""
MOST_ANCHORS = 20
"""Most architectures of a predicted front that are enqueued, as many as half of the default number of trials."""


def enqueue_anchors(study: optuna.Study, plan: Plan, predict_costs: PredictCosts) -> None:
    """Once per study: what was imported, and what a screening recommends or else the published placements.

    Some samplers get random ones too: they learn from whole trainings. The sampler proposes at least half of the
    trials, unless more are imported. A search without any budget is left as it is, since it may be given one later.
    """
    if study.user_attrs.get("anchors_enqueued") or not plan.search_budget.amount:
        return
    enqueue_imported(study, plan)
    space, most = plan.space, max(min(plan.trials // 2, MOST_ANCHORS) - len(plan.imported), 0)
    if plan.sampler == "brute" or not most:
        anchors = []
    elif plan.screening is not None:
        anchors = plan.screening.front(predict_costs, most)
    else:
        anchors = space.anchors()[:most]
    published = {} if plan.screening is not None else {"anchor": True}
    for architecture in anchors:
        study.enqueue_trial(space.encode(architecture), user_attrs=published)
    if sampler_named(plan.sampler, plan.space).needs_start:
        rng, known = random.Random(plan.seed), {a.key for a in (*anchors, *plan.imported.values())}
        for _ in range(STARTUP_TRIALS - len(known)):
            architecture = space.sample_random(rng)
            if architecture.key not in known:
                study.enqueue_trial(space.encode(architecture))
                known.add(architecture.key)
    study.set_user_attr("anchors_enqueued", True)


def enqueue_imported(study: optuna.Study, plan: Plan) -> None:
    """The architectures that the user imported, also those outside the space: its parameters hold what they can."""
    for files, architecture in plan.imported.items():
        parameters = plan.space.encode(plan.space.encoding.part_of(architecture))
        study.enqueue_trial(parameters, user_attrs={"imported": files, "architecture": architecture.to_dict()})


def enqueue_neighbour(study: optuna.Study, plan: Plan, history: History, number: int) -> None:
    """After trial `number`, which repeated a known architecture: an unknown neighbour of a member of the front."""
    members = _front(study, plan, history)
    rng = random.Random(plan.seed * 1_000_003 + number)
    for _ in range(ATTEMPTS):
        try:
            architecture = random_neighbour(plan.space, rng.choice(members), rng)
        except SpaceError:
            return
        if architecture.key not in history.architectures:
            study.enqueue_trial(plan.space.encode(architecture))
            return


def _front(study: optuna.Study, plan: Plan, history: History) -> list[Architecture]:
    """The Pareto front of the architectures trained to the end."""
    objectives = store.objectives_of(study)
    inside = [known for known in history.architectures.values() if known.architecture in plan.space]
    complete = [known for known in inside if known.complete]
    values = [{**known.built, **known.curve[plan.trial_budget.epochs]} for known in complete]
    on_front = pareto.front([[one[m.name] for m in objectives] for one in values], objectives)
    return [known.architecture for known, on in zip(complete, on_front, strict=True) if on]


def enqueue_promoted(study: optuna.Study, plan: Plan, history: History) -> None:
    """Resume the best training that is paused at the highest rung from which one is promoted.

    One that another worker has resumed counts among those that reached the rung, but is not proposed twice.
    """
    if store.trials(study, TrialState.WAITING):
        return
    running = history.update().running
    begun = [t.system_attrs.get("fixed_params") for t in store.trials(study, TrialState.RUNNING)]
    for rung in reversed(plan.trial_budget.rungs):
        for known in promotable(history, rung, store.objectives_of(study)):
            answers = plan.space.encode(known.architecture)
            resumed = known.architecture.key in running or answers in begun  # which may not have recorded its key yet
            if not resumed:
                study.enqueue_trial(answers)
                return
