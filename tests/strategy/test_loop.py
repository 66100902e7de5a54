"""The search over a replayed table: what is proposed, refused, recalled, recorded and resumed. Nothing is trained."""

import copy
import json
import math
import random
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, RunError
from gamsearch.evaluation import TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import Limit, SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING
from gamsearch.study import recovery, store
from gamsearch.study.table import read_record, trial_table
from gamsearch.training.replay import ReplayEvaluator, ReplayTable

YOLOV8N = Detector.load("yolov8n")
SMALL = SearchSpace.load("gam-small", YOLOV8N)
BUDGET = TrialBudget(epochs=3, imgsz=160, batch=8, seed=0)


class Foreseeing:
    """The half of an evaluator that most of these tests do not change."""

    def predict_costs(self, architecture):
        return {name: value for name, value in figures(architecture).items() if not name.startswith("map")}


class Quiet:
    """A progress that remembers instead of showing."""

    def __init__(self):
        self.outcomes: dict[int, str] = {}

    def started(self, number, label, used, search_budget): ...

    def epoch(self, epoch, epochs, metrics): ...

    def ended(self, number, outcome, gain):
        self.outcomes[number] = outcome


def figures(architecture: Architecture, seed: int = 0) -> dict[str, float]:
    """A made-up landscape: cost adds up, GAM after row 4 helps, each further module costs accuracy."""
    rng = random.Random(f"{architecture.key}{seed}")
    cost = sum(4.0 / dict(p.options)["rate"] for p in architecture.placements)
    helps = 0.03 if any(p.site == 4 for p in architecture.placements) else 0.0
    score = 0.40 + helps - 0.004 * len(architecture.placements) + rng.gauss(0, 0.002)
    costs = {"params_m": 3.0 + cost, "gflops": 8.0 + cost, "latency_ms": 10.0 + cost}
    return {"map50_95": score, "map50": score + 0.2, **costs}


def table_of(space: SearchSpace, path: Path) -> Path:
    rows = []
    for architecture in space.enumerate():
        final = figures(architecture)
        trained = ("map50_95", "map50")
        curve = [{"epoch": e, **{name: final[name] * e / 3 for name in trained}} for e in (1, 2, 3)]
        built = {name: value for name, value in final.items() if name not in trained}
        rows.append({"architecture": architecture.to_dict(), "metrics": built, "curves": {"0": curve}})
    path.write_text(json.dumps({"detector": space.detector.name, "epochs": 3, "seeds": [0], "rows": rows}))
    return path


@pytest.fixture
def evaluator(tmp_path: Path) -> ReplayEvaluator:
    return ReplayEvaluator(ReplayTable.read(table_of(SMALL, tmp_path / "table.json")))


def new_study(folder: Path, space: SearchSpace = SMALL) -> optuna.Study:
    folder.mkdir(exist_ok=True)
    return store.create(folder, [metric_named(m) for m in space.objectives], {"settings": {}})


def run(study: optuna.Study, evaluator, trials: int = 6, space: SearchSpace = SMALL, **plan) -> tuple[str, Quiet]:
    progress = Quiet()
    chosen = Plan(space, BUDGET, SearchBudget(trials), **{"sampler": "random", "noise_seeds": 1, **plan})
    return search(study, chosen, evaluator, progress), progress


def keys(study: optuna.Study, state: TrialState = TrialState.COMPLETE) -> list[str]:
    return [t.user_attrs["key"] for t in store.trials(study, state) if "recalled_from" not in t.user_attrs]


def test_trial_0_is_the_baseline_and_hand_placements_come_next(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=3)
    rows = trial_table(study)
    assert rows["label"].iloc[0] == "baseline" and not rows["anchor"].iloc[0]
    assert rows[rows["anchor"]]["label"].tolist() == ["GAM@4 r4", "GAM@6 r4", "GAM@9 r4"]


def test_the_number_of_trials_counts_evaluated_candidates_without_the_baseline(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    why, _ = run(study, evaluator, trials=9)
    assert why == "9 candidates were evaluated"
    assert len(keys(study)) == 10


@pytest.mark.parametrize("sampler", ["auto", "thaw", "gp", "tpe", "nsga2", "random", "brute"])
def test_every_sampler_searches_and_never_evaluates_an_architecture_twice(tmp_path, evaluator, sampler):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=16, sampler=sampler)
    assert len(keys(study)) == len(set(keys(study))) == 17


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_proposes_the_same_architectures(tmp_path, evaluator, sampler):
    studies = [new_study(tmp_path / name) for name in ("one", "two")]
    for study in studies:
        run(study, evaluator, trials=14, sampler=sampler)
    assert keys(studies[0]) == keys(studies[1])


def test_brute_evaluates_every_architecture_of_a_small_space_once_and_stops(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    why, _ = run(study, evaluator, trials=1000, sampler="brute")
    assert why == "all 33 architectures of the space are known"
    assert sorted(keys(study)) == sorted(a.key for a in SMALL.enumerate())


def test_a_repeat_is_answered_from_the_record_and_told_neither_fail_nor_trained(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=2)
    first = store.trials(study)[1]
    study.enqueue_trial(first.params)
    run(study, evaluator, trials=12)
    repeat = next(t for t in store.trials(study) if t.user_attrs.get("recalled_from") == 1)
    assert (repeat.state, repeat.values) == (TrialState.COMPLETE, first.values)
    assert not trial_table(study).set_index("number").loc[repeat.number, "on_front"]


def test_a_failed_candidate_is_recorded_with_its_reason_and_the_search_goes_on(tmp_path, evaluator):
    victim = SMALL.anchors()[0]

    class NanAtOne(Foreseeing):
        def evaluate(self, architecture, budget, report):
            if architecture == victim:
                report(0, {"params_m": 3.0, "gflops": 8.0, "latency_ms": 11.0})
                raise CandidateFailed("nan", "the training loss is not finite in epoch 1")
            return evaluator.evaluate(architecture, budget, report)

    study = new_study(tmp_path / "run")
    _, progress = run(study, NanAtOne(), trials=5)
    failed = store.trials(study, TrialState.FAIL)
    assert [t.user_attrs["reason"] for t in failed] == ["nan: the training loss is not finite in epoch 1"]
    assert "not finite" in progress.outcomes[failed[0].number]
    study.enqueue_trial(SMALL.encode(victim))
    run(study, NanAtOne(), trials=7)
    again = [t for t in store.trials(study) if t.user_attrs.get("key") == victim.key]
    assert again[0].state == TrialState.FAIL
    assert {t.state for t in again[1:]} == {TrialState.PRUNED}  # known: neither tried again nor told FAIL


def test_an_evaluator_that_always_breaks_ends_the_run_with_its_error(tmp_path, evaluator):
    class Broken(Foreseeing):
        def evaluate(self, architecture, budget, report):
            if architecture.is_baseline:
                return evaluator.evaluate(architecture, budget, report)
            raise RuntimeError("the disk is on fire")

    with pytest.raises(RunError, match="the disk is on fire"):
        run(new_study(tmp_path / "run"), Broken(), trials=20)


def test_a_baseline_that_fails_ends_the_run_since_nothing_can_be_compared(tmp_path):
    class Broken(Foreseeing):
        def evaluate(self, architecture, budget, report):
            raise CandidateFailed("out_of_memory", "batch 8 does not fit")

    with pytest.raises(RunError, match="batch 8 does not fit"):
        run(new_study(tmp_path / "run"), Broken())


def test_a_baseline_that_failed_or_was_interrupted_comes_first_when_the_run_goes_on(tmp_path, evaluator):
    class StoppingSettings(Foreseeing):
        def __init__(self, error):
            self.error = error

        def evaluate(self, architecture, budget, report):
            raise self.error

    study = new_study(tmp_path / "run")
    for error in (KeyboardInterrupt(), CandidateFailed("out_of_memory", "another process holds the memory")):
        with pytest.raises((KeyboardInterrupt, RunError)):
            run(study, StoppingSettings(error))
    again = store.load(tmp_path / "run")
    run(again, evaluator, trials=3)
    rows = trial_table(again)
    assert rows[rows["state"] == "complete"]["label"].tolist()[0] == "baseline"
    record = read_record(again, "run")
    assert record.baseline["number"] == 2 and "baseline" not in record.candidates["label"].tolist()
    assert len(keys(again)) == 4


def test_a_baseline_above_an_absolute_limit_is_still_the_baseline(tmp_path, evaluator):
    limited = replace(SMALL, limits=(Limit("params_m", "2.0"),))
    study = new_study(tmp_path / "run", limited)
    run(study, evaluator, trials=2, space=limited, sampler="random")
    assert keys(study) == [SMALL.baseline.key]


def test_a_baseline_that_fails_at_a_noise_seed_ends_the_run_with_a_sentence_and_goes_on_later(tmp_path, evaluator):
    class FailsAtSeedOne(Foreseeing):
        def evaluate(self, architecture, budget, report):
            if budget.seed == 1:
                raise ValueError("no such file")
            return evaluator.evaluate(architecture, budget, report)

    study = new_study(tmp_path / "run")
    with pytest.raises(RunError, match="no such file"):
        run(study, FailsAtSeedOne(), noise_seeds=3)
    run(study, evaluator, trials=2, noise_seeds=3)
    assert len(study.user_attrs["baseline_seeds"]) == 3


def test_a_limit_refuses_before_training_and_says_by_how_much(tmp_path, evaluator):
    trained: list[str] = []

    class Counting(Foreseeing):
        def evaluate(self, architecture, budget, report):
            def listen(epoch, metrics):
                report(epoch, metrics)
                trained.append(architecture.label) if epoch else None

            return evaluator.evaluate(architecture, budget, listen)

    limited = replace(SMALL, limits=(Limit("params_m", "+20%"),))  # 3.0 M -> 3.6 M: a single r4 (+1.0) is too much
    study = new_study(tmp_path / "run", limited)
    run(study, Counting(), trials=5, space=limited)
    refused = [t for t in store.trials(study, TrialState.PRUNED) if "rule" not in t.user_attrs["reason"]]
    assert refused and all("params_m" in t.user_attrs["reason"] for t in refused)
    assert all("r4" not in label for label in trained)
    assert all(t.constraints["limit:params_m"] > 0 for t in refused if "recalled_from" not in t.user_attrs)
    assert all(not t.user_attrs["feasible"] for t in refused)
    assert all(t.user_attrs["feasible"] for t in store.trials(study, TrialState.COMPLETE))
    assert {t.number for t in study.best_trials} <= {t.number for t in store.trials(study, TrialState.COMPLETE)}


@pytest.mark.parametrize("sampler", ["auto", "tpe", "nsga2", "random", "brute"])
def test_every_sampler_lives_with_rules_and_limits(tmp_path, evaluator, sampler):
    limited = replace(SMALL, limits=(Limit("params_m", "+40%"), Limit("latency_ms", "11.5")))
    study = new_study(tmp_path / "run", limited)
    run(study, evaluator, trials=14, space=limited, sampler=sampler)
    names = {"rules", "limit:params_m", "limit:latency_ms"}
    assert all(set(t.constraints) == names for t in store.trials(study, TrialState.COMPLETE, TrialState.PRUNED))
    assert len(keys(study)) > 10


def test_rules_refuse_without_evaluating(tmp_path, evaluator):
    single = SearchSpace.load("gam-demo", YOLOV8N)
    study = new_study(tmp_path / "run", single)
    run(study, evaluator, trials=20, space=single)
    broken = [t for t in store.trials(study, TrialState.PRUNED) if t.user_attrs["reason"].startswith("rule")]
    assert broken and all("built" not in t.user_attrs for t in broken)


def test_a_search_resumed_after_an_interruption_retries_that_trial_and_loses_none(tmp_path, evaluator):
    class Interrupted(Foreseeing):
        calls = 0

        def evaluate(self, architecture, budget, report):
            Interrupted.calls += 1
            if Interrupted.calls == 4:
                raise KeyboardInterrupt
            return evaluator.evaluate(architecture, budget, report)

    study = new_study(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run(study, Interrupted(), trials=8)
    stopped = store.trials(study)[3].user_attrs["key"]
    assert len(keys(study)) == 3
    again = store.load(tmp_path / "run")
    run(again, evaluator, trials=8)
    assert stopped in keys(again) and len(keys(again)) == len(set(keys(again))) == 9
    assert [t.state for t in store.trials(again)].count(TrialState.FAIL) == 1


def test_a_trial_that_a_killed_process_left_running_is_released_and_enqueued_again(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=2)
    orphan = study.ask()
    wanted = SMALL.sample(orphan.suggest_int)
    assert recovery.release_interrupted(study) == 1
    assert recovery.release_interrupted(study) == 0  # once is enough
    run(study, evaluator, trials=30, sampler="random")
    assert wanted.key in keys(study)


def test_a_journal_cut_off_in_the_middle_of_a_write_is_repaired(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=4)
    known = keys(study)
    journal = tmp_path / "run" / store.JOURNAL
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 8, "trial_id": 4, "us')
    assert store.repair_torn_line(tmp_path / "run") and not store.repair_torn_line(tmp_path / "run")
    again = store.load(tmp_path / "run")
    run(again, evaluator, trials=6)
    assert keys(again)[: len(known)] == known and len(keys(again)) == 7


def test_gains_are_paired_differences_to_trial_0(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=4)
    rows = trial_table(study)
    assert rows["map50_95_gain"].iloc[0] == 0.0
    expected = rows["map50_95"] - figures(SMALL.baseline)["map50_95"]
    assert (rows["map50_95_gain"] - expected).abs().max() < 1e-12


def test_the_noise_of_the_baseline_is_measured_at_other_seeds_once(tmp_path, evaluator):
    seen: list[int] = []

    class Noisy(Foreseeing):
        def evaluate(self, architecture, budget, report):
            if architecture.is_baseline:
                seen.append(budget.seed)
            measured = evaluator.evaluate(architecture, budget, report)
            noisy = figures(architecture, budget.seed)["map50_95"]
            return replace(measured, metrics={**measured.metrics, "map50_95": noisy})

    study = new_study(tmp_path / "run")
    run(study, Noisy(), trials=2, noise_seeds=3)
    run(study, Noisy(), trials=4, noise_seeds=3)
    assert seen == [0, 1, 2]
    record = read_record(study, "run")
    assert [s["seed"] for s in record.baseline_seeds] == [0, 1, 2] and record.noise.seeds == 3


def test_the_best_candidate_is_confirmed_at_the_seeds_it_was_not_chosen_at_and_only_once(tmp_path, evaluator):
    seen: list[tuple[str, int]] = []

    class Noisy(Foreseeing):
        def evaluate(self, architecture, budget, report):
            seen.append((architecture.key, budget.seed))
            measured = evaluator.evaluate(architecture, budget, report)
            noisy = figures(architecture, budget.seed)["map50_95"]
            return replace(measured, metrics={**measured.metrics, "map50_95": noisy})

    study = new_study(tmp_path / "run")
    run(study, Noisy(), trials=6, noise_seeds=5)
    record = read_record(study, "run")
    best = record.candidates.iloc[0]
    assert [seed for key, seed in seen if key == best["key"]] == [0, 1, 2, 3, 4]
    architecture = Architecture.from_dict(best["architecture"])
    expected = [figures(architecture, s)["map50_95"] - figures(SMALL.baseline, s)["map50_95"] for s in (1, 2, 3, 4)]
    assert record.confirmation.gains == pytest.approx(expected)
    before = len(seen)
    run(study, Noisy(), trials=6, noise_seeds=5)
    assert len(seen) == before
    assert "4 paired seeds" in record.verdict()


def test_the_planted_effect_is_found_within_a_third_of_the_space(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=10, sampler="gp")
    best = read_record(study, "run").best
    assert "GAM@4" in best["label"]


def test_the_front_has_no_dominated_member_and_contains_the_baseline_when_nothing_is_cheaper(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=12)
    rows = trial_table(study)
    front = rows[rows["on_front"]]
    assert 0 in front["number"].tolist()
    for _, a in front.iterrows():
        better = (rows["map50_95"] >= a["map50_95"]) & (rows["latency_ms"] < a["latency_ms"])
        assert not better.any()


def test_two_hundred_recorded_trials_cost_little_per_ask(tmp_path, evaluator):
    import time

    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=20)
    begun = time.process_time()
    for _ in range(100):
        study.enqueue_trial(store.trials(study)[1].params)
    run(study, evaluator, trials=21)
    assert (time.process_time() - begun) / 100 < 0.2


def test_a_table_that_is_none_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "t.json").write_text('{"detector": "yolov8n", "rows": [{"architecture": {"detector": "yolov8n"}}]}')
    with pytest.raises(RunError, match="not a replay table"):
        ReplayTable.read(tmp_path / "t.json")
    good = json.loads(table_of(SMALL, tmp_path / "good.json").read_text())
    for place, value in (("metrics", "fast"), ("metrics", math.nan), ("curve", None), ("curve", math.inf)):
        bad = copy.deepcopy(good)
        if place == "metrics":
            bad["rows"][3]["metrics"]["latency_ms"] = value
        else:
            bad["rows"][3]["curves"]["0"][1]["map50_95"] = value
        (tmp_path / "t.json").write_text(json.dumps(bad))
        with pytest.raises(RunError, match="not a replay table"):
            ReplayTable.read(tmp_path / "t.json")
    (tmp_path / "t.json").write_text("[1, 2]")
    with pytest.raises(RunError, match="not a replay table"):
        ReplayTable.read(tmp_path / "t.json")
    with pytest.raises(RunError, match="cannot be read"):
        ReplayTable.read(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("sampler", "stopping", "validated"), [("tpe", "off", 1), ("tpe", "default", 3), ("thaw", "off", 3)]
)
def test_epochs_that_nobody_reads_are_not_validated(tmp_path, evaluator, sampler, stopping, validated):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=2, sampler=sampler, stopping=STOPPING[stopping], noise_seeds=2)
    complete = [t.user_attrs for t in study.get_trials() if t.state == TrialState.COMPLETE]
    assert {len(own["curve"]) for own in complete} == {validated}
    assert {own["epochs_trained"] for own in complete} == {3}
