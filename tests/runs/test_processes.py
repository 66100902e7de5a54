"""Several workers on one study: each architecture is evaluated once, whatever happens to them."""

import random
import time

import pytest
from made_up import alive_pids, checked, eventually, kill, said, search_of, shares, start, timed_table
from optuna.trial import TrialState
from support.searches import LITTLE_SIZE, open_study

from gamsearch.errors import OptionError
from gamsearch.evaluation import TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.runs import processes
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.study import store
from gamsearch.study.workers import WorkerRegistry
from gamsearch.training.replay import ReplayEvaluator, ReplayTable


class Quiet:
    """A progress that displays nothing."""

    def started(self, number, label, used, search_budget): ...

    def epoch(self, epoch, epochs, metrics): ...

    def ended(self, number, outcome, gain): ...


def test_three_workers_share_a_search_and_find_what_one_finds(tmp_path, little, undisturbed):
    assert start(tmp_path, *search_of(tmp_path, *little, "--workers", 3)).wait(180) == 0, said(tmp_path)
    study = store.load(tmp_path / "results" / "a")
    assert checked(study, LITTLE_SIZE) == undisturbed
    assert len(shares(study)) == 3
    assert said(tmp_path).count(f"all {LITTLE_SIZE} architectures of the space are known") >= 3
    assert not list((tmp_path / "results" / "a" / "workers").glob("*.lock"))


def test_workers_that_are_killed_repeatedly_lose_and_duplicate_nothing(tmp_path, little, undisturbed):
    run = start(tmp_path, *search_of(tmp_path, *little, "--workers", 3))
    study = open_study(tmp_path)
    rng, killed = random.Random(0), 0
    while run.poll() is None and killed < 6:
        time.sleep(rng.uniform(0.3, 0.9))
        pids = [pid for pid in alive_pids(study) if pid != run.pid]
        if pids:
            kill(rng.choice(pids))
            killed += 1
    assert run.wait(180) == 0, said(tmp_path)
    study = store.load(tmp_path / "results" / "a")
    assert checked(study, LITTLE_SIZE) == undisturbed
    assert killed >= 2
    marked = [t for t in store.trials(study, TrialState.FAIL) if "vanished" in t.user_attrs.get("reason", "")]
    retried = [t.user_attrs["retry_of"] for t in store.trials(study) if "retry_of" in t.user_attrs]
    assert {t.number for t in marked} <= set(retried)


def test_workers_of_a_killed_run_leave_after_their_epoch_and_the_run_can_be_resumed(tmp_path, little, undisturbed):
    run = start(tmp_path, *search_of(tmp_path, *little, "--workers", 2))
    study = open_study(tmp_path)
    eventually(lambda: len(alive_pids(study)) == 2 and len(store.trials(study, TrialState.COMPLETE)) >= 3)
    worker = next(pid for pid in alive_pids(study) if pid != run.pid)
    run.kill()
    run.wait()
    eventually(lambda: worker not in alive_pids(study))
    assert "left after its epoch" in said(tmp_path)
    left = len(store.trials(study, TrialState.COMPLETE))
    assert left < LITTLE_SIZE
    assert start(tmp_path, *search_of(tmp_path, *little)).wait(120) == 0, said(tmp_path)
    assert checked(store.load(tmp_path / "results" / "a"), LITTLE_SIZE) == undisturbed


def test_a_second_run_in_the_folder_is_refused_without_disturbing_the_first(tmp_path, little):
    run = start(tmp_path, *search_of(tmp_path, *little))
    open_study(tmp_path)
    second = start(tmp_path, *search_of(tmp_path, *little))
    assert second.wait(60) == 2
    assert "is in use by another run" in said(tmp_path)
    assert run.wait(120) == 0
    checked(store.load(tmp_path / "results" / "a"), LITTLE_SIZE)


# liveness ------------------------------------------------------------------------------------------------------------
def test_a_worker_that_was_considered_dead_continues_with_another_trial(tmp_path):
    """As after a long time without its storage: others failed its trial and enqueued it again."""
    table, space_file = timed_table(tmp_path, "[4, 6]", 0.0)
    study = store.create(tmp_path, [metric_named("map50_95"), metric_named("latency_ms")], {"settings": {}})

    class Cut(ReplayEvaluator):
        done = False

        def evaluate(self, architecture, budget, report):
            busy = store.trials(study, TrialState.RUNNING)[0]
            if not self.done and busy.number >= 3:
                self.done = True
                study.enqueue_trial(busy.params, user_attrs={"retry_of": busy.number})
                study.tell(busy.number, state=TrialState.FAIL)
            return super().evaluate(architecture, budget, report)

    plan = Plan(SearchSpace.load(space_file), TrialBudget(3), SearchBudget(50), "brute", 1)
    with WorkerRegistry(study, tmp_path, "cpu") as registry:
        search(study, plan, Cut(ReplayTable.read(table)), Quiet(), registry)
    assert checked(study, 9)
    assert len(store.trials(study, TrialState.FAIL)) == 1


# slots ---------------------------------------------------------------------------------------------------------------
def test_each_of_several_devices_gets_a_worker_that_sees_only_that_device():
    found = processes.slots("0,2", 1, {}, 8)
    assert [(p.device, p.environment) for p in found] == [
        ("0", {"CUDA_VISIBLE_DEVICES": "0"}),
        ("0", {"CUDA_VISIBLE_DEVICES": "2"}),
    ]
    given = processes.slots("0,1", 1, {"CUDA_VISIBLE_DEVICES": "6,GPU-abc"}, 8)
    assert [p.environment["CUDA_VISIBLE_DEVICES"] for p in given] == ["6", "GPU-abc"]


def test_workers_on_one_device_share_the_cores():
    assert processes.slots("cpu", 1, {}, 8) == [processes.Slot("cpu", {})]
    assert processes.slots("cpu", 3, {}, 8) == [processes.Slot("cpu", {"OMP_NUM_THREADS": "2"})] * 3
    assert processes.slots("cpu", 2, {"OMP_NUM_THREADS": "5"}, 8) == [processes.Slot("cpu", {})] * 2


@pytest.mark.parametrize(
    "device, workers, environment",
    [("0,0", 1, {}), ("0,cpu", 1, {}), ("0,1", 2, {}), ("0,", 1, {}), ("0,3", 1, {"CUDA_VISIBLE_DEVICES": "0,1"})],
)
def test_impossible_devices_are_refused(device, workers, environment):
    with pytest.raises(OptionError):
        processes.slots(device, workers, environment, 8)
