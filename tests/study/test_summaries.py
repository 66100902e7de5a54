"""Sentences about a whole search, and their absence where there is nothing to say."""

from math import nan

from support.records import gam, record, trial

from gamsearch.study import summaries

AUDIT = {"tensors_inherited": 355, "tensors_expected": 355, "misplaced": 0}


def test_nothing_is_said_about_a_baseline_alone():
    alone = record([trial(0, gam(), 0.4)])
    assert summaries.transfer(alone) == summaries.prediction_error(alone) == summaries.economy(alone) == ""


def test_the_transfer_counts_tensors_of_the_candidates():
    rows = [trial(0, gam(), 0.4), trial(1, gam((4, 4)), 0.41, **AUDIT), trial(2, gam((6, 4)), 0.41, **AUDIT)]
    text = "Inherited from the baseline: 355 of 355 tensors in each of 2 candidates; 0 were assigned to another layer."
    assert summaries.transfer(record(rows)) == text


def test_the_prediction_error_is_that_of_architectures_of_several_modules():
    several = gam((4, 4), (6, 4))
    rows = [
        trial(0, gam(), 0.4),
        trial(1, gam((4, 4)), 0.41, latency_ratio=1.0, latency_ratio_foreseen=9.0),
        trial(2, several, 0.41, latency_ratio=1.0, latency_ratio_foreseen=1.1),
    ]
    assert summaries.prediction_error(record(rows)) == (
        "Latency was predicted by an additive table; over 1 architecture of several modules that were also measured "
        "directly, its error was 10.0 % (median), 10.0 % at most."
    )


def test_the_economy_compares_the_epochs_with_full_trainings():
    stopped = {"state": "pruned", "bound": 0.39}
    rows = [
        trial(0, gam(), 0.4, epochs_trained=5),
        trial(1, gam((4, 4)), 0.41, epochs_trained=5),
        trial(2, gam((6, 4)), 0.38, epochs=2, epochs_trained=2, **stopped),
        trial(3, gam((9, 4)), 0.38, epochs=0, epochs_trained=0, **stopped),
        trial(4, gam((9, 8)), nan, epochs=5, epochs_trained=3, state="failed", reason="nan: not finite"),
        trial(5, gam((4, 8)), nan, epochs=5, epochs_trained=1, state="running"),
        trial(6, gam((6, 8)), nan, epochs=5, epochs_trained=2, state="failed", reason="interrupted"),
    ]
    made = record(rows)
    assert summaries.economy(made) == "7 epochs for 2 candidates, 10 if all were trained to the end."
    assert made.counts.besides == "1 refused before training"
