"""The search over a replayed table: what is proposed, recorded and resumed. Nothing is trained."""

from contextlib import ExitStack

import pytest
from optuna.trial import TrialState
from support.landscape import SMALL, PredictsCosts, figures, keys, new_study, run

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.spec import AttentionSpec
from gamsearch.errors import RunError
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.stopping import STOPPING
from gamsearch.study import recovery, store
from gamsearch.study.table import read_record, trial_table
from gamsearch.testing.sampler import MadeUp


def test_trial_0_is_the_baseline_and_hand_placements_come_next(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=6)
    rows = trial_table(study)
    assert rows["label"].iloc[0] == "baseline" and not rows["anchor"].iloc[0]
    assert rows[rows["anchor"]]["label"].tolist() == ["GAM@4 r4", "GAM@6 r4", "GAM@9 r4"]


def test_a_short_run_with_ten_modules_samples_at_least_half_of_its_trials(tmp_path):
    """One anchor per module and place would leave no trial to the sampler."""
    names = [f"M{i}" for i in range(10)]
    file = tmp_path / "ten.yaml"
    file.write_text("detector: yolov8n\nattention: {" + ", ".join(f"{name}: {{}}" for name in names) + "}\n")
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(CATALOGUE.temporarily(name, AttentionSpec(name, "", "", "", {}, lambda c, o: None)))
        study, space = new_study(tmp_path / "run"), SearchSpace.load(file)
        run(study, MadeUp(), trials=8, space=space)
        rows = trial_table(study)
        trained = rows[(rows["state"] == "complete") & (rows["label"] != "baseline")]
        assert len(trained) == 8 and len(trained[~trained["anchor"]]) >= 4
        assert rows[rows["anchor"]]["label"].iloc[0] == "M0@15 + M0@18 + M0@21"


def test_the_number_of_trials_counts_evaluated_candidates_without_the_baseline(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    why, _ = run(study, evaluator, trials=9)
    assert why == "the budget of 9 full trainings is used up: 9 candidates, 27 epochs"
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


def test_an_evaluator_that_always_fails_ends_the_search_with_its_error(tmp_path, evaluator):
    class Broken(PredictsCosts):
        def evaluate(self, architecture, budget, report):
            if architecture.is_baseline:
                return evaluator.evaluate(architecture, budget, report)
            raise RuntimeError("the disk is on fire")

    with pytest.raises(RunError, match="the disk is on fire"):
        run(new_study(tmp_path / "run"), Broken(), trials=20)


def test_a_search_resumed_after_an_interruption_retries_that_trial_and_loses_none(tmp_path, evaluator):
    class Interrupted(PredictsCosts):
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
    assert recovery.release_interrupted(study) == 0  # only once
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


@pytest.mark.parametrize(
    ("sampler", "stopping", "validated"), [("tpe", "off", 1), ("tpe", "default", 3), ("thaw", "off", 3)]
)
def test_epochs_whose_metrics_nothing_reads_are_not_validated(tmp_path, evaluator, sampler, stopping, validated):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=2, sampler=sampler, stopping=STOPPING[stopping], noise_seeds=2)
    complete = [t.user_attrs for t in study.get_trials() if t.state == TrialState.COMPLETE]
    assert {len(own["curve"]) for own in complete} == {validated}
    assert {own["epochs_trained"] for own in complete} == {3}
