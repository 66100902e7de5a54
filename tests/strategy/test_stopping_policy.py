"""Trainings that stop early: which ones, why, and which never do."""

from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState
from support.curves import EPOCHS, OBJECTIVES, SPACE, Quiet, curve, evaluator, latency, new_study, run

from gamsearch.architecture import Architecture, Placement
from gamsearch.evaluation import TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING
from gamsearch.strategy.stopping_policy import StoppingPolicy
from gamsearch.strategy.surrogate import Surrogates
from gamsearch.study import store
from gamsearch.study.history import History
from gamsearch.training.replay import ReplayEvaluator


@pytest.mark.parametrize(("sampler", "stopping"), [("thaw", "default"), ("tpe", "default"), ("tpe", "aggressive")])
def test_complete_means_the_whole_budget_and_every_other_trial_says_why_it_stopped(tmp_path, sampler, stopping):
    study = new_study(tmp_path / "run")
    run(study, sampler, stopping, SearchBudget(300, "epochs"))
    own = [t for t in store.trials(study) if "recalled_from" not in t.user_attrs and "key" in t.user_attrs]
    stopped = [t for t in own if t.state == TrialState.PRUNED and "stop" in t.user_attrs]
    assert stopped
    for trial in own:
        if trial.state == TrialState.COMPLETE:
            assert [e["epoch"] for e in trial.user_attrs["measurement"]["curve"]] == list(range(1, EPOCHS + 1))
    for trial in stopped:
        stop = trial.user_attrs["stop"]
        assert trial.user_attrs["reason"] == stop["reason"] and stop["epoch"] in (0, 2, 6, 18)
        assert len(trial.user_attrs.get("curve", [])) == stop["epoch"]
        if not stop["paused"]:
            by = store.trials(study)[stop["by"]].user_attrs["measurement"]["metrics"]
            assert by["map50_95"] >= stop["bound"] and by["latency_ms"] <= trial.user_attrs["built"]["latency_ms"]


@pytest.mark.parametrize("stopping", ["default", "aggressive"])
def test_the_baseline_and_every_probe_are_never_stopped(tmp_path, stopping):
    table, level = evaluator().table, curve(SPACE.baseline, noise=0.0)
    hopeless = [{**point, "map50_95": point["map50_95"] - 0.05} for point in level]
    rows = {
        key: {**row, "curves": {"0": hopeless if row["architecture"]["placements"] else level}}
        for key, row in table.rows.items()
    }
    study = new_study(tmp_path / "run")
    run(study, "random", stopping, SearchBudget(400, "epochs"), ReplayEvaluator(replace(table, rows=rows)))
    first: dict[str, optuna.trial.FrozenTrial] = {}
    for trial in store.trials(study):
        if trial.user_attrs.get("epochs_trained"):
            first.setdefault(trial.user_attrs["key"], trial)
    baseline, *begun = first.values()
    assert baseline.user_attrs["label"] == "baseline" and baseline.state == TrialState.COMPLETE
    setting = STOPPING[stopping]
    assert len(begun) > setting.probe + 1
    for number, trial in list(enumerate(begun))[setting.least :]:  # before that there is no bound
        spared = number % setting.probe == 0
        assert trial.state == (TrialState.COMPLETE if spared else TrialState.PRUNED)


def test_a_hopeless_candidate_is_screened_before_its_first_epoch_and_a_promising_one_is_not(tmp_path):
    study = new_study(tmp_path / "run")
    run(study, "random", "off", SearchBudget(16))
    history = History(study).update()
    objectives = tuple(metric_named(name) for name in OBJECTIVES)
    policy = StoppingPolicy(STOPPING["default"], objectives, Surrogates(SPACE), noise=0.001)

    def screened(*placements: tuple[int, int]):
        architecture = Architecture.of(
            "yolov8n", [Placement(site, "GAM", (("rate", rate),)) for site, rate in placements]
        )
        return policy.screen(history, architecture, {"latency_ms": latency(architecture)}, EPOCHS)

    stop = screened((9, 4))  # loses 0.03 and is slower than the baseline
    assert stop.epoch == 0 and not stop.paused and stop.reason.startswith("screened before training: at best")
    dominating = store.trials(study)[stop.by].user_attrs["measurement"]["metrics"]
    assert dominating["map50_95"] >= stop.bound > history.baseline.curve[EPOCHS]["map50_95"] - 0.03
    assert screened((4, 4)) is None and screened((4, 4), (15, 4)) is None
    few = new_study(tmp_path / "few")
    run(few, "random", "off", SearchBudget(14))
    history = History(few).update()
    assert screened((9, 4)) is None


def test_other_objectives_are_never_stopped_by_a_bound_on_map50_95(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    study = store.create(folder, [metric_named(m) for m in ("map50", "latency_ms")], {"settings": {}})
    plan = Plan(
        SPACE.with_objectives(("map50", "latency_ms")),
        TrialBudget(EPOCHS),
        SearchBudget(14),
        "tpe",
        1,
        STOPPING["aggressive"],
    )
    search(study, plan, evaluator(), Quiet())
    assert all("stop" not in t.user_attrs for t in store.trials(study))
