"""The baseline, its noise over seeds, and the best candidate at those seeds."""

from dataclasses import replace

import pytest
from support.landscape import SMALL, PredictsCosts, figures, keys, new_study, run

from gamsearch.analysis.noise import architectures_to_repeat
from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, RunError
from gamsearch.space.search_space import Limit
from gamsearch.study import store
from gamsearch.study.table import read_record, trial_table


def test_a_baseline_that_fails_ends_the_run_since_nothing_can_be_compared(tmp_path):
    class Broken(PredictsCosts):
        def evaluate(self, architecture, budget, report):
            raise CandidateFailed("out_of_memory", "batch 8 does not fit")

    with pytest.raises(RunError, match="batch 8 does not fit"):
        run(new_study(tmp_path / "run"), Broken())


def test_a_baseline_that_failed_or_was_interrupted_comes_first_when_the_search_is_resumed(tmp_path, evaluator):
    class Raises(PredictsCosts):
        def __init__(self, error):
            self.error = error

        def evaluate(self, architecture, budget, report):
            raise self.error

    study = new_study(tmp_path / "run")
    for error in (KeyboardInterrupt(), CandidateFailed("out_of_memory", "another process holds the memory")):
        with pytest.raises((KeyboardInterrupt, RunError)):
            run(study, Raises(error))
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


def test_a_baseline_that_fails_at_a_noise_seed_ends_the_search_with_a_sentence_and_can_be_resumed(tmp_path, evaluator):
    class FailsAtSeedOne(PredictsCosts):
        def evaluate(self, architecture, budget, report):
            if budget.seed == 1:
                raise ValueError("no such file")
            return evaluator.evaluate(architecture, budget, report)

    study = new_study(tmp_path / "run")
    with pytest.raises(RunError, match="no such file"):
        run(study, FailsAtSeedOne(), noise_seeds=3)
    run(study, evaluator, trials=2, noise_seeds=3)
    assert len(study.user_attrs["baseline_seeds"]) == 3


def test_the_noise_of_the_baseline_is_measured_at_other_seeds_once(tmp_path, evaluator):
    seen: list[int] = []

    class Noisy(PredictsCosts):
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

    class Noisy(PredictsCosts):
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
    assert record.searched.gain.differences == pytest.approx(expected)
    before = len(seen)
    run(study, Noisy(), trials=6, noise_seeds=5)
    assert len(seen) == before
    assert "four" in record.verdict()


def test_with_two_seeds_the_first_other_candidates_are_trained_again_as_well_also_if_one_fails(tmp_path, evaluator):
    failing: set[str] = set()

    class Noisy(PredictsCosts):
        def evaluate(self, architecture, budget, report):
            if budget.seed and architecture.key in failing:
                raise CandidateFailed("nan", "loss is NaN")
            measured = evaluator.evaluate(architecture, budget, report)
            noisy = figures(architecture, budget.seed)["map50_95"]
            return replace(measured, metrics={**measured.metrics, "map50_95": noisy})

    study = new_study(tmp_path / "run")
    run(study, Noisy(), trials=9, noise_seeds=1)
    candidates = read_record(study, "run").candidates
    first = candidates.iloc[1:].sort_values("number")["key"].tolist()
    failing.add(first[1])
    run(study, Noisy(), trials=9, noise_seeds=2)
    expected = {candidates.iloc[0]["key"], *first[: architectures_to_repeat(2) - 1]} - failing
    record = read_record(study, "run")
    assert len(expected) == 5 and record.repeated.keys() == expected
    assert all(sorted(seeds) == [0, 1] for seeds in record.repeated.values())
    assert record.noise.freedom == 5 and record.searched.gain.noise.freedom == 5
