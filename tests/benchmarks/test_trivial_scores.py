"""Scores that measure nothing: their figures on the shipped tables, which the documentation states."""

import re

import pytest
import trivial_scores
from support.paths import ROOT
from truth import Truth

from gamsearch.training.replay import ReplayTable

PAGES = {"planted": ("docs/results/planted.md", 1), "bccd": ("docs/results/bccd.md", 5)}


@pytest.fixture(scope="module", params=PAGES)
def scored(request):
    """Name of a shipped table and its scores."""
    table = ReplayTable.read(ROOT / "results" / "tables" / f"{request.param}.json")
    return request.param, trivial_scores.rows(table, PAGES[request.param][1])


def test_the_documentation_states_what_the_scores_reach(scored):
    name, rows = scored
    page = (ROOT / PAGES[name][0]).read_text()
    for line in trivial_scores.markdown(rows).splitlines():
        assert line in page, line


def test_counting_modules_says_nothing_where_the_counts_are_equal(scored):
    assert [row["sites"] for row in scored[1] if row["score"] == "number of modules"] == [0.0]


def test_every_order_holds_every_architecture_once():
    table = ReplayTable.read(ROOT / "results" / "tables" / "bccd.json")
    truth = Truth.of(table)
    for score in trivial_scores.scores_of(table, tuple(truth.gains)).values():
        assert sorted(trivial_scores.greedy_order(truth, score, seed=3)) == sorted(truth.gains)


def test_the_samplers_page_has_the_epochs_of_the_scores(scored):
    text = (ROOT / "docs/results/samplers.md").read_text()
    for row in scored[1]:
        figures = [f"{mid:.0f} [{low:.0f}, {high:.0f}]" for mid, low, high in row["epochs"].values()]
        line = rf"\| {row['score']} \|.*{re.escape(figures[0])} \|.*{re.escape(figures[1])}"
        assert re.search(line, text), line
