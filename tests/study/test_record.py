"""A record: columns that are missing, the counts, and the latency backend."""

from dataclasses import replace

import pytest
from support.records import gam, record, trial, unmeasured

from gamsearch.analysis.screened import Screened
from gamsearch.errors import plural
from gamsearch.study.record import latency_backend


def test_missing_columns_are_added_as_unknown():
    made = record([trial(0, gam(), 0.4)])
    row = made.trials.iloc[0]
    assert row["retried"] == "" and not row["paused"] and row["resumed_by"] != row["resumed_by"]
    assert made.candidates.empty and made.best is not None and made.best["number"] == 0


def test_each_candidate_is_counted_once_by_what_became_of_it():
    rows = [
        trial(0, gam(), 0.4),
        unmeasured(1, gam((4, 4)), "pruned", "paused", paused=True, bound=0.5, resumed_by=5),
        unmeasured(2, gam((6, 4)), "pruned", "paused", paused=True, bound=0.5),
        unmeasured(3, gam((9, 4)), "pruned", "stopped", bound=0.3, epochs=1),
        unmeasured(4, gam((12, 4)), "pruned", "rule"),
        trial(5, gam((4, 4)), 0.41),
        trial(6, gam((4, 4)), 0.41, recalled_from=5),
        unmeasured(7, gam((15, 4)), "failed", "interrupted"),
        unmeasured(8, gam((15, 4)), "failed", "nan: x"),
        unmeasured(9, gam((18, 4)), "failed", "interrupted"),
        unmeasured(10, gam((21, 4)), "running", ""),
    ]
    made = record(rows)
    counts = made.counts
    parts = [counts.complete, counts.stopped, counts.paused, counts.failed, counts.running, counts.interrupted]
    assert parts == [1] * 6 and counts.candidates == 6 and counts.compared == len(made.candidates) == 1
    assert counts.text == "6 candidates: 1 complete, 1 stopped, 1 paused, 1 failed (1 nan), 1 running, 1 interrupted"
    assert counts.besides == "1 refused before training, 1 repeat answered from the record"
    assert made.trainings["number"].tolist()[:5] == [0, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("settings", "backend"),
    [
        ({"evaluator": "replay", "latency": "torch"}, ""),
        ({"latency": "auto", "latency_backend": "tensorrt"}, "tensorrt"),
        ({"latency": "torch"}, "torch"),
        ({}, ""),
    ],
)
def test_the_latency_backend_is_the_resolved_one(settings, backend):
    assert latency_backend(settings) == backend


def test_a_record_says_in_one_line_why_its_baseline_is_not_trained_enough():
    steep = {"epochs": 6, "curve": [[3, 0.002], [6, 0.009]], "still_rising": "the baseline\nis still rising"}
    assert record([trial(0, gam(), 0.4)], baseline_stage=steep).still_rising == "the baseline is still rising"
    assert record([trial(0, gam(), 0.4)]).still_rising == ""


def test_a_number_and_its_noun_agree():
    assert [plural(n, "epoch") for n in (0, 1, 2)] == ["0 epochs", "1 epoch", "2 epochs"]
    assert plural(1_234_567, "architecture") == "1234567 architectures" and plural(1.5, "hour") == "1.5 hours"


SCREENED = Screened("Nothing pays: no placement alone ...", True, 2, 14, 33, 0.1, ())


def test_where_shared_networks_found_nothing_that_pays_the_answer_is_no_and_says_how_to_search_all_the_same():
    answer = record([trial(0, gam(), 0.4)], screened=SCREENED).answer()
    assert (answer.kind, answer.headline) == ("no", "No: keep yolov8n.")
    assert "2 shared networks, 14 epochs each" in answer.detail and answer.next_command.endswith("--search-anyway")


def test_an_unclear_screening_and_candidates_that_were_trained_leave_the_answer_to_the_search():
    unclear = replace(SCREENED, nothing_pays=False)
    assert record([trial(0, gam(), 0.4)], screened=unclear).answer().kind == "unclear"
    trained = [trial(0, gam(), 0.4), trial(1, gam((4, 4)), 0.41)]
    assert "gained +0.0100" in record(trained, screened=SCREENED).answer().detail


def test_figures_of_a_shared_network_are_never_a_yes():
    measured = [trial(0, gam(), 0.2), trial(1, gam((4, 4)), 0.4)]
    answer = record(measured, settings={"evaluator": "supernet"}, baseline_seeds=({"map50_95": 0.2},) * 3).answer()
    assert (answer.kind, answer.headline) == ("unclear", "Unclear: no candidate was trained on its own.")
    assert answer.trial is None and "verify" in answer.next_command and "GAM@4 r4" in answer.detail
