"""Trade-off curves: the region of (epsilon, delta) and the empirical points."""

import math

import numpy as np
import pytest

from lmodp.auditing.bounds import claimed_tradeoff, tradeoff_curves


def test_the_region_at_hand_picked_points():
    curve = claimed_tradeoff(np.array([0.0, 0.1, 0.5, 1.0]), epsilon=math.log(2), delta=0.1)
    assert curve == pytest.approx([0.9, 0.7, 0.2, 0.0])


def test_perfect_privacy_is_the_straight_line():
    a = np.linspace(0, 1, 11)
    assert claimed_tradeoff(a, epsilon=0.0, delta=0.0) == pytest.approx(1 - a)


def test_an_infinite_epsilon_permits_everything():
    assert claimed_tradeoff(np.array([0.0, 0.5]), epsilon=math.inf, delta=0.0).tolist() == [0.0, 0.0]


def test_an_epsilon_whose_exponential_overflows_is_drawn():
    curve = claimed_tradeoff(np.array([0.0, 1e-300, 0.5]), epsilon=5824.0, delta=1e-10)
    assert curve.tolist() == [1 - 1e-10, 0.0, 0.0]


def test_empirical_curve_counts_both_errors():
    included, excluded = np.arange(100) + 50.0, np.arange(100) * 1.0
    curves = tradeoff_curves(included, excluded, delta=0.0, epsilons={"claimed": 1.0, "verified": None})
    assert curves["verified"] is None
    assert len({len(curves[name]) for name in ("false_positive", "false_negative", "claimed")}) == 1
    for false_positive, false_negative in zip(curves["false_positive"], curves["false_negative"], strict=True):
        threshold = 99 - 100 * false_positive
        assert false_negative == pytest.approx(max(0.0, (threshold - 49) / 100))
