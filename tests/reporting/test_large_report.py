"""The report of thousands of trials: bounded in size, in time proportional to the trials, nothing left out unsaid."""

import cProfile
import pstats
from itertools import islice, product

import numpy as np
import pytest
from plotly.offline import get_plotlyjs
from support.records import gam, record, trial

from gamsearch.analysis import pareto
from gamsearch.metrics import METRICS
from gamsearch.reporting import learning_curves, limits, plot_data, write
from gamsearch.reporting.html_page import page
from gamsearch.reporting.tables import read_csv
from gamsearch.study.record import Record

SITES = (4, 6, 9, 12, 15, 18, 21)
LARGEST = 2_000_000
"""Bytes of a page besides plotly."""


def large(count: int) -> Record:
    """The baseline and other architectures with attention, whose gains repeat after 101 of them."""
    choices = islice(product((0, 4, 8, 16), repeat=len(SITES)), count)
    architectures = [gam(*((s, rate) for s, rate in zip(SITES, rates, strict=True) if rate)) for rates in choices]
    return record([trial(n, one, 0.3 + 0.001 * (n * 37 % 101)) for n, one in enumerate(architectures)])


def calls(count: int) -> int:
    """Function calls that the page of so many trials takes."""
    made, profile = large(count), cProfile.Profile()
    profile.runcall(page, made)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def made() -> Record:
    return large(2187)


def test_the_page_of_a_large_search_stays_small_and_says_what_it_leaves_out(made, tmp_path):
    write(made, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8").replace(get_plotlyjs(), "")
    assert len(text.encode()) < LARGEST
    assert f"The table holds {limits.ROWS} of 2187 rows" in text and 'href="trials.csv"' in text
    assert f"{limits.CURVES} of 2187 curves are drawn" in text
    assert f"The figures of {limits.DETAILS} of the 2187 points" in text
    assert len(read_csv(tmp_path / "trials.csv")) == 2187


def test_a_long_training_does_not_make_the_page_large():
    rows = large(300).trials.to_dict("records")
    for row in rows:
        row["curve"] = [{"epoch": e, "map50_95": row["map50_95"] - 0.1 / e} for e in range(1, 101)]
    assert len(page(record(rows)).replace(get_plotlyjs(), "").encode()) < LARGEST


def test_the_page_of_an_ordinary_search_holds_every_trial():
    text = page(large(limits.CURVES))
    assert "curves are drawn" not in text and "The table holds" not in text and "points, the best ones" not in text
    figure = learning_curves.curves_figure(large(limits.CURVES))
    assert figure is not None and len(figure.data) == 2 * limits.CURVES - 1  # the baseline differs from nothing


def test_the_cost_of_the_page_does_not_grow_with_the_square_of_the_trials():
    few, many = calls(400), calls(1600)
    assert many < 6 * few, f"{many / few:.1f} times the calls for four times the trials"


def test_what_is_chosen_holds_the_most_important_and_samples_the_rest_evenly():
    assert limits.chosen(range(5), [4], 5) == [0, 1, 2, 3, 4]
    assert limits.chosen(range(100), [99, 7, 7, 200], 6) == [0, 7, 25, 50, 74, 99]
    assert limits.chosen(range(100), range(50, 100), 3) == [50, 51, 52]


def test_growing_hypervolumes_are_those_of_all_points_so_far(made):
    objectives = (METRICS["map50_95"], METRICS["latency_ms"], METRICS["params_m"])
    points = made.trials[[m.name for m in objectives]].to_numpy(float)[:300]
    volumes = pareto.growing_hypervolumes(points, (0.0, 20.0, 20.0), objectives)
    expected = [pareto.hypervolume(points[: n + 1], (0.0, 20.0, 20.0), objectives) for n in range(300)]
    assert volumes == pytest.approx(expected, rel=1e-12)


def test_the_step_line_of_many_trials_keeps_every_change():
    numbers, values = np.arange(3000), np.repeat(np.arange(30.0), 100)
    kept, levels = plot_data.steps(numbers, values)
    assert kept.tolist() == [*range(0, 3000, 100), 2999] and levels.tolist() == [*range(30), 29]
    assert plot_data.steps(numbers[:200], values[:200])[0].tolist() == list(range(200))
