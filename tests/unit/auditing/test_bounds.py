"""The bound from scores: Clopper-Pearson, the choice of the test, edge cases."""

import math

import numpy as np
import pytest
from scipy.stats import binom, norm

from lmodp.auditing.bounds import bound_from_scores, epsilon_at_least, share_at_least, share_at_most
from lmodp.errors import InvalidValue


@pytest.mark.parametrize(("hits", "trials"), [(3, 40), (20, 40), (39, 40)])
def test_clopper_pearson_inverts_the_binomial_tail(hits, trials):
    low, high = share_at_least(hits, trials, error=0.03), share_at_most(hits, trials, error=0.03)
    assert binom.sf(hits - 1, trials, low) == pytest.approx(0.03)
    assert binom.cdf(hits, trials, high) == pytest.approx(0.03)


def test_shares_at_the_ends_of_the_range():
    assert share_at_least(0, 40, error=0.05) == 0 and share_at_most(40, 40, error=0.05) == 1
    assert share_at_most(0, 40, error=0.05) == pytest.approx(1 - 0.05 ** (1 / 40))


def test_epsilon_is_the_ratio_of_both_shares_each_at_half_the_error():
    found = epsilon_at_least(np.array([300]), np.array([20]), 400, delta=0.01, error=0.1)
    low, high = share_at_least(300, 400, error=0.05), share_at_most(20, 400, error=0.05)
    assert found[0] == pytest.approx(math.log((low - 0.01) / high))


def test_a_share_below_delta_says_nothing():
    assert epsilon_at_least(np.array([2]), np.array([0]), 400, delta=0.05, error=0.1)[0] == -math.inf


def scores(mu: float, seed: int, trials: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(mu, 1, trials), generator.normal(0, 1, trials)


def test_perfectly_separated_worlds_reach_the_limit_of_their_number():
    included, excluded = np.ones(1000), np.zeros(1000)
    bound = bound_from_scores(included, excluded, delta=0.0, confidence=0.9)
    tested = 750
    assert (bound.tested, bound.false_hits) == (tested, 0)
    limit = math.log(0.05 ** (1 / tested) / (1 - 0.05 ** (1 / tested)))
    assert bound.epsilon_lower == pytest.approx(limit)


def test_the_order_in_which_the_worlds_differ_most_is_found():
    generator = np.random.default_rng(1)
    rare = np.where(generator.random(8000) < 0.02, 10.0, generator.normal(size=8000))
    plain = generator.normal(size=8000)
    assert bound_from_scores(rare, plain, delta=1e-3).order == "included over excluded"
    mirrored = bound_from_scores(-plain, -rare, delta=1e-3)
    assert mirrored.order == "excluded over included" and mirrored.epsilon_lower > 1


def test_the_better_of_two_statistics_is_used():
    included, excluded = scores(2.0, 2)
    useless = np.random.default_rng(3).normal(size=(2, len(included)))
    both = bound_from_scores(np.stack([useless[0], included], 1), np.stack([useless[1], excluded], 1), delta=1e-3)
    assert both.statistic == 1
    assert both.epsilon_lower == bound_from_scores(included, excluded, delta=1e-3).epsilon_lower


def test_the_tested_part_does_not_choose_the_threshold():
    included, excluded = scores(1.0, 4)
    before = bound_from_scores(included, excluded, delta=1e-3)
    included[1000:], excluded[1000:] = excluded[1000:].copy(), included[1000:].copy()
    after = bound_from_scores(included, excluded, delta=1e-3)
    assert after.threshold == before.threshold and after.order == before.order
    assert after.epsilon_lower < before.epsilon_lower


def test_same_worlds_give_nothing():
    included, excluded = scores(0.0, 5)
    assert bound_from_scores(included, excluded, delta=1e-2).epsilon_lower == 0.0


def test_ties_are_counted_on_one_side_only():
    generator = np.random.default_rng(6)
    included, excluded = (generator.integers(0, top, 4000).astype(float) for top in (4, 3))
    bound = bound_from_scores(included, excluded, delta=0.0)
    assert bound.threshold == 2.0 and bound.false_hits == 0


def test_more_confidence_gives_less_epsilon():
    included, excluded = scores(1.0, 7)
    bounds = [bound_from_scores(included, excluded, delta=1e-3, confidence=c).epsilon_lower for c in (0.5, 0.9, 0.999)]
    assert bounds == sorted(bounds, reverse=True) and bounds[0] > bounds[2]


def test_a_gaussian_is_bounded_below_its_curve_and_not_far():
    included, excluded = scores(1.0, 8, trials=400_000)
    bound = bound_from_scores(included, excluded, delta=0.01)
    exact = 2.3180  # mu = 1: Phi(-e + 1/2) - exp(e) Phi(-e - 1/2) = 0.01
    assert norm.cdf(-exact + 0.5) - math.exp(exact) * norm.cdf(-exact - 0.5) == pytest.approx(0.01, rel=1e-3)
    assert 0.9 * exact < bound.epsilon_lower < exact


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"included": np.zeros(9)}, "must have the shape of excluded"),
        ({"included": np.zeros(4), "excluded": np.zeros(4)}, "at least 8"),
        ({"delta": 1.0}, "delta"),
        ({"confidence": 1.0}, "confidence"),
    ],
)
def test_refuses(changes, text):
    arguments = {"included": np.zeros(10), "excluded": np.zeros(10), "delta": 0.1, "confidence": 0.9, **changes}
    with pytest.raises(InvalidValue, match=text):
        bound_from_scores(arguments.pop("included"), arguments.pop("excluded"), **arguments)
