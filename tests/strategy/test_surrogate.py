"""The Gaussian process over placements and epochs."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from support.curves import EPOCHS, SPACE, final_gain

from gamsearch.architecture import Architecture
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.surrogate import Features, Observation, Surrogate


@pytest.fixture
def mixed(tmp_path: Path) -> SearchSpace:
    """Four modules at three sites; LSKA has one kernel, Triplet no strength at all."""
    file = tmp_path / "mixed.yaml"
    file.write_text(
        "detector: yolov8n.yaml\nsites: [4, 6, 9]\n"
        "attention: {GAM: {rate: [4, 16]}, SE: {rate: [4, 16]}, LSKA: {kernel: [7]}, Triplet: {}}\n"
    )
    return SearchSpace.load(file)


def test_the_surrogate_predicts_pairs_from_single_placements_and_is_uncertain_about_what_was_not_observed():
    singles = [a for a in SPACE.enumerate() if len(a.placements) == 1]
    pairs = [a for a in SPACE.enumerate() if len(a.placements) == 2]
    seen = [Observation(a, EPOCHS, final_gain(a)) for a in singles]
    surrogate = Surrogate(Features(SPACE), seen)
    mean, sd = surrogate.predict(pairs, EPOCHS)
    truth = np.array([final_gain(a) for a in pairs])
    assert np.corrcoef(mean, truth)[0, 1] > 0.95
    assert np.mean(np.abs(truth - mean) < 2 * sd) > 0.9
    known = surrogate.predict(singles, EPOCHS)[1]
    far = surrogate.predict(singles, 4 * EPOCHS)[1]
    assert known.max() < sd.min() and np.all(far > known)


def test_the_variance_before_any_observation_is_the_diagonal_of_the_covariance():
    everything = list(SPACE.enumerate())
    seen = [Observation(a, EPOCHS, final_gain(a)) for a in everything[1:8]]
    surrogate = Surrogate(Features(SPACE), seen)
    points = surrogate._located([(a, epoch) for a in everything for epoch in (1, EPOCHS)])
    whole = surrogate._covariance(points, points, surrogate.parameters)
    assert surrogate._prior_variance(points, surrogate.parameters) == pytest.approx(np.diag(whole))


def test_left_out_residuals_are_those_of_a_surrogate_without_the_observation():
    rng = random.Random(1)
    chosen = rng.sample([a for a in SPACE.enumerate() if not a.is_baseline], 12)
    seen = [Observation(a, EPOCHS, final_gain(a) + rng.gauss(0, 0.003)) for a in chosen]
    whole = Surrogate(Features(SPACE), seen)
    joint = whole._measured(whole.parameters)
    gains = np.array([o.gain for o in seen]) / whole.scale
    solved = np.linalg.solve(joint[1:, 1:], np.column_stack([gains[1:], joint[1:, 0]]))
    mean, variance = joint[0, 1:] @ solved[:, 0], joint[0, 0] - joint[0, 1:] @ solved[:, 1]
    assert whole.left_out()[0] == pytest.approx((gains[0] - mean) / np.sqrt(variance), rel=1e-6)


def rank_correlation(surrogate: Surrogate, unseen: list[Architecture], truth: Callable[[Architecture], float]) -> float:
    return float(spearmanr(surrogate.predict(unseen, EPOCHS)[0], [truth(a) for a in unseen]).statistic)


def test_what_a_module_gains_at_some_sites_is_expected_of_it_at_the_others(mixed: SearchSpace):
    """The module decides, and every pair of site and module in the test is new."""
    singles = [a for a in mixed.enumerate() if len(a.placements) == 1]
    truth = {"GAM": 0.03, "SE": 0.0, "LSKA": 0.01, "Triplet": -0.02}

    def gain(architecture: Architecture) -> float:
        return sum(truth[p.module] for p in architecture.placements)

    seen = [a for a in singles if a.placements[0].site in (4, 6)]
    surrogate = Surrogate(Features(mixed), [Observation(a, EPOCHS, gain(a)) for a in seen])
    unseen = [a for a in singles if a.placements[0].site == 9]
    assert rank_correlation(surrogate, unseen, gain) > 0.9


def test_the_strength_of_one_module_says_nothing_about_that_of_another_nor_about_one_without(mixed: SearchSpace):
    features = Features(mixed)
    one = {a.placements[0].label: features.of(a) for a in mixed.enumerate() if len(a.placements) == 1}
    strength = one["GAM@4 r4"] - one["GAM@4 r16"]
    assert np.any(strength != 0)
    assert not any(strength @ one[label] for label in ("SE@4 r4", "SE@4 r16", "Triplet@4", "LSKA@4 kernel=7"))
    assert strength @ one["GAM@9 r4"] > 0  # it does about the same module elsewhere


def test_with_one_module_the_features_are_sites_and_levels_alone():
    """Those of earlier versions, so that the replay of an earlier search takes the same course."""
    weak, strong = (next(a for a in SPACE.enumerate() if a.label == f"GAM@4 r{rate}") for rate in (16, 4))
    features = Features(SPACE)
    assert sorted(features.of(weak)) == [0.0] * (2 * len(SPACE.sites)) + [1.0]
    assert sorted(features.of(strong)) == [0.0] * (2 * len(SPACE.sites) - 1) + [1.0, 1.0]


def test_no_two_architectures_of_several_modules_share_their_features(mixed: SearchSpace):
    features = Features(mixed)
    rows = [tuple(features.of(a)) for a in mixed.enumerate()]
    assert not any(rows[0]) and len(set(rows)) == len(rows)


def test_the_features_of_the_baseline_are_zero_and_no_two_architectures_share_theirs():
    features = Features(SPACE)
    rows = [tuple(features.of(a)) for a in SPACE.enumerate()]
    assert not any(rows[0]) and len(set(rows)) == len(rows)


def test_gains_of_a_shared_network_are_the_prior_mean_with_a_slope_that_is_fitted():
    everything = [a for a in SPACE.enumerate() if a.placements]
    seen, unseen = everything[::4], [a for i, a in enumerate(everything) if i % 4]
    observed = [Observation(a, EPOCHS, final_gain(a)) for a in seen]
    truth = np.array([final_gain(a) for a in unseen])

    def error(prior) -> float:
        mean, _ = Surrogate(Features(SPACE), observed, prior=prior).predict(unseen, EPOCHS)
        return float(np.sqrt(np.mean((mean - truth) ** 2)))

    plain = error(None)
    assert error(lambda some: [final_gain(a) for a in some]) < 0.5 * plain
    assert error(lambda some: [2 * final_gain(a) for a in some]) < plain  # twice too large
    rng = np.random.default_rng(0)
    noise = {a: float(rng.normal(0, 0.02)) for a in everything}
    assert error(lambda some: [noise[a] for a in some]) < 3 * plain  # one that says nothing does little harm


def test_a_prior_of_zero_changes_nothing():
    everything = [a for a in SPACE.enumerate() if a.placements]
    observed = [Observation(a, EPOCHS, final_gain(a)) for a in everything[::4]]
    plain = Surrogate(Features(SPACE), observed).predict(everything, EPOCHS)
    zero = Surrogate(Features(SPACE), observed, prior=lambda some: [0.0] * len(some)).predict(everything, EPOCHS)
    assert np.array_equal(plain[0], zero[0]) and np.array_equal(plain[1], zero[1])
