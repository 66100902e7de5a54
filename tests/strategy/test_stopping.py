"""Trainings that end early: what stops, what pauses and goes on, what it costs, and that the front does not suffer."""

import math
import random
import time
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import OptionError, RunError
from gamsearch.evaluation import TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy import proposals
from gamsearch.strategy.freeze_thaw import FreezeThaw
from gamsearch.strategy.gain_bound import upper_bound
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING, stopping_named
from gamsearch.strategy.stopping_policy import StoppingPolicy
from gamsearch.strategy.surrogate import Features, Observation, Surrogate, Surrogates
from gamsearch.study import recovery, store, summaries
from gamsearch.study.history import History, interrupted
from gamsearch.study.table import read_record, trial_table
from gamsearch.training.replay import ReplayEvaluator, ReplayTable

SPACE = SearchSpace.load("gam-small", Detector.load("yolov8n"))
EPOCHS = 20
OBJECTIVES = ("map50_95", "latency_ms")
EFFECTS = {4: 0.05, 6: 0.01, 9: -0.03, 15: 0.02}
COSTS = {4: 2.0, 6: 1.0, 9: 0.5, 15: 1.5}


def final_gain(architecture: Architecture) -> float:
    """Additive effects, the weaker rate at half of them."""
    return sum(EFFECTS[p.site] / (1 if dict(p.options)["rate"] == 4 else 2) for p in architecture.placements)


def latency(architecture: Architecture) -> float:
    return 10.0 + sum(COSTS[p.site] / (1 if dict(p.options)["rate"] == 4 else 2) for p in architecture.placements)


def curve(architecture: Architecture, noise: float = 0.001) -> list[dict[str, float]]:
    """Gains that grow with the epochs, the more slowly the more the architecture costs."""
    rng, pace = random.Random(architecture.key), 2.0 + (latency(architecture) - 10.0)
    points = []
    for epoch in range(1, EPOCHS + 1):
        gain = final_gain(architecture) * (1 - math.exp(-epoch / pace)) + rng.gauss(0, noise)
        points.append({"epoch": epoch, "map50_95": 0.3 + 0.01 * epoch + gain, "map50": 0.5})
    return points


def evaluator() -> ReplayEvaluator:
    rows = {
        a.key: {
            "architecture": a.to_dict(),
            "metrics": {"params_m": 3.0, "gflops": 8.0, "latency_ms": latency(a), "latency_ratio": latency(a) / 10},
            "curves": {"0": curve(a)},
        }
        for a in SPACE.enumerate()
    }
    return ReplayEvaluator(ReplayTable("yolov8n", EPOCHS, (0,), rows))


class Quiet:
    def started(self, number, label, used, search_budget): ...
    def epoch(self, epoch, epochs, metrics): ...
    def ended(self, number, outcome, gain): ...


def new_study(folder) -> optuna.Study:
    folder.mkdir()
    return store.create(folder, [metric_named(m) for m in OBJECTIVES], {"settings": {}})


def run(study, sampler: str, stopping: str, search_budget: SearchBudget, with_=None, seed: int = 0) -> str:
    plan = Plan(SPACE, TrialBudget(EPOCHS), search_budget, sampler, 1, STOPPING[stopping], seed)
    return search(study, plan, with_ or evaluator(), Quiet())


def front_of(study: optuna.Study) -> set[str]:
    frame = trial_table(study)
    return set(frame[frame["on_front"]]["key"])


TRUE_FRONT = {
    a.key
    for a in SPACE.enumerate()
    if not any(
        curve(b)[-1]["map50_95"] >= curve(a)[-1]["map50_95"] and latency(b) <= latency(a) and b != a
        for b in SPACE.enumerate()
    )
}


def test_the_thaw_sampler_finds_the_whole_front_for_a_third_of_the_epochs_that_training_everything_costs(tmp_path):
    study = new_study(tmp_path / "run")
    run(study, "thaw", "default", SearchBudget(220, "epochs"))
    assert front_of(study) == TRUE_FRONT
    assert History(study).update().spent < 240 < 32 * EPOCHS / 2


@pytest.mark.parametrize(("sampler", "stopping"), [("thaw", "default"), ("tpe", "default"), ("tpe", "aggressive")])
def test_complete_means_the_whole_budget_and_all_else_says_why_it_stopped(tmp_path, sampler, stopping):
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


@pytest.mark.parametrize(("sampler", "stopping"), [("thaw", "default"), ("tpe", "aggressive")])
def test_a_paused_training_goes_on_where_it_was_and_every_epoch_is_trained_once(tmp_path, sampler, stopping):
    trained: Counter[tuple[str, int]] = Counter()

    class Counting(ReplayEvaluator):
        def evaluate(self, architecture, budget, report):
            def listen(epoch, metrics):
                trained[architecture.key, epoch] += epoch > 0
                report(epoch, metrics)

            return super().evaluate(architecture, budget, listen)

    study = new_study(tmp_path / "run")
    run(study, sampler, stopping, SearchBudget(300, "epochs"), Counting(evaluator().table))
    resumed = [t for t in store.trials(study) if "resumes" in t.user_attrs]
    assert resumed and set(trained.values()) <= {0, 1}
    counted = sum(t.user_attrs.get("epochs_trained", 0) for t in store.trials(study))
    assert counted == sum(trained.values())
    assert History(study).update().spent == counted - EPOCHS  # the baseline's are not the candidates'


def test_a_search_that_was_stopped_between_trials_goes_on_with_the_same_knowledge(tmp_path):
    whole, parts = new_study(tmp_path / "whole"), new_study(tmp_path / "parts")
    run(whole, "thaw", "default", SearchBudget(260, "epochs"))
    for limit in (60, 130, 260):
        run(parts, "thaw", "default", SearchBudget(limit, "epochs"))
    assert front_of(parts) == front_of(whole) == TRUE_FRONT


@pytest.mark.parametrize("stopping", ["default", "aggressive"])
def test_the_baseline_and_every_so_manyth_candidate_are_never_stopped(tmp_path, stopping):
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


def test_a_paused_training_that_another_worker_has_taken_up_is_not_promoted_again(tmp_path):
    study, stopping = new_study(tmp_path / "run"), STOPPING["aggressive"]

    def waiting() -> list[Architecture]:
        return [SPACE.decode(t.system_attrs["fixed_params"]) for t in store.trials(study, TrialState.WAITING)]

    def paused() -> set[str]:
        return {key for key, known in History(study).update().architectures.items() if known.paused}

    for limit in range(20, 300, 2):  # until it ends with a promotion that waits
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


def test_what_the_report_says_of_foreseen_latencies_is_how_far_off_they_were(tmp_path):
    class Off(ReplayEvaluator):
        """Foresees 2 % too much."""

        def predict_costs(self, architecture):
            figures = super().predict_costs(architecture)
            return {name: value * (1.02 if name.startswith("latency") else 1) for name, value in figures.items()}

    study = new_study(tmp_path / "run")
    run(study, "thaw", "default", SearchBudget(220, "epochs"), Off(evaluator().table))
    said = summaries.prediction_error(read_record(study, "run"))
    assert "its error was 2.0 % (median), 2.0 % at most" in said


def test_off_trains_everything_to_the_end(tmp_path):
    study = new_study(tmp_path / "run")
    why = run(study, "thaw", "off", SearchBudget(7))
    assert why == "7 candidates were evaluated"
    assert {t.state for t in store.trials(study) if "key" in t.user_attrs} == {TrialState.COMPLETE}


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


def test_rungs_are_a_factor_of_three_apart_and_begin_at_a_tenth():
    assert STOPPING["default"].rungs(20) == (2, 6, 18)
    assert STOPPING["default"].rungs(5) == (1, 3)
    assert STOPPING["default"].rungs(1) == () == STOPPING["off"].rungs(20)
    with pytest.raises(OptionError, match="did you mean 'default'"):
        stopping_named("defalt")


def test_the_bound_holds_for_slow_starters():
    """Finished trainings in which costly ones start slower: a bound from the gain alone would stop them."""
    rng, broken = np.random.default_rng(0), 0
    for _ in range(200):
        cost = rng.uniform(0, 1, 31)
        final = 0.05 * cost + rng.normal(0, 0.004, 31)
        early = final * (1 - 0.8 * cost) + rng.normal(0, 0.002, 31)
        rows = np.column_stack([early, cost, final])
        broken += upper_bound(rows[:-1], rows[-1, :2], alpha=0.02) < final[-1]
    assert broken / 200 < 0.07


def test_the_surrogate_predicts_pairs_from_single_placements_and_knows_what_it_does_not_know():
    singles = [a for a in SPACE.enumerate() if len(a.placements) == 1]
    pairs = [a for a in SPACE.enumerate() if len(a.placements) == 2]
    seen = [Observation(a, EPOCHS, final_gain(a)) for a in singles]
    surrogate = Surrogate(Features(SPACE), seen)
    mean, sd = surrogate.predict(pairs, EPOCHS)
    truth = np.array([final_gain(a) for a in pairs])
    assert np.corrcoef(mean, truth)[0, 1] > 0.95
    assert np.mean(np.abs(truth - mean) < 2 * sd) > 0.9
    known = surrogate.predict(singles, EPOCHS)[1]
    far = surrogate.predict(singles, 4 * EPOCHS)[1]
    assert known.max() < sd.min() and np.all(far > known)


def test_what_promises_most_is_found_without_weighing_everything(tmp_path):
    study = new_study(tmp_path / "run")
    run(study, "thaw", "default", SearchBudget(100, "epochs"))
    history, objectives = History(study).update(), tuple(metric_named(name) for name in OBJECTIVES)
    rungs = STOPPING["default"].rungs(EPOCHS)
    freeze_thaw = FreezeThaw(
        SPACE, objectives, EPOCHS, rungs, evaluator().predict_costs, random.Random(0), Surrogates(SPACE)
    )
    pool = freeze_thaw.pool.unsettled(history)
    mean, sd = freeze_thaw.surrogate(history).predict(pool, EPOCHS)
    alone = [freeze_thaw.improvement(history, [a], mean[[i]], sd[[i]])[0] for i, a in enumerate(pool)]
    together = freeze_thaw.improvement(history, pool, mean, sd)
    assert freeze_thaw.choose(history) == pool[int(np.argmax(alone))]
    assert together.max() == max(alone) > 0
    assert np.count_nonzero(together) < np.count_nonzero(alone)


def test_the_variance_before_any_observation_is_the_diagonal_of_the_covariance():
    everything = list(SPACE.enumerate())
    seen = [Observation(a, EPOCHS, final_gain(a)) for a in everything[1:8]]
    surrogate = Surrogate(Features(SPACE), seen)
    points = surrogate._located([(a, epoch) for a in everything for epoch in (1, EPOCHS)])
    whole = surrogate._covariance(points, points, surrogate.parameters)
    assert surrogate._prior_variance(points, surrogate.parameters) == pytest.approx(np.diag(whole))


def test_left_out_residuals_are_those_of_a_surrogate_without_the_observation():
    rng = random.Random(1)
    chosen = rng.sample([a for a in SPACE.enumerate() if not a.is_baseline], 12)
    seen = [Observation(a, EPOCHS, final_gain(a) + rng.gauss(0, 0.003)) for a in chosen]
    whole = Surrogate(Features(SPACE), seen)
    joint = whole._measured(whole.parameters)
    gains = np.array([o.gain for o in seen]) / whole.scale
    solved = np.linalg.solve(joint[1:, 1:], np.column_stack([gains[1:], joint[1:, 0]]))
    mean, variance = joint[0, 1:] @ solved[:, 0], joint[0, 0] - joint[0, 1:] @ solved[:, 1]
    assert whole.left_out()[0] == pytest.approx((gains[0] - mean) / np.sqrt(variance), rel=1e-6)


def test_the_features_of_the_baseline_are_zero_and_no_two_architectures_share_theirs():
    features = Features(SPACE)
    rows = [tuple(features.of(a)) for a in SPACE.enumerate()]
    assert not any(rows[0]) and len(set(rows)) == len(rows)


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [("3h", 3, "hours"), ("90min", 1.5, "hours"), ("200epochs", 200, "epochs"), (" 1.5 H ", 1.5, "hours")],
)
def test_a_budget_is_a_time_or_a_number_of_epochs(text, amount, unit):
    assert SearchBudget.parse(text) == SearchBudget(amount, unit)


def test_a_budget_in_hours_ends_the_search_when_the_trials_have_taken_so_long(tmp_path):
    class Slow(ReplayEvaluator):
        def evaluate(self, architecture, budget, report):
            time.sleep(0.1)
            return super().evaluate(architecture, budget, report)

    study = new_study(tmp_path / "run")
    run(study, "random", "off", SearchBudget(1 / 3600, "hours"), Slow(evaluator().table))
    trained = [known for known in History(study).update().candidates if known.curve]
    assert History(study).update().seconds >= 1
    assert 1 <= len(trained) <= 10  # none begins once a second is used up


@pytest.mark.parametrize("text", ["", "3", "h", "-2h", "0epochs", "3 days", "ten epochs"])
def test_a_budget_that_is_neither_is_refused_in_one_sentence(text):
    with pytest.raises(OptionError, match="such as 3h, 90min or 200epochs"):
        SearchBudget.parse(text)


class Forgetful(ReplayEvaluator):
    """Keeps nothing of a paused training: whatever goes on begins again."""

    def evaluate(self, architecture, budget, report):
        return super().evaluate(architecture, replace(budget, done=0), report)


@pytest.mark.parametrize("stopping", ["default", "aggressive"])
def test_a_training_whose_kept_state_is_lost_begins_again_and_the_search_still_ends(tmp_path, stopping):
    study = new_study(tmp_path / "run")
    run(study, "thaw", stopping, SearchBudget(300, "epochs"), Forgetful(evaluator().table))
    history = History(study).update()
    assert 300 <= history.spent < 300 + EPOCHS
    again = Counter(t.user_attrs["key"] for t in store.trials(study) if "resumes" in t.user_attrs)
    assert again and max(again.values()) <= len(STOPPING["default"].rungs(EPOCHS))
    for known in history.candidates:
        assert sorted(known.curve) == list(range(1, known.epochs + 1))


def test_a_trial_that_was_killed_between_noting_a_stop_and_telling_it_is_tried_again(tmp_path):
    study = new_study(tmp_path / "run")
    run(study, "thaw", "default", SearchBudget(40, "epochs"))
    architecture = next(
        a for a in SPACE.enumerate() if a.key not in History(study).update().architectures and not a.is_baseline
    )
    study.enqueue_trial(SPACE.encode(architecture))
    killed = study.ask()
    SPACE.sample(killed.suggest_int)
    for name, value in {"key": architecture.key, "label": architecture.label, "reason": "paused after epoch 2"}.items():
        killed.set_user_attr(name, value)
    killed.set_user_attr("architecture", architecture.to_dict())
    killed.set_user_attr("stop", {"reason": "paused after epoch 2", "epoch": 2, "paused": True})
    assert recovery.release_interrupted(study) == 1
    run(study, "thaw", "default", SearchBudget(80, "epochs"))
    own = [t for t in store.trials(study) if t.user_attrs.get("key") == architecture.key]
    assert own[0].state == TrialState.FAIL and own[1].user_attrs["retry_of"] == own[0].number
    assert own[1].user_attrs["epochs_trained"] >= 2


def test_an_objective_that_is_no_number_is_a_failure_with_its_reason_and_not_tried_again(tmp_path):
    class NotANumber(ReplayEvaluator):
        def evaluate(self, architecture, budget, report):
            measured = super().evaluate(architecture, budget, report)
            bad = len(architecture.placements) == 1
            return replace(measured, metrics={**measured.metrics, **({"map50_95": math.nan} if bad else {})})

    study = new_study(tmp_path / "run")
    run(study, "thaw", "default", SearchBudget(160, "epochs"), NotANumber(evaluator().table))
    failed = [t for t in store.trials(study) if t.state == TrialState.FAIL]
    assert failed and all(t.user_attrs["reason"].startswith("nan: an objective is not finite") for t in failed)
    assert len({t.user_attrs["key"] for t in failed}) == len(failed)


def test_what_the_user_can_mend_ends_the_search_and_costs_no_candidate(tmp_path):
    class Unforeseeing(ReplayEvaluator):
        def predict_costs(self, architecture):
            raise RunError("latency.json was measured elsewhere")

    study = new_study(tmp_path / "run")
    with pytest.raises(RunError, match="measured elsewhere"):
        run(study, "thaw", "default", SearchBudget(100, "epochs"), Unforeseeing(evaluator().table))
    run(study, "thaw", "default", SearchBudget(100, "epochs"))
    failed = [t for t in store.trials(study) if t.state == TrialState.FAIL]
    assert all(interrupted(t) for t in failed)
    assert all(known.state != TrialState.FAIL for known in History(study).update().candidates)
