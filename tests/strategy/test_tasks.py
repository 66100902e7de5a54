"""Searches for other tasks: whatever the primary metric is called, the same is proposed, stopped and repeated."""

import pytest
from optuna.trial import TrialState
from support.curves import EPOCHS, SPACE, Quiet, evaluator
from support.tasks import renamed, space_of

from gamsearch.errors import OptionError
from gamsearch.evaluation import TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.samplers import AUTO, sampler_named
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING
from gamsearch.study import store
from gamsearch.study.table import read_record
from gamsearch.tasks import Task
from gamsearch.training.replay import ReplayEvaluator, ReplayTable


def replay(task: Task) -> ReplayEvaluator:
    table = evaluator().table
    rows = {
        key: {**row, "curves": {"0": [renamed(point, task) for point in row["curves"]["0"]]}}
        for key, row in table.rows.items()
    }
    return ReplayEvaluator(ReplayTable(table.detector, table.epochs, table.seeds, rows, task=task))


def searched(folder, space: SearchSpace, sampler: str, stopping: str, trials: int) -> list[tuple[object, ...]]:
    """What a search did, trial by trial, and what its record says in the end."""
    folder.mkdir()
    detector = {"name": space.detector.name, "yaml": space.detector.yaml}
    study = store.create(folder, [metric_named(m) for m in space.objectives], {"settings": {}, "detector": detector})
    plan = Plan(space, TrialBudget(EPOCHS), SearchBudget(trials), sampler, 1, STOPPING[stopping], 0)
    why = search(study, plan, replay(space.detector.task), Quiet())
    record = read_record(study, "a")
    trials = [
        (t.user_attrs["key"], t.state, t.user_attrs.get("reason"), t.user_attrs.get("stop"), tuple(t.values or ()))
        for t in store.trials(study)
    ]
    assert any(t.state == TrialState.PRUNED for t in store.trials(study)), "nothing was stopped or paused"
    return [*trials, (why, list(record.front["number"]), list(record.candidates["number"]))]


@pytest.mark.parametrize(
    ("sampler", "stopping", "trials", "task"),
    [("thaw", "default", 20, "segment"), ("random", "aggressive", 8, "classify")],
)
def test_another_primary_metric_changes_nothing_that_a_search_does(tmp_path, sampler, stopping, trials, task):
    stock = searched(tmp_path / "detect", SPACE, sampler, stopping, trials)
    assert searched(tmp_path / task, space_of(SPACE, task), sampler, stopping, trials) == stock


def test_freeze_thaw_needs_the_primary_metric_of_the_task_as_the_only_trained_objective():
    masks = space_of(SPACE, "segment")
    assert sampler_named(AUTO, masks).reads_curves
    boxes = masks.with_objectives(["map50_95", "latency_ms"])
    assert not sampler_named(AUTO, boxes).reads_curves
    with pytest.raises(OptionError, match="needs mask_map50_95 as the only trained objective"):
        sampler_named("thaw", boxes)
