"""The benchmarks over replay tables: true values, counting of epochs, all arms. Nothing is trained."""

import json
import random
import sys
from math import inf
from pathlib import Path

import numpy as np
import optuna
import orders
import overhead
import pytest
import ranking
import search as benchmark
from summary import markdown, summary
from support.paths import ROOT
from truth import Truth, at, quartiles, reached, trivial_scores

import gamsearch
from gamsearch.architecture import Architecture
from gamsearch.errors import OptionError, RunError
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.replay import ReplayEvaluator, ReplayTable

SMALL = SearchSpace.load("gam-small", Detector.load("yolov8n"))
EPOCHS = 10
TRIVIAL = list(trivial_scores({}))
WORTH = {4: 0.05, 6: 0.02, 9: -0.02, 15: -0.03}


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Silence Optuna as the script does; restore numpy's global stream, which moasha seeds."""
    before, state = optuna.logging.get_verbosity(), np.random.get_state()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)
    np.random.set_state(state)


def gain(architecture: Architecture) -> float:
    """GAM after row 4 helps most, after rows 9 and 15 it harms; rate 4 has twice the effect of rate 16."""
    return sum(WORTH[p.site] * (1.0 if dict(p.options)["rate"] == 4 else 0.5) for p in architecture.placements)


def latency(architecture: Architecture) -> float:
    return 10.0 + sum(4.0 / float(dict(p.options)["rate"]) for p in architecture.placements)


def table_at(path: Path, noise: float = 0.0, epochs: int = EPOCHS, factor=lambda seed: 1.0, baseline=True) -> Path:
    """Write all of gam-small at seeds 0 and 1; gains rise linearly to their value times `factor(seed)`, with noise."""
    rows = []
    for architecture in SMALL.enumerate():
        if architecture.is_baseline and not baseline:
            continue
        rng = random.Random(architecture.key)
        curves = {}
        for seed in (0, 1):
            level = [
                0.3 + 0.1 * seed + 0.01 * e + factor(seed) * gain(architecture) * e / epochs + rng.gauss(0, noise)
                for e in range(1, epochs + 1)
            ]
            curves[str(seed)] = [{"epoch": e, "map50_95": m, "map50": m + 0.2} for e, m in enumerate(level, 1)]
        metrics = {"params_m": 3.0, "gflops": 8.0, "latency_ms": latency(architecture)}
        rows.append({"architecture": architecture.to_dict(), "metrics": metrics, "curves": curves})
    head = {"detector": "yolov8n", "space": "gam-small", "epochs": epochs, "seeds": [0, 1]}
    path.write_text(json.dumps({**head, "rows": rows}))
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return table_at(tmp_path / "made-up.json", noise=0.001)


@pytest.fixture
def case(table: Path) -> benchmark.Case:
    return benchmark.Case.read(table)


# truth -------------------------------------------------------------------------------------------------------------
def test_the_share_is_0_without_a_gain_and_1_for_the_front(tmp_path):
    truth = Truth.of(ReplayTable.read(table_at(tmp_path / "t.json")))
    losers = [key for key, value in truth.gains.items() if value <= 0]
    assert losers and truth.share([]) == truth.share(losers) == 0.0
    assert truth.share(truth.front) == pytest.approx(1.0) and truth.share(truth.gains) == 1.0
    assert 0.0 < truth.share(truth.front[:1]) < 1.0
    assert {truth.labels[key] for key in truth.front} >= {"GAM@4 r16", "GAM@4 r4", "GAM@4 r4 + GAM@6 r4"}


def test_the_share_is_the_area_between_baseline_and_reference_point(tmp_path):
    truth = Truth.of(ReplayTable.read(table_at(tmp_path / "t.json")))
    _, slowest = truth.reference_point
    assert slowest == pytest.approx(1.02 * 12.0 / 10.0)
    strong = next(key for key, label in truth.labels.items() if label == "GAM@4 r4")
    assert truth.volume([strong]) == pytest.approx(0.05 * (slowest - 1.1))


def test_gains_are_paired_and_averaged_over_seeds_at_the_last_epoch(tmp_path):
    truth = Truth.of(ReplayTable.read(table_at(tmp_path / "t.json", factor=lambda seed: 1.0 + seed)))
    strong = next(key for key, label in truth.labels.items() if label == "GAM@4 r4")
    assert truth.gains[strong] == pytest.approx(0.05 * 1.5) and SMALL.baseline.key not in truth.gains


def test_a_table_without_a_gain_or_without_the_baseline_is_refused(tmp_path):
    with pytest.raises(RunError, match="no architecture of the table beats the baseline"):
        Truth.of(ReplayTable.read(table_at(tmp_path / "flat.json", factor=lambda seed: 0.0)))
    with pytest.raises(RunError, match="lacks the baseline"):
        Truth.of(ReplayTable.read(table_at(tmp_path / "headless.json", baseline=False)))


def test_a_trace_is_a_step_function_and_may_never_reach_a_level():
    trace = [(10, 0.0), (20, 0.5), (35, 0.9)]
    assert [at(trace, e) for e in (0, 19, 20, 34, 99)] == [0.0, 0.0, 0.5, 0.5, 0.9]
    assert (reached(trace, 0.5), reached(trace, 0.95)) == (20.0, inf)
    assert quartiles([inf, 3.0, 1.0, 2.0]) == (1.0, 2.0, 3.0)


# arms --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("arm", ["random", "nsga2", "tpe", "thaw", "thaw-off", "tpe-default", "chosen", TRIVIAL[0]])
def test_every_arm_of_gamsearch_and_optuna_runs_and_counts_no_epoch_twice(case, arm):
    (run,) = benchmark.runs_of(case, [arm], 1, show=lambda line: None)
    spent, shares = zip(*run["found"], strict=True)
    whole_time, recommended = zip(*run["recommended"], strict=True)
    assert list(spent) == sorted(set(spent)) and spent[-1] <= EPOCHS * 32 + 25
    assert list(shares) == sorted(shares) and shares[-1] > 0.5
    assert all(more > own for own, more in zip(spent[1:], whole_time[1:], strict=True))
    assert max(recommended) <= 1.0 + 1e-9
    if arm != "chosen":  # which predicts
        assert all(0 <= some <= all_ for some, all_ in zip(recommended, shares, strict=True))
    if arm in ("random", "nsga2", "tpe", "thaw-off"):
        assert all(epochs % EPOCHS == 0 for epochs in spent)
        assert shares[-1] == pytest.approx(1.0) and shares[-2] < 1.0  # nothing is trained after the front is found


def test_the_arm_of_shared_networks_pays_for_them_and_recommends_before_any_training(case, tmp_path, monkeypatch):
    monkeypatch.setattr(orders, "SCREENED", tmp_path)
    assert orders.screened(case.space) == []
    right = dict(case.truth.gains) | {case.space.baseline.key: 0.0}
    wrong = {key: -gain for key, gain in right.items()}
    for number, score in enumerate((right, wrong)):
        file = tmp_path / f"{case.space.name}-10-{2 * number}-{2 * number + 1}.json"
        file.write_text(json.dumps({**score, "epochs": 31}))
    knowing, misled = benchmark.runs_of(case, ["shared"], 2, show=lambda line: None)
    assert knowing["found"][0] == (31, 0.0) and knowing["recommended"][0] == (31, pytest.approx(1.0))
    assert misled["recommended"][0][1] < 0.5
    assert reached(knowing["found"], 0.95) < reached(misled["found"], 0.95)


def test_a_resumed_training_is_counted_once(case, monkeypatch):
    asked: list[tuple[str, int, int]] = []

    class Counting(ReplayEvaluator):
        def evaluate(self, architecture, budget, report):
            def listen(epoch, metrics):
                if epoch and not architecture.is_baseline and budget.seed == 0:
                    asked.append((architecture.key, epoch, budget.done))
                report(epoch, metrics)

            return super().evaluate(architecture, budget, listen)

    monkeypatch.setattr(benchmark, "ReplayEvaluator", Counting)
    trace, _ = benchmark.searched("thaw", "default", case.table, case.space, case.truth, 0)
    assert any(done > 0 for _, _, done in asked)  # something was resumed, otherwise this tests nothing
    assert trace[-1][0] == len({(key, epoch) for key, epoch, _ in asked}) == len(asked)


def test_runs_differ_by_seed_and_repeat_exactly(case):
    first, second = (benchmark.runs_of(case, ["random", "thaw"], 2, show=lambda line: None) for _ in range(2))
    assert first == second
    assert [(run["arm"], run["seed"]) for run in first] == [("random", 0), ("thaw", 0), ("random", 1), ("thaw", 1)]
    assert first[1]["found"] != first[3]["found"]


def test_a_resampled_table_shows_every_architecture_a_recorded_gain(case):
    shown, base = benchmark.resampled(case.table, 3), benchmark.baseline_row(case.table)
    assert shown.seeds == (0, 1) and shown.rows.keys() == case.table.rows.keys()
    here = benchmark.baseline_row(shown)["curves"]["0"]
    drawn = set()
    for key, row in case.table.rows.items():
        gains = {
            seed: [
                ours["map50_95"] - theirs["map50_95"] for ours, theirs in zip(curve, base["curves"][seed], strict=True)
            ]
            for seed, curve in row["curves"].items()
        }
        seen = [
            ours["map50_95"] - theirs["map50_95"]
            for ours, theirs in zip(shown.rows[key]["curves"]["0"], here, strict=True)
        ]
        matching = [seed for seed, gain in gains.items() if gain == pytest.approx(seen, abs=1e-12)]
        assert matching
        drawn |= set(matching[:1])
    assert len(drawn) > 1


def test_the_baseline_of_a_resampled_table_has_the_recorded_noise(case):
    recorded = benchmark.baseline_row(case.table)["curves"]
    for seed in range(6):
        shown = benchmark.baseline_row(benchmark.resampled(case.table, seed))["curves"]
        last = [sorted(curve[-1]["map50_95"] for curve in curves.values()) for curves in (shown, recorded)]
        assert last[0] == pytest.approx(last[1]) and last[0][0] < last[0][1]


def test_moasha_of_syne_tune_finds_the_front_and_counts_no_epoch_twice(case):
    pytest.importorskip("syne_tune", reason="syne-tune is not installed; pip install 'gamsearch[bench]'")
    (run,) = benchmark.runs_of(case, ["moasha"], 1, show=lambda line: None)
    spent, shares = zip(*run["found"], strict=True)
    assert list(spent) == sorted(set(spent)) and spent[-1] <= EPOCHS * 32
    assert any(after - before < EPOCHS for before, after in zip((0, *spent), spent, strict=False))
    assert shares[-1] == pytest.approx(1.0)


def test_without_syne_tune_the_error_names_the_package_to_install(case, monkeypatch):
    monkeypatch.setitem(sys.modules, "syne_tune", None)
    for name in [name for name in sys.modules if name.startswith("syne_tune.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(OptionError, match=r"pip install 'gamsearch\[bench\]'"):
        benchmark.ARMS["moasha"](case.table, case.space, case.truth, 0)


# summary -----------------------------------------------------------------------------------------------------------
def made_up_runs(epochs: dict[str, list[int]]) -> list[dict]:
    """Runs that find everything after the given epochs (0: never)."""
    return [
        {"arm": arm, "seed": seed, **dict.fromkeys(("found", "recommended"), [(spent or 640, 1.0 if spent else 0.5)])}
        for arm, own in epochs.items()
        for seed, spent in enumerate(own)
    ]


def test_the_ratio_is_to_the_fastest_alternative_and_the_arms_of_gamsearch_are_none():
    epochs = {"random": [200, 220, 240], "tpe": [100, 120, 140], "thaw": [40, 60, 80], "thaw-off": [10, 10, 10]}
    runs = made_up_runs(epochs)
    rows = {row["arm"]: row for row in summary(runs, benchmark.ALTERNATIVES) if row["measure"] == "epochs to 95 %"}
    assert {row["alternative"] for row in rows.values()} == {"tpe"}
    assert rows["thaw"]["epochs"] == 60 and rows["thaw"]["ratio"] == 0.5 and rows["tpe"]["ratio"] == 1.0
    assert rows["thaw"]["ratio_interval"][0] < 0.5 < rows["thaw"]["ratio_interval"][1]
    assert "| thaw | 60 [40, 80] | 0.50" in markdown(list(rows.values()))


@pytest.mark.parametrize("name", ["planted", "bccd"])
def test_the_documentation_states_what_the_recorded_runs_give(name):
    runs = json.loads((ROOT / f"results/benchmark/{name}.json").read_text())["runs"]
    page = (ROOT / "docs/results/samplers.md").read_text()
    for line in markdown(summary(runs, benchmark.ALTERNATIVES)).splitlines():
        assert line in page, line


def test_runs_that_never_reach_a_level_count_as_infinite_and_not_as_missing():
    rows = summary(made_up_runs({"random": [100, 0, 0], "thaw": [50, 0, 70]}), ["random"])
    random_, freeze_thaw = (row for row in rows if row["measure"] == "epochs to 95 %")
    assert random_["epochs"] == inf and random_["share_reached"] == pytest.approx(1 / 3) and "ratio" not in freeze_thaw
    assert freeze_thaw["epochs"] == 70
    assert "∞" in markdown(rows)


def test_the_script_writes_runs_front_and_plots_and_prints_a_table(table, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", f"search.py {table} --arms random thaw --seeds 2 --out {out}".split())
    assert benchmark.main() == 0
    assert "| thaw |" in capsys.readouterr().out
    written = json.loads((out / "made-up.json").read_text())
    assert len(written["runs"]) == 4 and written["architectures"] == 32 and written["front"][0]["gain"] > 0
    assert all((out / f"made-up.{form}").stat().st_size > 1000 for form in ("png", "html"))


@pytest.mark.parametrize("script", [benchmark, ranking])
def test_an_unreadable_table_gives_a_one_line_error_and_exit_code_2(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "none.json"), "--out", str(tmp_path)])
    assert script.main() == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unknown_arm_is_refused_with_the_nearest_name(table, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["search.py", str(table), "--arms", "thow", "--out", str(tmp_path)])
    assert benchmark.main() == 2
    assert "did you mean 'thaw'" in capsys.readouterr().err


# ranking -----------------------------------------------------------------------------------------------------------


def test_two_tables_are_compared_over_the_same_architectures(tmp_path):
    right = ranking.Gains.of(ReplayTable.read(table_at(tmp_path / "t.json")))
    wrong = ranking.Gains(right.keys, right.seeds, -right.values)
    assert ranking.difference(right, right, right) == {"tau": 0.0, "low": 0.0, "high": 0.0}
    found = ranking.difference(right, wrong, right)
    assert found["tau"] == pytest.approx(2.0, abs=0.05) and found["low"] > 1.5
    few = right.only(list(right.keys[:2]))
    with pytest.raises(RunError, match="2 architectures are in all tables"):
        ranking.difference(right, few, right)


def test_tau_of_a_perfect_table_is_1_at_every_epoch_and_in_every_version(tmp_path):
    gains = ranking.Gains.of(ReplayTable.read(table_at(tmp_path / "t.json")))
    rounded = ranking.Gains(gains.keys, gains.seeds, gains.values.round(9))  # ties remain ties despite rounding errors
    rows = ranking.compare(rounded, rounded)
    assert len(rows) == 3 * EPOCHS and all(row["tau"] == pytest.approx(1.0) for row in rows)
    assert ranking.retest(rounded)["tau"] == pytest.approx(1.0)


def test_other_seeds_excludes_the_seed_of_the_short_training(tmp_path):
    path = table_at(tmp_path / "t.json", noise=1e-6, factor=lambda seed: 1.0 if seed else -1.0)
    rows = ranking.compare(*[ranking.Gains.of(ReplayTable.read(path))] * 2)
    last = {row["version"]: row["tau"] for row in rows if row["epochs"] == EPOCHS}
    assert last["same seed"] == 1.0 and last["other seeds"] < -0.9


def test_a_long_gain_averaged_over_the_last_epochs_is_less_noisy(tmp_path):
    gains = ranking.Gains.of(ReplayTable.read(table_at(tmp_path / "t.json", noise=0.02)))
    assert np.allclose(gains.settled(3), gains.values[:, :, 7:].mean(axis=2))
    assert ranking.retest(gains, last=5)["tau"] > ranking.retest(gains)["tau"]


def test_pooled_gains_of_noisy_seeds_rank_better_than_those_of_one(tmp_path):
    short, long = (
        ranking.Gains.of(ReplayTable.read(table_at(tmp_path / f"{noise}.json", noise=noise))) for noise in (0.02, 0.0)
    )

    def taus(pooled):
        rows = ranking.compare(short, long, pooled=pooled)
        return [row["tau"] for row in rows if row["version"] == "all seeds"]

    single, pooled = taus(False), taus(True)
    assert len(single) == len(pooled) == EPOCHS
    assert sum(pooled) > sum(single)
    mean = ranking.Gains(short.keys, (7,), short.values.mean(axis=1, keepdims=True))
    assert taus(True) == [row["tau"] for row in ranking.compare(mean, long) if row["version"] == "all seeds"]


def test_tables_with_different_seeds_are_joined_and_others_are_refused(tmp_path, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ranking.py", *map(str, arguments), "--out", str(tmp_path)])
        return ranking.main()

    first, text = table_at(tmp_path / "a.json", noise=0.02), (tmp_path / "a.json").read_text()
    second, short = tmp_path / "b.json", table_at(tmp_path / "c.json", epochs=2)
    second.write_text(
        text.replace('"seeds": [0, 1]', '"seeds": [2, 3]').replace('"0": [', '"2": [').replace('"1": [', '"3": [')
    )
    assert run(first, second, "--join", "--pooled", "--long", second, first) == 0
    assert "a + b, mean of the short seeds: 32 architectures, short seeds [0, 1, 2, 3]; long: b + a" in (
        capsys.readouterr().out
    )
    (found,) = json.loads((tmp_path / "ranking.json").read_text())
    assert found["rows"][-1]["tau"] == pytest.approx(1.0) and found["rows"][-1]["version"] == "all seeds"
    assert run(first, "--long", first, first) == 2 and "different seeds" in capsys.readouterr().err
    assert run(first, short, "--join") == 2 and "tables of 2 and 10 epochs" in capsys.readouterr().err


def test_a_table_of_few_epochs_is_compared_with_the_long_ranking_of_another(tmp_path, table, monkeypatch, capsys):
    short = table_at(tmp_path / "fork-5.json", noise=0.001, epochs=2)
    monkeypatch.setattr(sys, "argv", ["ranking.py", str(short), "--long", str(table), "--out", str(tmp_path)])
    assert ranking.main() == 0
    assert "test-retest" in capsys.readouterr().out
    (found,) = json.loads((tmp_path / "ranking.json").read_text())
    assert (found["epochs"], found["long_epochs"], found["long"]) == (2, EPOCHS, "made-up")
    assert max(row["epochs"] for row in found["rows"]) == 2 and found["rows"][1]["tau"] > 0.6


# overhead ----------------------------------------------------------------------------------------------------------
def test_the_overhead_is_timed_per_trial_up_to_the_requested_number(tmp_path):
    stopwatch, states = overhead.measure("random", "default", 15, tmp_path)
    assert len(stopwatch.wall) >= 15 and "complete" in states
    last = stopwatch.per_trial()
    assert (last["wall"] > 0).all() and last["cpu"].sum() > 0 and not last["repeat"].all()


def test_every_profiled_part_is_a_function_of_gamsearch_or_optuna():
    roots = [Path(module.__file__).parent for module in (gamsearch, optuna)]
    for file, function in overhead.PARTS.values():
        sources = [path.read_text() for root in roots for path in root.rglob(file)]
        assert any(f"def {function}(" in source for source in sources), (file, function)


def test_too_few_trials_to_measure_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["overhead.py", "--trials", "100"])
    assert overhead.main() == 2
    assert "must be above 400" in capsys.readouterr().err


def test_the_scores_of_a_world_are_not_those_of_another_one_or_of_another_recipe():
    recorded = {path.name for path in orders.SCREENED.glob("planted-*.json")}
    found = [path.name for path in orders.screened(SearchSpace.load("planted"))]
    assert found == ["planted-10-0-1.json", "planted-10-2-3.json", "planted-10-4-5.json"]
    assert {"planted-harm-10-0-1.json", "planted-10-lr3-0-1.json"} <= recorded - set(found)
