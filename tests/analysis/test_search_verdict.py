"""What is said of the best candidate of a search: yes, no or unclear, in how many words, and on what grounds."""

from dataclasses import replace
from math import nan

import pytest

from gamsearch.analysis.answer import NO, UNCLEAR, WORDS, YES
from gamsearch.analysis.noise import Gain, Noise
from gamsearch.analysis.search_verdict import Searched

NOISE = Noise(0.01, 6, 7, 2)  # the interval of one difference is 0.0245 to either side
BEST = Searched("yolov8n", "GAM@4 r4", 3, 20, 0.05, None, 1.39, 2, 0.7)


def found(*gains: float, noise: Noise | None = NOISE, **more) -> Searched:
    return replace(BEST, gain=Gain(gains, noise), **more)


CASES = [
    (found(0.04), YES, "Yes: GAM@4 r4 gains 0.04 ± 0.02 mAP for 1.39 x latency."),
    (found(0.04, latency_ratio=nan), YES, "Yes: GAM@4 r4 gains 0.04 ± 0.02 mAP."),
    (found(0.04, label="GAM@4 r4 + GAM@6 r2"), YES, "Yes: trial 3 gains 0.04 ± 0.02 mAP for 1.39 x latency."),
    (found(0.02), UNCLEAR, "Unclear: the best gain may be chance."),
    (found(-0.001), NO, "No: keep yolov8n."),
    (found(0.001, noise=Noise(0.001, 6, 7, 2)), NO, "No: keep yolov8n."),
    (replace(BEST, selected_gain=-0.01), NO, "No: keep yolov8n."),
    (replace(BEST, selected_gain=0.0), NO, "No: keep yolov8n."),
    (BEST, UNCLEAR, "Unclear: the best candidate was trained at one seed only."),
    (replace(BEST, seeds=1), UNCLEAR, "Unclear: one seed is too few to judge."),
    (found(0.02, noise=None), UNCLEAR, "Unclear: two seeds are too few to judge."),
    (found(0.02, noise=Noise(0.1, 1, 2, 2)), UNCLEAR, "Unclear: two seeds are too few to judge."),
    (found(0.02, noise=Noise(0.01, 1, 2, 2)), UNCLEAR, "Unclear: two seeds are too few to judge."),
]


@pytest.mark.parametrize(("searched", "kind", "headline"), CASES)
def test_the_headline_has_at_most_twelve_words_and_says_what_the_interval_shows(searched, kind, headline):
    assert (searched.kind, searched.headline) == (kind, headline)
    assert len(searched.headline.split()) <= WORDS


@pytest.mark.parametrize("searched", [case[0] for case in CASES])
def test_an_interval_as_wide_as_the_possible_gains_is_never_printed(searched):
    if searched.too_few_seeds:
        assert "±" not in searched.headline + searched.detail
    elif searched.selected_gain > 0:
        assert "±" in searched.detail and searched.gain.half_width < searched.largest


def test_the_detail_of_a_yes_has_the_interval_its_grounds_and_the_price():
    assert found(0.04).detail == (
        "GAM@4 r4, the best of 20 candidates, gained +0.0400 ± 0.0245 mAP50-95 at +39 % latency in short training, at "
        "one held-out seed (95 %; SD of a paired difference 0.0100, pooled over 7 architectures)."
    )


def test_the_detail_of_a_no_has_the_gain_that_selected_it_beside_those_at_other_seeds():
    assert found(-0.001, 0.003, -0.004, -0.002).detail == (
        "GAM@4 r4, the best of 20 candidates, gained +0.0500 mAP50-95 at the seed of the search and "
        "-0.0010 ± 0.0122 at four held-out seeds (95 %; SD of a paired difference 0.0100, pooled over 7 architectures)."
    )
    assert replace(BEST, selected_gain=-0.01).detail == (
        "No candidate gained: GAM@4 r4, the best of 20 candidates, differs from the baseline by -0.0100 mAP50-95."
    )


def test_without_another_seed_the_detail_says_what_is_missing():
    assert BEST.detail.endswith("at the seed of the search, but it was not trained at another seed.")
    assert replace(BEST, seeds=1).detail.endswith("but the noise was not measured (one seed).")


def test_seeds_that_are_too_few_are_said_to_be():
    assert found(0.03, noise=Noise(0.1, 1, 2, 2)).detail == (
        "GAM@4 r4, the best of 20 candidates, gained +0.0500 mAP50-95 at the seed of the search and +0.0300 at one "
        "held-out seed; two seeds are too few to judge that."
    )
    assert found(0.03, 0.03, noise=None, seeds=3).detail.endswith("no seed differs.")
