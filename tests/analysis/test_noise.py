"""The noise of a paired difference, and how often a search whose best candidate is trained again says yes.

A simulated study is made as the search makes it: the baseline at all seeds, every candidate at seed 0, the best of them
and the first few others at the other seeds. Gains are in standard deviations of a paired difference. `pytest -s -k
studies tests/analysis/test_noise.py` prints the rates that docs/explain/statistics.md tabulates.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from gamsearch.analysis.noise import FREEDOM, PRIOR, Gain, architectures_to_repeat, gain, pooled_noise, unpaired_noise

STUDIES, CANDIDATES = 1000, 20
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=shape)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Student's t with three degrees of freedom, scaled to variance 1."""
    return rng.standard_t(3, shape) / np.sqrt(3)


def unequal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard deviations that vary by a factor of 1.65 to either side from one architecture to the next."""
    return rng.normal(size=shape) * np.exp(rng.normal(size=(*shape[:2], 1)) / 2)


def noisy_baseline(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A baseline, which is row 0, with one and a half times the noise of a candidate."""
    values = rng.normal(size=shape)
    values[:, 0] *= 1.5
    return values


def studied(runs: np.ndarray) -> Gain | None:
    """What the search finds for mAPs by architecture (the baseline first) and seed; None without a gain to confirm."""
    rows = [dict(enumerate(row)) for row in runs]
    best = 1 + int(np.argmax(runs[1:, 0]))
    if runs[best, 0] <= runs[0, 0]:
        return None
    others = [index for index in range(1, len(rows)) if index != best]
    repeated = others[: architectures_to_repeat(runs.shape[1]) - 1]
    return gain(rows[best], rows[0], [rows[index] for index in repeated], 0)


def claims(seeds: int, draw: Draw = normal, effect: float = 0.0, harm: float = 0.0, seed: int = 0) -> float:
    """Share of studies that say yes where one candidate truly gains `effect`, after all lost `harm`."""
    rng = np.random.default_rng(seed)
    runs = draw(rng, (STUDIES, CANDIDATES + 1, seeds)) / np.sqrt(2)
    runs += rng.normal(size=(STUDIES, 1, seeds)) * 3  # what a seed does to all architectures alike
    runs[:, 1:] -= harm
    runs[:, 8] += effect
    found = [studied(study) for study in runs]
    rate = sum(one is not None and one.low > 0 for one in found) / STUDIES
    print(f"{seeds} seeds, {draw.__name__}, effect {effect}, harm {harm}: {100 * rate:.1f} %")
    return rate


def highest(probability: float) -> float:
    """The share of hits among the studies that is exceeded once in a thousand times at this probability."""
    return stats.binom.isf(0.001, STUDIES, probability) / STUDIES


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_at_most_five_per_cent_of_studies_without_an_effect_say_yes(seeds):
    assert claims(seeds) <= 0.05
    assert claims(seeds, heavy) <= 0.05
    assert claims(seeds, harm=0.5) <= 0.05


@pytest.mark.parametrize("draw", [unequal, noisy_baseline])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_studies_with_unequal_noise_say_yes_hardly_more_often(seeds, draw):
    """With two seeds the noise of the best candidate itself is nearly unknown, and selection prefers the noisy ones."""
    assert claims(seeds, draw) <= highest(0.06)


def test_two_seeds_find_an_effect_of_five_standard_deviations_in_95_per_cent_of_studies():
    assert claims(2, effect=5.0) >= 0.95
    assert claims(2, effect=5.0 + 2.0, harm=2.0) >= 0.95


def test_three_seeds_find_an_effect_of_three_standard_deviations_in_four_of_five_studies():
    assert claims(3, effect=3.0) >= 0.8


def test_the_interval_covers_the_true_gain_of_the_selected_candidate_in_95_per_cent_of_studies():
    rng = np.random.default_rng(1)
    for seeds in (2, 3):
        runs = rng.normal(size=(STUDIES, CANDIDATES + 1, seeds)) / np.sqrt(2)
        runs[:, 8] += 5.0
        covered = [one is not None and one.low <= 5.0 <= one.high for one in map(studied, runs)]
        assert sum(covered) / STUDIES >= 0.93


# the estimates ----------------------------------------------------------------------------------------------------
def test_the_pooled_noise_is_that_of_a_two_way_layout():
    """By hand: rows 0 0, 1 3 and 2 0 deviate by 0 0, -1 1 and 1 -1 from the effects of rows and of seeds."""
    found = pooled_noise([{0: 0.0, 1: 0.0}, {0: 1.0, 1: 3.0}, {0: 2.0, 1: 0.0}])
    assert found is not None and found.sd == pytest.approx(np.sqrt(2 * 4 / 2))
    assert (found.freedom, found.architectures, found.seeds) == (2, 3, 2)


def test_a_missing_seed_or_an_architecture_with_one_seed_adds_nothing_and_breaks_nothing():
    complete = [{0: 0.1, 1: 0.2, 2: 0.15}, {0: 0.2, 1: 0.32, 2: 0.22}]
    found = pooled_noise(complete)
    assert pooled_noise([*complete, {1: 0.7}]) == found and found.freedom == 2
    assert pooled_noise([*complete, {0: 0.2, 2: 0.22, 1: np.nan}]).freedom == 3


@pytest.mark.parametrize("rows", [[], [{0: 0.1, 1: 0.2}], [{0: 0.1}, {0: 0.2}], [{0: 0.1, 1: 0.2}, {0: 0.3, 1: 0.4}]])
def test_there_is_no_pooled_noise_where_nothing_varies(rows):
    assert pooled_noise(rows) is None


def test_with_a_single_repeated_candidate_the_interval_is_students_over_the_seeds_that_did_not_select_it():
    gains = (0.010, 0.014, 0.008, 0.013)
    baseline = {0: 0.3, 1: 0.31, 2: 0.29, 3: 0.32, 4: 0.3}
    candidate = {0: 0.4, **{seed: baseline[seed] + g for seed, g in enumerate(gains, 1)}}
    found, expected = gain(candidate, baseline, [], 0), stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.differences == pytest.approx(gains) and found.noise.freedom == 3


def test_the_variance_is_shrunk_towards_that_of_the_others_with_bounded_weight():
    baseline = {0: 0.0, 1: 0.0, 2: 0.0}
    others = [{0: 1.0, 1: 1.1, 2: 0.9}, {0: 2.0, 1: 1.9, 2: 2.2}, {0: 3.0, 1: 3.1, 2: 3.2}]
    pool = pooled_noise([baseline, *others])
    found = gain({0: 9.0, 1: 5.0, 2: 6.0}, baseline, others, 0)
    assert pool.freedom == 6 and found.noise.freedom == PRIOR + 1
    assert found.noise.sd**2 == pytest.approx((PRIOR * pool.sd**2 + 1 * 0.5) / (PRIOR + 1))


def test_without_another_seed_there_is_no_gain_and_without_variation_no_noise():
    assert gain({0: 0.4}, {0: 0.3, 1: 0.3}, [], 0) is None
    assert gain({}, {0: 0.3}, [], 0) is None
    same = gain({0: 0.4, 1: 0.4, 2: 0.4}, {0: 0.3, 1: 0.3, 2: 0.3}, [], 0)
    assert same.noise is None and np.isnan(same.half_width)


def test_the_noise_of_the_baseline_alone_is_that_of_the_difference_of_two_trainings():
    found = unpaired_noise([0.20, 0.22])
    assert found.sd == pytest.approx(0.02) and found.half_width() == pytest.approx(12.7062 * 0.02, rel=1e-4)
    assert unpaired_noise([0.2]) is None and unpaired_noise([0.2, 0.2]) is None


@pytest.mark.parametrize(("seeds", "number"), [(1, 0), (2, 6), (3, 3), (4, 2), (5, 1), (9, 1)])
def test_few_seeds_are_made_up_for_by_more_architectures(seeds, number):
    assert architectures_to_repeat(seeds) == number
    assert seeds < 2 or number == 1 or number * (seeds - 1) == FREEDOM
