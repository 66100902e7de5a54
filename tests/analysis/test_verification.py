"""The verification of a run: what it reads from the study, complete or not, and the sentence that states the result."""

import json
import re
from math import isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gamsearch.analysis.significance import BETTER, UNCLEAR, UNKNOWN, WORSE, paired_tests
from gamsearch.analysis.verification import Verification

BASE = (0.300, 0.310, 0.295, 0.305, 0.302)
CLEAR = (0.012, 0.013, 0.011, 0.012, 0.0125)
HAZY = (0.004, -0.003, 0.006, -0.002, 0.001)


def trainings(gains: tuple[float, ...], ratio: float = 1.0, **more: Any) -> list[dict[str, Any]]:
    """One training per seed at these gains over `BASE`; map50 gains twice as much."""
    return [
        {
            "seed": seed,
            "map50_95": BASE[seed] + gain,
            "map50": 1.6 * BASE[seed] + 2 * gain,
            "latency_ms": 5.0 * ratio,
            "latency_ratio": ratio + 0.001 * (seed - 2) * (ratio != 1),
            "latency_interval": [ratio - 0.01, ratio + 0.01],
            "per_class": {"RBC": {"map50_95": BASE[seed] + 3 * gain, "map50": None}},
            "per_size": {"small": None, "large": BASE[seed] + gain / 2},
            "seconds": 60.0,
        }
        | more
        for seed, gain in enumerate(gains)
    ]


def form(scale_up: tuple[float, ...] | None = None, seeds: int = 5, **finalists: tuple[float, ...]) -> dict[str, Any]:
    """The study's dictionary with these finalists, by label; each costs 8 % latency, the scale-up 60 %."""
    listed = [
        {"key": f"key-{n}", "number": n, "label": label, "architecture": {}, "brief_gain": 0.01 - 0.001 * n}
        for n, label in enumerate(finalists)
    ]
    done = {"baseline": trainings((0.0,) * 5)}
    done |= {f"key-{n}": trainings(gains, 1.08) for n, gains in enumerate(finalists.values())}
    if scale_up is not None:
        done["scale-up"] = trainings(scale_up, 1.6)
    control = None if scale_up is None else {"name": "yolov8s"}
    whole = {"settings": {"seeds": seeds}, "finalists": listed, "scale_up": control, "trainings": done, "bootstrap": {}}
    return json.loads(json.dumps(whole))


def read(**finalists: Any) -> Verification:
    return Verification.from_dict(form(**finalists))


def test_a_better_finalist_is_reported_with_interval_seeds_correction_and_price():
    text = read(A=CLEAR, B=HAZY, C=tuple(-x for x in HAZY)).verdict()
    half = paired_tests([CLEAR, HAZY, [-x for x in HAZY]], blocked=True)[0].half_width
    assert text == (
        f"A is better than the baseline by +0.0121 ± {half:.4f} (95 %, 5 paired seeds, Holm-corrected for 3 finalists) "
        "at +8 % latency."
    )


def test_no_correction_is_reported_for_a_single_finalist():
    assert "Holm" not in read(A=CLEAR).verdict() and "Holm" not in read(A=HAZY).verdict()


def test_several_better_finalists_are_all_named_best_first():
    text = read(A=CLEAR, B=tuple(2 * x for x in CLEAR), C=HAZY).verdict()
    assert (
        text.startswith("2 of 3 finalists are better than the baseline: B by +0.0242 ± ") and "; A by +0.0121" in text
    )
    assert " C " not in text


def test_without_a_clear_difference_the_largest_is_reported_and_the_seeds_that_half_a_point_would_need():
    found = read(A=HAZY, B=tuple(-x / 2 for x in HAZY))
    needed = found.finalists[0].gain.seeds_needed
    assert needed > 5
    assert re.fullmatch(
        r"No finalist is shown to differ from the baseline: the largest difference is \+0\.0012 ± 0\.\d{4} "
        r"\(A; 95 %, 5 paired seeds, Holm-corrected for 2 finalists\); "
        rf"seeing 0\.005 would need about {needed} seeds\.",
        found.verdict(),
    )


def test_a_verification_that_would_have_seen_half_a_point_says_so():
    text = read(A=(0.0003, -0.0002, 0.0001, 0.0, -0.0001)).verdict()
    assert text.startswith("A is not shown to differ from the baseline: the difference is +0.0000 ± ")
    assert text.endswith("; about 2 seeds are enough to see a true difference of 0.005.")


def test_worse_finalists_are_named_and_none_is_called_better():
    worse = tuple(-x for x in CLEAR)
    assert read(A=worse).verdict().startswith("A is worse than the baseline by 0.0121 ± ")
    text = read(A=worse, B=HAZY).verdict()
    assert text.startswith(
        "No finalist is shown to be better than the baseline. A is worse than the baseline by 0.0121"
    )
    both = read(A=worse, B=CLEAR).verdict()
    assert both.startswith("B is better than the baseline by") and "A is worse than the baseline by" in both


@pytest.mark.parametrize("pairs", [0, 1])
def test_there_is_no_conclusion_before_two_seeds_are_paired(pairs):
    text = read(A=CLEAR[:pairs]).verdict()
    assert text == (
        "No conclusion yet: no finalist has two seeds paired with the baseline. "
        f"The verification is incomplete: {pairs} of 5 seeds are done."
    )


def test_equal_gains_allow_no_conclusion():
    text = read(A=(0.01,) * 5).verdict()
    assert text.startswith("No conclusion: for A, all paired differences are equal") and "(+0.0100 at each" in text


def test_an_incomplete_verification_is_tested_on_its_pairs_and_says_so():
    found = read(A=CLEAR[:3])
    assert found.verdict().endswith("at +8 % latency. The verification is incomplete: 3 of 5 seeds are done.")
    assert "95 %, 3 paired seeds" in found.verdict() and not found.complete


def test_the_scale_up_has_to_be_done_as_well():
    assert read(A=CLEAR, scale_up=CLEAR).complete and not read(A=CLEAR, scale_up=CLEAR[:4]).complete


def test_seeds_are_paired_by_number_and_not_by_position():
    written = form(A=CLEAR)
    written["trainings"]["key-0"] = list(reversed(written["trainings"]["key-0"]))[:3]
    assert Verification.from_dict(written).finalists[0].gain.differences == pytest.approx(CLEAR[2:])


def test_a_training_that_was_done_again_counts_once():
    written = form(A=CLEAR)
    written["trainings"]["key-0"].insert(0, {"seed": 0, "map50_95": 0.9})
    assert Verification.from_dict(written).finalists[0].gain.differences == pytest.approx(CLEAR)


def test_each_metric_class_and_size_has_its_paired_differences():
    finalist = read(A=CLEAR, B=HAZY).finalists[0]
    assert finalist.tests["map50"].differences == pytest.approx([2 * x for x in CLEAR])
    assert finalist.tests["map50"].comparisons == 2
    assert finalist.per_class["RBC"]["map50_95"].mean == pytest.approx(3 * np.mean(CLEAR))
    assert finalist.per_size["large"].mean == pytest.approx(np.mean(CLEAR) / 2)
    assert finalist.per_size["large"].low == pytest.approx(paired_tests([CLEAR])[0].low / 2)
    assert finalist.per_class["RBC"]["map50"].count == finalist.per_size["small"].count == 0


def test_the_latency_ratio_has_an_interval():
    found = read(A=CLEAR, B=CLEAR[:2])
    many, few = found.finalists[0].latency, found.finalists[1].latency
    assert many.mean == pytest.approx(1.08) and 1.07 < many.low < 1.08 < many.high < 1.09
    assert (few.low, few.high, few.count) == (pytest.approx(1.07), pytest.approx(1.09), 2)


def test_the_scale_up_is_tested_by_itself_and_is_the_reference_for_attention():
    """The scale-up gains 0.03 at 60 % latency, so 8 % of latency buys 0.004; A gains three times that."""
    found = read(A=CLEAR, B=HAZY, scale_up=(0.030, 0.031, 0.029, 0.0302, 0.0298))
    grown = found.scale_up
    assert grown.label == "yolov8s" and grown.gain.claim == BETTER and grown.gain.comparisons == 1
    beyond = found.beyond_growth
    assert beyond["key-0"].mean == pytest.approx(0.0121 - 0.03 * 0.08 / 0.6)
    assert (beyond["key-0"].claim, beyond["key-1"].claim) == (BETTER, UNCLEAR)
    assert found.against_growth().startswith(
        "For its latency A gains more than scaling up to yolov8s (+0.0300 ± 0.0009"
    )
    assert "at +60 % latency): +0.0081 ± " in found.against_growth()


def test_attention_can_gain_less_than_scaling_up_for_its_latency():
    found = read(A=CLEAR, scale_up=(0.15, 0.151, 0.149, 0.15, 0.15))
    assert found.beyond_growth["key-0"].claim == WORSE and "gains less than scaling up" in found.against_growth()


def test_a_finalist_slower_than_the_scale_up_is_compared_with_all_of_its_gain():
    written = form(A=CLEAR, scale_up=HAZY)
    for done in written["trainings"]["key-0"]:
        done["latency_ratio"] = 3.0
    expected = np.subtract(CLEAR, HAZY)
    assert Verification.from_dict(written).beyond_growth["key-0"].differences == pytest.approx(expected)


@pytest.mark.parametrize("change", [{"scale_up": None}, {"scale_up": ()}, {"A": ()}])
def test_without_a_scale_up_or_its_seeds_there_is_no_sentence_on_it(change):
    assert read(**({"A": CLEAR, "scale_up": HAZY} | change)).against_growth() == ""


def test_the_noise_floor_is_the_spread_of_the_baseline():
    floor = read(A=CLEAR).noise_floor
    assert floor.sd == pytest.approx(np.std(BASE, ddof=1)) and floor.seeds == 5


def test_search_gains_and_verified_gains_are_compared_from_three_finalists_on():
    assert read(A=CLEAR, B=HAZY).agreement is None
    ranked = read(A=CLEAR, B=HAZY, C=tuple(-x for x in CLEAR)).agreement
    assert (ranked.tau, ranked.count) == (pytest.approx(1.0), 3)


def test_the_recorded_bootstrap_is_kept():
    written = form(A=CLEAR)
    written["bootstrap"]["key-0"] = {
        "seed": 0,
        "resamples": 10,
        "map50_95": {"difference": 0.01, "low": 0, "high": 0.02},
    }
    assert Verification.from_dict(written).finalists[0].bootstrap["map50_95"]["high"] == 0.02


@pytest.mark.parametrize("nothing", [None, {}, {"settings": None, "finalists": None, "trainings": None}])
def test_a_verification_that_has_not_begun_has_no_finalists(nothing):
    found = Verification.from_dict(nothing)
    assert found.verdict() == "No finalist was chosen for verification."
    assert found.finalists == () and found.scale_up is found.noise_floor is found.agreement is found.best is None


@given(st.data())
@settings(deadline=None, derandomize=True, max_examples=60)
def test_an_incomplete_record_can_be_read_and_fewer_than_two_pairs_claim_nothing(data):
    """Any trainings, figures and parts of the dictionary may be absent or null at any moment."""
    written = form(A=CLEAR, B=HAZY, C=CLEAR, scale_up=HAZY)
    for listed in written["trainings"].values():
        del listed[data.draw(st.integers(0, 5)) :]
        for done in listed:
            for name in data.draw(st.sets(st.sampled_from(sorted(done.keys() - {"seed"})))):
                done[name] = data.draw(st.sampled_from([None, nan])) if name.startswith("map") else None
    for name in data.draw(st.sets(st.sampled_from(sorted(written.keys() - {"finalists"})))):
        del written[name]
    for finalist in written["finalists"]:
        finalist.pop(data.draw(st.sampled_from(["number", "label", "architecture", "brief_gain"])))
    found = Verification.from_dict(written)
    for finalist in (*found.finalists, *filter(None, [found.scale_up])):
        assert (finalist.gain.claim == UNKNOWN) or finalist.gain.count >= 2
        assert isnan(finalist.latency.mean) or finalist.latency.count
    sentences = [found.verdict(), found.against_growth()]
    assert sentences[0] and not any("nan" in text for text in sentences)
    assert found.agreement is None or found.agreement.count == 3
    assert len(found.beyond_growth) <= 3
