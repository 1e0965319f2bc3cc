"""The one-run bound of Steinke, Nasr and Jagielski."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from lmodp.auditing.one_run import Guesses, bound_from_run, count_correct, epsilon_one_run, p_value, plan_guesses
from lmodp.errors import InvalidValue


def test_published_example():
    """arXiv 2305.08846, Appendix D."""
    assert epsilon_one_run(canaries=1000, guesses=100, correct=75, delta=1e-4, error=0.05) == pytest.approx(
        0.673, abs=5e-4
    )


def slow_p_value(m: int, r: int, v: int, epsilon: float, delta: float) -> float:
    law = [binom.pmf(k, r, math.exp(epsilon) / (1 + math.exp(epsilon))) for k in range(r + 1)]
    steepest = max(sum(law[k] for k in range(v - i, v)) / i for i in range(1, v + 1))
    return min(1.0, sum(law[v:]) + 2 * m * delta * steepest)


@pytest.mark.parametrize(
    ("r", "v", "epsilon", "delta"), [(20, 15, 0.4, 1e-3), (50, 50, 3.0, 1e-5), (33, 20, 0.0, 0.01)]
)
def test_p_value_term_by_term(r, v, epsilon, delta):
    found = p_value(canaries=60, guesses=r, correct=v, epsilon=epsilon, delta=delta)
    assert found == pytest.approx(slow_p_value(60, r, v, epsilon, delta), rel=1e-10)


def test_delta_zero_is_the_binomial_tail_and_delta_costs():
    arguments = {"canaries": 500, "guesses": 100, "correct": 80, "epsilon": 1.0}
    assert p_value(**arguments, delta=0.0) == pytest.approx(binom.sf(79, 100, 1 / (1 + math.exp(-1))))
    assert p_value(**arguments, delta=1e-3) > p_value(**arguments, delta=0.0)


def test_the_bound_is_on_the_refuted_side():
    epsilon = epsilon_one_run(canaries=800, guesses=120, correct=100, delta=1e-5, error=0.05)
    values = [
        p_value(canaries=800, guesses=120, correct=100, epsilon=epsilon + shift, delta=1e-5) for shift in (0, 1e-6)
    ]
    assert values[0] < 0.05 <= values[1] + 1e-6


@pytest.mark.parametrize(("guesses", "correct"), [(0, 0), (100, 50), (100, 0), (2, 2)])
def test_guessing_at_random_shows_nothing(guesses, correct):
    assert epsilon_one_run(canaries=1000, guesses=guesses, correct=correct, delta=1e-5, error=0.05) == 0.0


def test_guesses_are_the_highest_and_the_lowest_scores():
    coins = np.array([True, True, False, True, False, False])
    scores = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    assert count_correct(coins, scores, Guesses(included=3, excluded=1)) == 3
    assert count_correct(coins, -scores, Guesses(included=1, excluded=2)) == 0


def test_several_adversaries_share_the_error():
    coins = np.arange(400) % 2 == 0
    scores = np.stack([coins.astype(float), np.zeros(400)], 1)
    number = Guesses(included=100, excluded=0)
    both = bound_from_run(coins, scores, guesses=[number, number], delta=0.0, confidence=0.9)
    alone = epsilon_one_run(canaries=400, guesses=100, correct=100, delta=0.0, error=0.05)
    assert both.statistic == 0 and both.epsilon_lower == pytest.approx(alone)


def test_randomised_response_is_not_refuted_more_often_than_permitted():
    """The null case that the bound is tight for: each coin told rightly with e^eps/(1+e^eps)."""
    generator, epsilon, m = np.random.default_rng(5), 1.2, 300
    refuted = 0
    for _ in range(400):
        coins = generator.random(m) < 0.5
        told = np.where(generator.random(m) < 1 / (1 + math.exp(-epsilon)), coins, ~coins)
        bound = bound_from_run(
            coins,
            (told + generator.random(m) / 2)[:, None],
            guesses=[Guesses(included=60, excluded=60)],
            delta=0.0,
            confidence=0.9,
        )
        refuted += bound.epsilon_lower > epsilon
    assert 1 <= refuted <= binom.ppf(1 - 1e-4, 400, 0.1)


def test_planned_guesses_promise_more_than_a_poor_choice():
    generator = np.random.default_rng(6)
    included, excluded = generator.normal(2.5, 1, 20_000), generator.normal(0, 1, 20_000)
    best = plan_guesses(included, excluded, canaries=1000, delta=1e-5, error=0.05)
    assert 20 < best.total < 1000
    coins = generator.random(1000) < 0.5
    scores = np.where(coins, generator.normal(2.5, 1, 1000), generator.normal(0, 1, 1000))[:, None]
    bounds = [
        bound_from_run(coins, scores, guesses=[number], delta=1e-5).epsilon_lower
        for number in (best, Guesses(included=500, excluded=500))
    ]
    assert bounds[0] > bounds[1] > 0.5


def test_refuses_more_guesses_than_canaries():
    with pytest.raises(InvalidValue, match="guesses"):
        count_correct(np.ones(3, dtype=bool), np.zeros(3), Guesses(included=2, excluded=2))
    with pytest.raises(InvalidValue, match="correct"):
        p_value(canaries=10, guesses=5, correct=6, epsilon=1.0, delta=0.0)
