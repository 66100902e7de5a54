"""The Gaussian process over placements and epochs."""

import random

import numpy as np
import pytest
from support.curves import EPOCHS, SPACE, final_gain

from gamsearch.strategy.surrogate import Features, Observation, Surrogate


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


def test_the_features_of_the_baseline_are_zero_and_no_two_architectures_share_theirs():
    features = Features(SPACE)
    rows = [tuple(features.of(a)) for a in SPACE.enumerate()]
    assert not any(rows[0]) and len(set(rows)) == len(rows)
