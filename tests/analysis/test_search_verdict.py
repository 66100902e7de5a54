"""The sentence on the short trainings of a search, with and without paired seeds that confirm the best candidate."""

from math import nan

import pandas as pd
import pytest
from scipy import stats

from gamsearch.analysis.search_verdict import Confirmation, Noise, confirmed_verdict, unconfirmed_verdict


def candidates(*gains: float) -> pd.DataFrame:
    """Candidates A, B, ... with these gains over a baseline of 0.2."""
    return pd.DataFrame(
        {
            "label": list("ABCDEFGH"[: len(gains)]),
            "map50_95_gain": gains,
            "map50_95": [0.2 + gain for gain in gains],
        }
    )


def test_the_interval_of_a_confirmation_is_that_of_a_paired_t_test():
    gains = (0.010, 0.014, 0.008, 0.013)
    expected = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    found = Confirmation("A", gains, nan)
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx(tuple(expected))
    assert found.text == "+0.0112 ± 0.0044 (95 %, 4 paired seeds)"


@pytest.mark.parametrize(
    ("gains", "sentence"),
    [
        (
            (0.010, 0.014, 0.008, 0.013),
            "A, the best of 2 candidates, beats the baseline by +0.0112 ± 0.0044 (95 %, 4 paired seeds) at +8 % "
            "latency, in short training.",
        ),
        (
            (0.010, -0.014, 0.008, -0.006),
            "No placement is shown to beat the baseline: the best of 2 candidates, A, gained +0.0200 at the seed it "
            "was chosen at and -0.0005 ± 0.0183 (95 %, 4 paired seeds) at others.",
        ),
        (
            (-0.010, -0.014, -0.008, -0.013),
            "No placement beats the baseline: the best of 2 candidates, A, gained +0.0200 at the seed it was chosen at "
            "and lost at others: -0.0112 ± 0.0044 (95 %, 4 paired seeds).",
        ),
    ],
)
def test_gains_at_other_seeds_decide(gains: tuple[float, ...], sentence: str):
    assert confirmed_verdict(Confirmation("A", gains, 1.08), candidates(0.02, 0.01)) == sentence


def test_an_unknown_latency_is_left_out():
    text = confirmed_verdict(Confirmation("A", (0.010, 0.014, 0.008), nan), candidates(0.02))
    assert text.startswith("A beats the baseline by +0.0107 ± ") and "latency" not in text


def test_the_noise_grows_with_the_number_of_comparisons():
    noise = Noise(0.01, 4)
    assert noise.half_width() == pytest.approx(3.1824 * 0.01 * 2**0.5, rel=1e-4)
    assert noise.half_width(10) > noise.half_width()


def test_without_confirmation_the_best_gain_is_compared_with_the_noise():
    assert unconfirmed_verdict(candidates(0.1, 0.005), Noise(0.001, 4), 4).startswith(
        "1 of 2 candidates beats the baseline beyond the noise: the best gain is +0.1000 (A), differences below"
    )
    assert unconfirmed_verdict(candidates(0.001), Noise(0.01, 4), 4).startswith(
        "No placement beats the baseline beyond the noise: the best gain is +0.0010 (A)"
    )


def test_if_no_gain_could_exceed_the_noise_nothing_is_decided():
    assert unconfirmed_verdict(candidates(0.3), Noise(0.1, 2), 2) == (
        "It is undecided whether a placement beats the baseline: the best gain is +0.3000 (A), but 2 baseline seeds "
        "are too few (no gain could exceed their noise, 95 %)."
    )


@pytest.mark.parametrize(
    ("seeds", "reason"), [(1, "fewer than two baseline seeds"), (3, "3 baseline seeds gave the same value")]
)
def test_without_noise_the_sentence_says_why_it_is_unknown(seeds: int, reason: str):
    assert unconfirmed_verdict(candidates(0.01), None, seeds) == (
        f"No placement can be said to beat the baseline: the best gain is +0.0100 (A), and the noise was not measured "
        f"({reason})."
    )
