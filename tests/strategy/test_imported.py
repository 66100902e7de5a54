"""Architectures that the user imported, beside a search: also those that the space cannot express."""

import json

import pytest
from optuna.trial import TrialState
from support.landscape import SMALL, YOLOV8N, figures, new_study, run, table_of

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import SpaceError
from gamsearch.strategy.stopping import STOPPING
from gamsearch.study import recovery, store
from gamsearch.study.imported import ranked
from gamsearch.study.table import read_record, trial_table
from gamsearch.training.replay import ReplayEvaluator, ReplayTable

INSIDE = next(a for a in SMALL.enumerate() if len(a.placements) == 2)
OUTSIDE = Architecture.of("yolov8n", [INSIDE.placements[0], Placement(21, "SE", (("rate", 16),))])
STRONGER = Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 2),))])
FILES = {"inside.yaml": INSIDE, "outside.yaml": OUTSIDE, "stronger.yaml": STRONGER}


class Strict(ReplayEvaluator):
    """A table of the space and of what was imported; like a latency table, it predicts for the space alone."""

    def predict_costs(self, architecture):
        if architecture not in SMALL:
            raise SpaceError(f"{architecture.label} is not in the latency table")
        return super().predict_costs(architecture)


@pytest.fixture
def evaluator(tmp_path):
    path = table_of(SMALL, tmp_path / "table.json")
    table = json.loads(path.read_text())
    for architecture in (OUTSIDE, STRONGER):
        final = figures(architecture)
        trained = ("map50_95", "map50")
        curve = [{"epoch": e, **{name: final[name] * e / 3 for name in trained}} for e in (1, 2, 3)]
        built = {name: value for name, value in final.items() if name not in trained}
        table["rows"].append({"architecture": architecture.to_dict(), "metrics": built, "curves": {"0": curve}})
    path.write_text(json.dumps(table))
    return Strict(ReplayTable.read(path))


def test_a_space_knows_what_it_can_express_of_an_architecture():
    assert INSIDE in SMALL and OUTSIDE not in SMALL and STRONGER not in SMALL
    assert SMALL.encoding.part_of(OUTSIDE) == Architecture.of("yolov8n", INSIDE.placements[:1])
    assert SMALL.encoding.part_of(STRONGER).is_baseline and Architecture.of("yolov8s") not in SMALL


@pytest.mark.parametrize(
    ("sampler", "stopping"), [("thaw", "off"), ("thaw", "aggressive"), ("tpe", "off"), ("nsga2", "aggressive")]
)
def test_imported_architectures_are_trained_first_and_to_the_end_by_every_sampler(
    sampler, stopping, tmp_path, evaluator
):
    study = new_study(tmp_path / "run")
    run(study, evaluator, trials=18, sampler=sampler, stopping=STOPPING[stopping], imported=FILES)
    rows = trial_table(study)
    own = rows[rows["imported"] != ""]
    assert list(own["number"]) == [1, 2, 3] and list(own["imported"]) == list(FILES)
    assert set(own["state"]) == {"complete"} and set(own["epochs_trained"]) == {3}
    assert list(own["label"]) == [architecture.label for architecture in FILES.values()]
    assert (rows["state"] == "complete").sum() > 5 and not rows["anchor"][:4].any()


def test_an_exhausted_space_ends_the_search_only_when_all_of_its_own_architectures_are_known(tmp_path, evaluator):
    study = new_study(tmp_path / "run")
    why, _ = run(study, evaluator, trials=1000, sampler="brute", imported=FILES)
    assert why == "all 33 architectures of the space are known"
    assert {a.key for a in SMALL.enumerate()} <= set(trial_table(study)["key"])


def test_an_imported_trial_that_was_interrupted_is_repeated_with_its_architecture(tmp_path, evaluator):
    class Killed(Strict):
        def evaluate(self, architecture, budget, report):
            if architecture == OUTSIDE:
                raise KeyboardInterrupt
            return super().evaluate(architecture, budget, report)

    study = new_study(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run(study, Killed(evaluator.table), trials=5, imported=FILES)
    assert recovery.release_interrupted(study) == 1
    run(study, evaluator, trials=5, imported=FILES)
    complete = {t.user_attrs["label"]: t.user_attrs.get("imported") for t in store.trials(study, TrialState.COMPLETE)}
    assert complete[OUTSIDE.label] == "outside.yaml" and complete[STRONGER.label] == "stronger.yaml"


def test_every_imported_architecture_is_repeated_at_the_other_seeds_and_ranked_with_an_interval(tmp_path, evaluator):
    varied = Varied(evaluator.table)
    study = new_study(tmp_path / "run")
    run(study, varied, trials=8, noise_seeds=4, imported=FILES)
    record = read_record(study, "own")
    found = ranked(record)
    assert sorted(one.trial["imported"] for one in found) == sorted(FILES)
    assert [one.rank for one in found] == sorted(one.rank for one in found) and {one.among for one in found} == {8}
    for one in found:
        assert len(one.gain.differences) == 3 and 0 < one.gain.half_width < 0.1


class Varied(Strict):
    """The same table with noise that depends on architecture and seed."""

    def evaluate(self, architecture, budget, report):
        measured = super().evaluate(architecture, budget, report)
        measured.metrics["map50_95"] = figures(architecture, budget.seed)["map50_95"]
        return measured


def test_rules_of_the_space_do_not_refuse_what_was_imported(tmp_path, evaluator):
    file = tmp_path / "ruled.yaml"
    file.write_text("detector: yolov8n\nsites: [4, 6, 9]\nattention: {GAM: {rate: [4, 16]}}\nrules: {max_modules: 1}\n")
    space = type(SMALL).load(file, YOLOV8N)
    study = new_study(tmp_path / "run", space)
    run(study, evaluator, trials=6, space=space, imported={"two.yaml": INSIDE, "outside.yaml": STRONGER})
    rows = trial_table(study).set_index("imported")
    assert space.refusal(INSIDE) and rows.loc["two.yaml", "state"] == rows.loc["outside.yaml", "state"] == "complete"
