"""The statistics of paired seeds: what they claim, how often they are wrong, and their power."""

from itertools import chain, combinations
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gamsearch.analysis.power import ALPHA, power
from gamsearch.analysis.significance import (
    BETTER,
    UNCLEAR,
    UNKNOWN,
    WORSE,
    estimate,
    holm,
    noise_floor,
    paired,
    paired_tests,
    spread,
)

STUDIES, SEEDS = 1000, 5

differences = st.lists(st.floats(-0.1, 0.1).map(lambda x: round(x, 5)), min_size=0, max_size=8)
families = st.lists(differences, min_size=1, max_size=5)
p_values = st.lists(st.floats(0, 1) | st.floats(0, 0.06), min_size=1, max_size=6)


def simulated(finalists: int, effect: float, shared: float = 0.0, seed: int = 0) -> list[list[list[float]]]:
    """Paired differences of studies whose first finalist truly differs by `effect`.

    A single training's noise has standard deviation 1, of whose variance the part `shared` is the same for all
    architectures at a seed; the baseline's noise is in every finalist's differences.
    """
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(STUDIES, 1, SEEDS)) * np.sqrt(shared)
    runs = common + rng.normal(size=(STUDIES, finalists + 1, SEEDS)) * np.sqrt(1 - shared)
    runs[:, 1] += effect
    return (runs[:, 1:] - runs[:, :1]).tolist()


def share(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


def highest(probability: float) -> float:
    """The share of hits among the studies that is exceeded once in a thousand times at this probability."""
    return stats.binom.isf(0.001, STUDIES, probability) / STUDIES


def lowest(probability: float) -> float:
    return stats.binom.ppf(0.001, STUDIES, probability) / STUDIES


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize(("finalists", "shared"), [(1, 0.0), (3, 0.0), (3, 0.7)])
def test_without_a_true_effect_at_most_five_per_cent_of_studies_claim_anything(finalists, shared, blocked):
    claims = [{j.claim for j in paired_tests(study, blocked=blocked)} for study in simulated(finalists, 0.0, shared)]
    assert share([BETTER in study for study in claims]) <= highest(ALPHA / 2)
    assert share([bool(study & {BETTER, WORSE}) for study in claims]) <= highest(ALPHA)


def test_a_single_finalist_with_twice_the_noise_of_a_difference_is_found_in_four_of_five_studies():
    found = share([paired_tests(study)[0].claim == BETTER for study in simulated(1, 2 * np.sqrt(2))])
    assert found >= 0.8
    assert lowest(0.909) <= found <= highest(0.909)


def test_one_of_three_finalists_with_twice_the_noise_of_a_training_is_found_if_pairing_takes_most_noise_away():
    """With 70 % of a training's variance shared at a seed, sd of a difference = 0.77 of a training's: power 0.885."""
    found = share([paired_tests(study)[0].claim == BETTER for study in simulated(3, 2.0, shared=0.7)])
    assert found >= 0.8
    assert lowest(0.885) <= found <= highest(0.885)


def test_one_of_three_finalists_with_twice_the_noise_of_a_difference_is_found_in_four_of_five_studies():
    """The noise of all three together has twelve degrees of freedom; alone with its four it would be two of three."""
    studies = simulated(3, 2 * np.sqrt(2))
    found = share([paired_tests(study, blocked=True)[0].claim == BETTER for study in studies])
    assert found >= 0.8
    alone = share([paired_tests(study)[0].claim == BETTER for study in studies])
    assert lowest(0.682) <= alone <= highest(0.682)
    figures = [power(effect, 1.0, seeds, ALPHA / 3) for effect, seeds in ((2, 5), (2.292, 5), (2, 6))]
    assert figures == pytest.approx([0.682, 0.8, 0.85], abs=0.001)
    assert power(2, 1.0, 5, ALPHA / 3, rows=3) == pytest.approx(0.936, abs=0.001)


@pytest.mark.parametrize("noisy", [0, 1])
def test_a_training_that_varies_more_than_the_others_is_not_called_better_for_it(noisy):
    """The baseline or a finalist with twice the standard deviation of the others, all of which are equally good."""
    rng = np.random.default_rng(1)
    runs = rng.normal(size=(STUDIES, 4, SEEDS))
    runs[:, noisy] *= 2
    studies = (runs[:, 1:] - runs[:, :1]).tolist()
    assert share([any(j.claim == BETTER for j in paired_tests(study, blocked=True)) for study in studies]) <= highest(
        ALPHA
    )


def test_the_noise_of_blocks_is_that_of_a_two_way_layout():
    """By hand: rows 0 0, 1 3 and 2 0 deviate by 0 0, -1 1 and 1 -1 from the effects of rows and of columns."""
    samples = [[1.0, 3.0], [2.0, 0.0]]
    assert spread(samples) == pytest.approx(np.sqrt(2 * 4 / 2))
    first, second = paired_tests(samples, blocked=True)
    assert first.sd == second.sd == pytest.approx(2.0) and first.rows == 2
    assert first.p == pytest.approx(2 * stats.t.sf(2 / (2 / np.sqrt(2)), 2))


def test_a_finalist_that_varies_more_is_tested_against_its_own_noise():
    calm, wild = [0.01, 0.011, 0.012, 0.01], [0.05, -0.05, 0.04, -0.03]
    tested = paired_tests([calm, wild, calm], blocked=True)
    assert tested[1].sd == pytest.approx(np.std(wild, ddof=1))
    assert tested[0].sd == pytest.approx(spread([calm, wild, calm])) and tested[0].sd < tested[1].sd


def test_samples_of_different_lengths_are_each_tested_against_their_own_noise():
    samples = [[0.01, 0.02, 0.03], [0.01, 0.03]]
    assert [(j.sd, j.p) for j in paired_tests(samples, blocked=True)] == [(j.sd, j.p) for j in paired_tests(samples)]


@given(families)
@settings(deadline=None, derandomize=True)
def test_the_interval_excludes_zero_exactly_if_something_is_claimed(family):
    for sample, tested in zip(family, paired_tests(family), strict=True):
        assert tested.differences == tuple(sample) and tested.count == len(sample)
        assert (tested.low > 0) == (tested.claim == BETTER)
        assert (tested.high < 0) == (tested.claim == WORSE)
        assert (tested.p_holm <= ALPHA) == (tested.claim in (BETTER, WORSE))
        assert isnan(tested.low) == (tested.claim == UNKNOWN) == bool(tested.reason) == (tested.seeds_needed is None)


@given(families)
@settings(deadline=None, derandomize=True)
def test_negated_differences_give_the_opposite_claim(family):
    opposite = {BETTER: WORSE, WORSE: BETTER, UNCLEAR: UNCLEAR, UNKNOWN: UNKNOWN}
    for one, other in zip(paired_tests(family), paired_tests([[-x for x in sample] for sample in family]), strict=True):
        assert other.claim == opposite[one.claim]
        assert (other.mean, other.low) == pytest.approx((-one.mean, -one.high), nan_ok=True)


@given(p_values)
@settings(deadline=None, derandomize=True)
def test_holm_rejects_what_closed_testing_with_bonferroni_rejects(p):
    subsets = list(chain.from_iterable(combinations(range(len(p)), size) for size in range(1, len(p) + 1)))
    for index, (level, adjusted) in enumerate(holm(p)):
        rejected = all(min(p[i] for i in s) <= ALPHA / len(s) for s in subsets if index in s)
        assert (p[index] <= level) == rejected
        closed = max(min(1.0, len(s) * min(p[i] for i in s)) for s in subsets if index in s)
        assert adjusted == pytest.approx(closed)


def test_after_the_first_finalist_that_is_not_claimed_the_level_stays():
    levels = [level for level, _ in holm([0.04, 0.001, 0.9, 0.03])]
    assert levels == pytest.approx([ALPHA / 3, ALPHA / 4, ALPHA / 3, ALPHA / 3])


def test_a_finalist_without_pairs_counts_in_the_family():
    first, second = paired_tests([[0.01, 0.012, 0.011, 0.013], []])
    assert first.comparisons == 2 and first.level == ALPHA / 2
    assert second.claim == UNKNOWN and second.reason == "fewer than two paired seeds" and isnan(second.mean)


def test_a_single_finalist_is_tested_as_by_scipy():
    sample = [0.011, -0.002, 0.007, 0.016, 0.004]
    tested, direct = paired_tests([sample])[0], stats.ttest_1samp(sample, 0)
    interval = direct.confidence_interval(0.95)
    assert (tested.p, tested.low, tested.high) == pytest.approx((direct.pvalue, interval.low, interval.high))
    assert tested.half_width == pytest.approx((interval.high - interval.low) / 2)
    assert tested.sd == pytest.approx(np.std(sample, ddof=1))


@pytest.mark.parametrize("gain", [0.0, 0.01, 0.1])
def test_equal_differences_claim_nothing_and_say_why(gain):
    """Equal decimals differ by 1e-17 in binary, which is rounding and not noise."""
    baseline = {0: 0.3, 1: 0.71, 2: 0.295, 3: 0.1, 4: 0.82}
    tested = paired_tests([paired({seed: round(x + gain, 3) for seed, x in baseline.items()}, baseline)])[0]
    assert tested.claim == UNKNOWN and "noise cannot be estimated" in tested.reason
    assert tested.mean == pytest.approx(gain) and isnan(tested.low) and tested.p_holm == 1


def test_seeds_are_paired_if_both_sides_are_finite():
    candidate = {3: 0.4, 0: 0.3, 1: nan, 7: 0.5}
    assert paired(candidate, {0: 0.25, 1: 0.2, 3: 0.3, 5: 0.1, 7: inf}) == pytest.approx((0.05, 0.1))


def test_the_noise_floor_has_the_interval_of_the_chi_square_tables():
    floor = noise_floor([0.10, 0.12, 0.11, 0.14, 0.13, nan])
    assert floor.seeds == 5 and floor.sd == pytest.approx(0.0158114, abs=1e-6)
    assert (floor.low / floor.sd, floor.high / floor.sd) == pytest.approx((0.5991, 2.8736), abs=1e-4)


@pytest.mark.parametrize("values", [[], [0.3], [0.3, nan], [0.3, 0.3, 0.3]])
def test_there_is_no_noise_floor_without_two_different_trainings(values):
    assert noise_floor(values) is None


def test_an_estimate_of_one_value_has_no_interval():
    found = estimate([0.01])
    assert found.mean == 0.01 and isnan(found.low) and found.count == 1 and isnan(estimate([]).mean)
