"""Every public statistic of the audit refuses the same odd input, and ties count against the claim."""

import itertools
import math
from functools import partial

import numpy as np
import pytest

from lmodp.auditing.bounds import (
    bound_from_scores,
    claimed_tradeoff,
    epsilon_at_least,
    share_at_least,
    share_at_most,
    tradeoff_curves,
)
from lmodp.auditing.likelihood import CanaryScore
from lmodp.auditing.one_run import Guesses, bound_from_run, count_correct, epsilon_one_run, p_value, plan_guesses
from lmodp.auditing.transcripts import Reference, fit_to_reference, score_releases
from lmodp.errors import InvalidValue
from lmodp.mechanisms import Laplace

FEW = Guesses(included=4, excluded=4)
SCORES, COINS = np.arange(20.0), np.arange(20) % 3 == 0


def canaries(**changes):
    arguments = {"coins": COINS, "scores": SCORES[:, None], "delta": 1e-3, "confidence": 0.9, **changes}
    return bound_from_run(arguments.pop("coins"), arguments.pop("scores"), guesses=[FEW], **arguments)


def worlds(**changes):
    arguments = {"included": SCORES, "excluded": SCORES - 3, "delta": 1e-3, "confidence": 0.9, **changes}
    return bound_from_scores(arguments.pop("included"), arguments.pop("excluded"), **arguments)


def with_delta():
    yield canaries
    yield worlds
    yield partial(epsilon_at_least, np.array([3]), np.array([1]), 10, error=0.1)
    yield partial(p_value, canaries=20, guesses=8, correct=6, epsilon=1.0)
    yield partial(epsilon_one_run, canaries=20, guesses=8, correct=6, error=0.1)
    yield partial(plan_guesses, SCORES, SCORES - 3, canaries=20, error=0.1)
    yield partial(claimed_tradeoff, np.array([0.1]), epsilon=1.0)
    yield partial(tradeoff_curves, SCORES, SCORES - 3, epsilons={"claimed": 1.0})


@pytest.mark.parametrize("delta", [-1e-9, 1.0, math.nan, math.inf])
@pytest.mark.parametrize("statistic", list(with_delta()))
def test_delta_is_at_least_0_and_below_1(statistic, delta):
    with pytest.raises(InvalidValue, match="delta"):
        statistic(delta=delta)


def with_level():
    yield "confidence", canaries
    yield "confidence", worlds
    yield "error", partial(share_at_least, 3, 10)
    yield "error", partial(share_at_most, 3, 10)
    yield "error", partial(epsilon_at_least, np.array([3]), np.array([1]), 10, delta=0.0)
    yield "error", partial(epsilon_one_run, canaries=20, guesses=8, correct=6, delta=0.0)
    yield "error", partial(plan_guesses, SCORES, SCORES - 3, canaries=20, delta=0.0)


@pytest.mark.parametrize("level", [95, 1.0, 0.0, -0.1, math.nan])
@pytest.mark.parametrize(("name", "statistic"), list(with_level()))
def test_a_level_is_between_0_and_1(name, statistic, level):
    if (name, level) == ("error", 95):
        level = 5
    with pytest.raises(InvalidValue, match=f"{name}|error"):
        statistic(**{name: level})


def with_scores():
    yield lambda scores: canaries(scores=scores[:, None])
    yield lambda scores: worlds(included=scores)
    yield lambda scores: worlds(excluded=scores)
    yield lambda scores: count_correct(COINS, scores, FEW)
    yield lambda scores: plan_guesses(scores, SCORES, canaries=20, delta=0.0, error=0.1)
    yield lambda scores: plan_guesses(SCORES, scores, canaries=20, delta=0.0, error=0.1)
    yield lambda scores: tradeoff_curves(scores, SCORES, delta=0.0, epsilons={})
    yield lambda scores: tradeoff_curves(SCORES, scores, delta=0.0, epsilons={})
    yield lambda scores: fit_to_reference(COINS, scores, Reference(SCORES, SCORES))
    yield lambda scores: score_releases(
        scores[None, :], CanaryScore(noise=Laplace(scale=1), relative_sensitivity=1.0, coordinates=1, sampling_rate=0.5)
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "high"])
@pytest.mark.parametrize("statistic", list(with_scores()))
def test_scores_are_finite_numbers(statistic, value):
    scores = np.array([*SCORES[:-1], value])
    with pytest.raises(InvalidValue, match="must be (finite )?numbers"):
        statistic(scores)


def with_coins():
    yield lambda coins: canaries(coins=coins)
    yield lambda coins: count_correct(coins, SCORES, FEW)
    yield lambda coins: fit_to_reference(coins, SCORES, Reference(SCORES, SCORES))


@pytest.mark.parametrize("statistic", list(with_coins()))
@pytest.mark.parametrize(
    "coins", [np.where(COINS, 1, -1), np.where(COINS, 2, 0), np.where(COINS, 1.0, np.nan), np.where(COINS, "in", "out")]
)
def test_coins_are_true_and_false_or_1_and_0(statistic, coins):
    with pytest.raises(InvalidValue, match="coins"):
        statistic(coins)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.float32])
def test_coins_of_1_and_0_count_as_those_of_true_and_false(kind):
    """~ of a whole number is not its opposite."""
    assert canaries(coins=COINS.astype(kind)) == canaries()
    assert count_correct(COINS.astype(kind), SCORES, FEW) == count_correct(COINS, SCORES, FEW)


@pytest.mark.parametrize("hits", [-1, 11, 2.5])
@pytest.mark.parametrize("statistic", [share_at_least, share_at_most])
def test_counts_are_whole_and_at_most_the_trials(statistic, hits):
    with pytest.raises(InvalidValue, match="hits"):
        statistic(hits, 10, error=0.1)


ORDERS = {
    "members first": np.arange(40) < 20,
    "members last": np.arange(40) >= 20,
    "in turn": np.arange(40) % 2 == 0,
}


@pytest.mark.parametrize("coins", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize(("included", "excluded"), [(10, 10), (15, 0), (0, 15), (1, 1)])
def test_equal_scores_show_nothing_in_any_order_of_the_canaries(coins, included, excluded):
    number = Guesses(included=included, excluded=excluded)
    bound = bound_from_run(coins, np.zeros((40, 1)), guesses=[number], delta=0.0, confidence=0.6)
    assert (bound.epsilon_lower, bound.correct) == (0.0, 0)


def test_ties_give_the_fewest_right_guesses_of_all_ways_to_break_them():
    scores, coins = np.array([2, 2, 2, 1, 1]), np.array([1, 0, 1, 0, 1])
    for included, excluded in itertools.product(range(3), range(3)):
        number = Guesses(included=included, excluded=excluded)
        ways = [
            count_correct(coins, scores + 1e-3 * np.array(broken), number)
            for broken in itertools.permutations(range(len(scores)))
        ]
        assert count_correct(coins, scores, number) == min(ways)


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_worlds_of_equal_scores_show_nothing(shift):
    assert worlds(included=np.full(40, shift), excluded=np.full(40, shift), confidence=0.6).epsilon_lower == 0.0
