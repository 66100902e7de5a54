"""What is enqueued besides the proposals of the sampler."""

from functools import partial

from optuna.trial import TrialState
from support.curves import EPOCHS, SPACE, new_study, run

from gamsearch.architecture import Architecture
from gamsearch.evaluation import TrialBudget
from gamsearch.strategy import proposals
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
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
