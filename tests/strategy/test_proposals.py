"""What is enqueued besides the proposals of the sampler."""

from functools import partial
from itertools import islice

import pytest
from optuna.trial import TrialState
from support.curves import EPOCHS, SPACE, new_study, run

from gamsearch.architecture import Architecture
from gamsearch.evaluation import TrialBudget
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy import proposals
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.screening import Screening
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.shared_effects import Reading
from gamsearch.strategy.stopping import STOPPING
from gamsearch.study import store
from gamsearch.study.history import History


def test_a_paused_training_that_another_worker_has_resumed_is_not_promoted_again(tmp_path):
    study, stopping = new_study(tmp_path / "run"), STOPPING["aggressive"]

    def waiting() -> list[Architecture]:
        return [SPACE.decode(t.system_attrs["fixed_params"]) for t in store.trials(study, TrialState.WAITING)]

    def paused() -> set[str]:
        return {key for key, known in History(study).update().architectures.items() if known.paused}

    for limit in range(160, 500, 2):  # until a promotion is enqueued when it ends
        run(study, "random", "aggressive", SearchBudget(limit, "epochs"))
        if {a.key for a in waiting()} & paused():
            break
    (promoted,) = waiting()
    plan = Plan(SPACE, TrialBudget(EPOCHS, rungs=stopping.rungs(EPOCHS)), SearchBudget(1), "random", 1, stopping)
    promote = partial(proposals.enqueue_promoted, study, plan, History(study))
    taken = study.ask()  # whose key is not set yet
    promote()
    assert promoted.key in paused() and promoted not in waiting()
    study.tell(taken, state=TrialState.FAIL)
    study.ask().set_user_attr("key", promoted.key)  # by the sampler of another worker
    promote()
    assert promoted.key in paused() and promoted not in waiting()
    study.tell(len(study.trials) - 1, state=TrialState.FAIL)
    promote()
    assert promoted in waiting()


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_without_a_budget_enqueues_nothing_and_one_that_is_given_a_budget_later_does(tmp_path, sampler):
    """As after a screening by which nothing pays, and then `--search-anyway`."""
    study = new_study(tmp_path / "run")
    for budget in (0, 8):
        plan = Plan(SPACE, TrialBudget(EPOCHS), SearchBudget(budget), sampler)
        proposals.enqueue_anchors(study, plan, lambda architecture: None)
        assert bool(store.trials(study, TrialState.WAITING)) == bool(budget)


def test_a_search_that_ends_after_hours_begins_with_a_few_members_of_the_predicted_front(tmp_path):
    space = SearchSpace.load("gam-backbone")
    alone = list(islice(space.enumerate(), 37))
    screening = Screening(space, [Reading(0, a, 0.3 + sum(p.site for p in a.placements) / 1e3) for a in alone])
    gains = screening.gains(alone)  # each costs what it gains, so that all are on the front
    costs = {a.key: {"latency_ms": 10 + gain, "params_m": 3.0} for a, gain in zip(alone, gains, strict=True)}
    study = new_study(tmp_path / "run")
    plan = Plan(space, TrialBudget(EPOCHS), SearchBudget(3, "hours"), "random", screening=screening)
    proposals.enqueue_anchors(study, plan, lambda a: costs.get(a.key))
    assert len(screening.front(lambda a: costs.get(a.key), 1000)) > 20
    assert len(store.trials(study, TrialState.WAITING)) == 20
