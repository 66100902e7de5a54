"""Scores on recorded tables: what the documentation states, what a gate is blind to, and bad files of scores."""

import json
import re
import sys

import agreement
import numpy as np
import orders
import pytest
import scores
from scipy import stats
from support.paths import ROOT
from truth import Truth, trivial_scores

from gamsearch.architecture import Architecture
from gamsearch.errors import RunError
from gamsearch.training.replay import ReplayTable

TABLES, FORKS = ROOT / "results" / "tables", ROOT / "results" / "forks" / "graded"
PAGES = {"planted": 1, "bccd": 5}
TRIVIAL = list(trivial_scores({}))
SHORT = [FORKS / "constant.json", FORKS / "attention-10.json"]


@pytest.fixture(scope="module")
def planted() -> ReplayTable:
    return ReplayTable.read(TABLES / "planted.json")


@pytest.fixture(scope="module", params=PAGES)
def scored(request):
    """Name of a shipped table and the rows of the scores that its page shows."""
    costed = {}
    for file in SHORT if request.param == "planted" else []:
        costed |= scores.read_scores(file)
    return request.param, scores.rows(ReplayTable.read(TABLES / f"{request.param}.json"), costed, PAGES[request.param])


def test_the_documentation_states_what_the_scores_reach(scored):
    name, rows = scored
    page = (ROOT / f"docs/results/{name}.md").read_text()
    for line in scores.markdown(rows).splitlines():
        assert line in page, line


def test_the_scores_that_measure_nothing_come_first(scored):
    assert [row["score"] for row in scored[1]][: len(TRIVIAL)] == TRIVIAL


@pytest.mark.parametrize("name", ["planted", "bccd", "recipes", "samplers"])
def test_every_table_of_scores_in_the_documentation_begins_with_those_that_measure_nothing(name):
    lines = (ROOT / f"docs/results/{name}.md").read_text().splitlines()
    heads = [n for n, line in enumerate(lines) if re.match(r"\|.*\| (tau|sites|epochs to)\b", line)]
    assert heads
    for head in heads:
        first = lines[head + 2 : head + 2 + len(TRIVIAL)]
        assert [line.split("|")[1].strip(" *") for line in first] == TRIVIAL, f"line {head + 1}"


def test_the_gate_of_sites_is_blind_to_the_number_of_modules_and_counts_a_tie_as_half(scored):
    row = next(row for row in scored[1] if row["score"] == "number of modules")
    assert row["sites"] == (0.5, 0.5, 0.5)


def test_the_gate_of_sites_counts_pairs_of_equally_many_modules_at_different_sites(planted):
    forms = [Architecture.from_dict(row["architecture"]) for row in planted.rows.values()]
    forms = [form for form in forms if len(form.placements) == 1][:6]
    site = np.array([float(form.placements[0].site) for form in forms])
    draw = np.random.default_rng

    def gate(score, gains):
        return agreement.sites_gate(score, gains, forms, draw(0))[0]

    assert gate(site, site) == 1.0 and gate(-site, site) == 0.0
    within = np.array([float(dict(form.placements[0].options)["rate"]) for form in forms])
    assert gate(100 * site + within, 100 * site - within) == 1.0  # the order of rates at one site does not count
    two = np.where(site == site.max(), 1.0, 0.0)
    assert gate(two, site) == pytest.approx((2 * 1.0 + 1 * 0.5) / 3)
    assert np.isnan(agreement.sites_gate(site[:2] * 0, site[:2], [forms[0], forms[0]], draw(0))[0])


def test_whoever_recommends_everything_has_the_whole_volume_and_its_size_says_so(planted):
    row = next(row for row in scores.rows(planted) if row["score"] == TRIVIAL[-1])
    assert row["front"][0] == pytest.approx(1.0) and row["size"] == len(planted.rows) - 1


def test_every_order_holds_every_architecture_once():
    table = ReplayTable.read(TABLES / "bccd.json")
    truth = Truth.of(table)
    for score in trivial_scores(table.rows).values():
        assert sorted(orders.greedy_order(truth, score, seed=3)) == sorted(truth.gains)


def test_chosen_trainings_add_up_what_each_site_gains(planted):
    rows = planted.rows.values()
    trained = [row for row in rows if len(row["architecture"]["placements"]) <= 1]
    worth = {2: 0.1, 4: -0.2, 6: 0.05}
    curves = {}
    for key, row in planted.rows.items():
        gain = sum(worth[p["site"]] for p in row["architecture"]["placements"])
        curves[key] = {**row, "curves": {"0": [{"map50_95": 0.3 + gain}] * 5}}
    made = ReplayTable("nearsighted", 5, (0,), curves)
    predicted, cost = orders.chosen_trainings(made, 0, 5)
    for key, row in curves.items():
        if row["architecture"]["placements"]:
            assert predicted[key] == pytest.approx(row["curves"]["0"][-1]["map50_95"] - 0.3)
    assert cost == 25 and len(trained) > 4


def test_the_cost_of_scores_is_part_of_their_epochs_and_the_scale_is_not(planted, tmp_path):
    gains = Truth.of(planted).gains
    for name, content in (("free", gains), ("dear", {**{k: 7 * v for k, v in gains.items()}, "epochs": 40})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    costed = {**scores.read_scores(tmp_path / "free.json"), **scores.read_scores(tmp_path / "dear.json")}
    *_, free, dear = scores.rows(planted, costed)
    assert free["tau"][0] == dear["tau"][0] == 1.0 and free["sites"][0] == 1.0 and free["front"][0] == 1.0
    assert dear["cost"] == 40 and dear["epochs"][0] == free["epochs"][0] + 40


@pytest.mark.parametrize(
    "content, problem",
    [("[1]", "holds no scores"), ('{"a": "b"}', "holds no scores"), ("{", "cannot be read"), ('{"a": 1}', "lacks 26")],
)
def test_a_bad_file_of_scores_is_refused_in_one_sentence(content, problem, tmp_path, monkeypatch, capsys):
    (tmp_path / "bad.json").write_text(content)
    monkeypatch.setattr(
        sys, "argv", ["scores.py", str(TABLES / "planted.json"), "--scores", str(tmp_path / "bad.json")]
    )
    assert scores.main() == 2
    said = capsys.readouterr().err
    assert problem in said and said.count("\n") == 1


def test_scores_that_lack_an_architecture_are_refused(planted):
    truth = Truth.of(planted)
    with pytest.raises(RunError, match="lacks 1 architectures of the table, such as GAM"):
        scores.gains_by(dict(list(truth.gains.items())[1:]), "mine", planted, truth)


def test_the_interval_comes_from_the_same_tau_as_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.integers(5, size=20).astype(float), rng.normal(size=20)
    drawn = rng.integers(20, size=20)
    weights = np.array([np.ones(20, int), np.bincount(drawn, minlength=20)])
    expected = [stats.kendalltau(x, y).statistic, stats.kendalltau(x[drawn], y[drawn]).statistic]
    assert agreement.weighted_tau(x, y, weights) == pytest.approx(expected)
