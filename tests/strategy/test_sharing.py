"""Two workers of one study: who waits, and which trial gives way."""

import optuna
import pytest
from support.landscape import BUDGET, SMALL, Quiet, new_study, run

from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.search_context import open_context
from gamsearch.strategy.sharing import await_turn, claim, has_ended
from gamsearch.strategy.trial import run_trial
from gamsearch.study.single_worker import SingleWorker


class OneOfTwo(SingleWorker):
    """A worker beside another one, which never ends; waiting makes this one leave."""

    id = "a" * 12

    def __init__(self):
        self.leaving = False

    def alive(self, worker):
        return True

    def wait(self):
        self.leaving = True


@pytest.fixture
def shared(tmp_path, evaluator):
    """A function that opens the context of a search of `trials` trainings, four of which are done."""
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=4)

    def opened(trials: int):
        plan = Plan(SMALL, BUDGET, SearchBudget(trials), "random").with_rungs()
        return open_context(study, plan, evaluator, Quiet(), OneOfTwo())

    return opened


def begin(study, worker: str, architecture):
    """A running trial of a worker."""
    trial = study.ask()
    for name, value in {"worker": worker, "key": architecture.key}.items():
        trial.set_user_attr(name, value)
    return trial


def test_a_worker_waits_while_others_may_use_up_the_rest(shared):
    context = shared(5)
    assert await_turn(context) and not context.registry.leaving
    begin(context.study, "b" * 12, SMALL.anchors()[0])
    assert not await_turn(context) and context.registry.leaving
    assert await_turn(shared(6))


def test_of_two_trials_with_room_for_one_the_later_gives_way(shared):
    context = shared(5)
    others = begin(context.study, "b" * 12, SMALL.anchors()[0])
    own = begin(context.study, context.registry.id, SMALL.anchors()[1])
    assert claim(context, own, SMALL.anchors()[1].key) == others.number
    roomy = shared(6)
    assert claim(roomy, own, SMALL.anchors()[1].key) is None


def test_a_trial_that_gives_way_takes_no_figures_of_the_other_architecture(shared):
    context = shared(5)
    other = begin(context.study, "b" * 12, SMALL.anchors()[0])
    other.set_user_attr("built", {"params_m": 99.0})
    own = context.study.ask()
    with pytest.raises(optuna.TrialPruned):
        run_trial(context, own)
    assert own.user_attrs["key"] != other.user_attrs["key"] and "built" not in own.user_attrs
    assert own.user_attrs["reason"] == f"left out: trial {other.number} uses up the search budget"


def test_an_enqueued_trial_never_gives_way_for_want_of_room(shared):
    context = shared(5)
    begin(context.study, "b" * 12, SMALL.anchors()[0])
    context.study.enqueue_trial(SMALL.encode(SMALL.anchors()[1]))
    own = begin(context.study, context.registry.id, SMALL.anchors()[1])
    assert claim(context, own, SMALL.anchors()[1].key) is None


def test_a_trial_that_another_worker_ended_has_ended(shared):
    study = shared(5).study
    own = begin(study, "a" * 12, SMALL.anchors()[0])
    assert not has_ended(study, own.number)
    study.tell(own.number, [0.4, 11.0])
    assert has_ended(study, own.number)
