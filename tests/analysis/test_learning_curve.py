"""What a learning curve shows: made-up curves with noise, on both sides of each judgement."""

import numpy as np
import pytest

from gamsearch.analysis.learning_curve import decay_epochs, flat_after, is_flat, is_read, still_rising, trend


def curve(height, epochs: int, noise: float = 0.004, seed: int = 0) -> list[tuple[int, float]]:
    """Readings of a curve with normal noise at the epochs that a training validates."""
    rng = np.random.default_rng(seed)
    return [(e, max(0.0, height(e) + rng.normal(0, noise))) for e in range(1, epochs + 1) if is_read(e)]


def saturating(epoch: int) -> float:
    return 0.4 * (1 - np.exp(-epoch / 8))


def test_a_curve_is_steep_as_long_as_it_rises_at_half_its_mean_rate():
    for seed in range(20):
        assert "still rising by" in still_rising(curve(lambda e: 0.01 * e, 12, seed=seed), "train longer")
        assert still_rising(curve(saturating, 32, seed=seed), "train longer") == ""


def test_the_sentence_has_the_level_the_epochs_the_rate_and_what_to_do():
    steep = [(1, 0.0), (2, 0.0), (3, 0.001), (4, 0.003), (5, 0.006), (6, 0.009)]
    assert still_rising(steep, "use a .pt") == (
        "the baseline is at mAP50-95 0.009 after 6 epochs and still rising by 31 % an epoch: use a .pt"
    )


@pytest.mark.parametrize("readings", [[0.0] * 8, [0.0, 0.001, 0.0, 0.0, 0.002, 0.0, 0.001, 0.0]])
def test_a_curve_that_is_not_above_its_noise_has_learned_nothing(readings):
    flat = list(enumerate(readings, start=1))
    assert "no more than its noise" in still_rising(flat, "train longer") and not is_flat(flat)


def test_three_epochs_from_scratch_are_too_few_but_a_fine_tuning_may_need_no_more():
    short = [(1, 0.3), (2, 0.31), (3, 0.31)]
    assert trend(short) is None and not is_flat(short)
    assert "after 3 epochs, too few to tell" in still_rising(short, "train longer")
    assert still_rising(short, "", from_scratch=False) == "" == still_rising([], "")


def test_noise_makes_neither_a_steep_curve_nor_a_flat_one():
    """At the same mean slope, a curve whose noise hides it is not called steep, and one short dip is not flat."""
    noisy = [curve(lambda e: 0.2 + 0.008 * e, 12, noise=0.08, seed=seed) for seed in range(40)]
    assert sum(bool(still_rising(one, "")) for one in noisy) <= 4
    dip = [(e, 0.01 * e) for e in range(1, 13)] + [(13, 0.12), (14, 0.12)]
    assert not is_flat(dip)


@pytest.mark.parametrize("noise", [0.002, 0.01, 0.03])
def test_training_goes_on_until_the_curve_is_flat_and_not_longer(noise):
    ends = [flat_after(curve(saturating, 100, noise, seed), 20, 100) for seed in range(20)]
    assert min(ends) >= 16 and np.median(ends) < 60
    left = [1 - saturating(end) / 0.4 for end in ends]
    assert np.median(left) < 0.1 and max(left) < 0.2  # of what it can reach


def test_the_bounds_hold_with_the_decay_of_the_learning_rate():
    level, rising = curve(lambda e: 0.3, 100), curve(lambda e: 0.005 * e, 100, noise=0.0)
    assert flat_after(level, 20, 100) == 16 and 16 + decay_epochs(16) == 20
    assert flat_after(rising, 20, 100) == 80 and 80 + decay_epochs(80) == 100
    assert flat_after(rising[:20], 20, 100) is None


def test_the_decision_depends_on_the_readings_before_it_alone():
    whole = curve(saturating, 100)
    after = flat_after(whole, 20, 100)
    parts = [flat_after(whole[:n], 20, 100) for n in range(len(whole) + 1)]
    assert set(parts) == {None, after} and parts.index(after) == [e for e, _ in whole].index(after) + 1


def test_readings_become_sparse_and_a_last_half_always_has_enough():
    read = [e for e in range(1, 401) if is_read(e)]
    assert read[:16] == list(range(1, 17)) and len(read) < 60
    assert all(sum(e > last / 2 for e in read if e <= last) >= 8 for last in read if last >= 16)
