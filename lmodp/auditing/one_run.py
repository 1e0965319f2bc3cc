"""A lower bound on epsilon from one training run with many canaries.

Each of m canaries is in the data with probability one half, decided by coins that training does not see. From the
transcript, an adversary guesses r of the coins and makes no guess for the others. Under epsilon-DP, the number of right
guesses is dominated by a binomial variable with r trials and success probability e^epsilon / (1 + e^epsilon), however
the canaries interact. delta adds a term, the maximum of m differences of the distribution. The bound needs neither
independent canaries nor any assumption about training.

References:
    Steinke, Nasr, Jagielski, Privacy auditing with one (1) training run, NeurIPS 2023,
    arXiv 2305.08846: Theorem 5.2, Corollary 5.4 (the p-value), Algorithm 1, Appendix D.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from lmodp.auditing.checks import fair_coins, finite_scores, require_counts, require_delta, require_share
from lmodp.errors import require
from lmodp.mechanisms.arrays import Booleans, Floats, Integers

_LARGEST_EPSILON = 60.0


@dataclass(frozen=True, kw_only=True)
class Guesses:
    """The number of canaries guessed to be in (those with the highest scores) and out (the lowest)."""

    included: int
    excluded: int

    def __post_init__(self) -> None:
        for name, number in (("included", self.included), ("excluded", self.excluded)):
            whole = isinstance(number, (int, np.integer)) and number >= 0
            require(whole, name, number, "must be a whole number, 0 or more")

    @property
    def total(self) -> int:
        """r, the number of guesses."""
        return self.included + self.excluded


@dataclass(frozen=True, kw_only=True)
class OneRunBound:
    """The bound from one run: of m canaries r were guessed, this many of them right, by the column ``statistic``."""

    epsilon_lower: float
    confidence: float
    delta: float
    canaries: int
    guesses: int
    correct: int
    statistic: int


def p_value(*, canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Return a bound of the probability of ``correct`` right guesses or more under (epsilon, delta)-DP.

    P(W >= v) + 2 m delta max_i P(v > W >= v - i) / i with W ~ Binomial(r, e^eps/(1+e^eps)).

    Args:
        canaries: m, each in the data with probability one half.
        guesses: r <= m.
        correct: v <= r.

    Raises:
        InvalidValue: counts that are no whole numbers with v <= r <= m, an epsilon below 0, a delta outside [0, 1).

    References:
        arXiv 2305.08846, Corollary 5.4.
    """
    require_counts("guesses", guesses, canaries)
    require_counts("correct", correct, guesses)
    require(epsilon >= 0, "epsilon", epsilon, "must be at least 0")
    require_delta(delta)
    success = 1 / (1 + math.exp(-epsilon))
    tail = float(binom.sf(correct - 1, guesses, success))
    if delta == 0 or correct == 0:
        return min(tail, 1.0)
    below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), guesses, success))
    steepest = float(np.max(below / np.arange(1, correct + 1)))
    return min(tail + 2 * canaries * delta * steepest, 1.0)


def epsilon_one_run(*, canaries: int, guesses: int, correct: int, delta: float, error: float) -> float:
    """Return the largest epsilon that the guesses refute at level ``error``, or 0.

    Raises:
        InvalidValue: as `p_value`, or an error not in (0, 1).

    References:
        arXiv 2305.08846, Algorithm 1 and Appendix D (m 1000, r 100, v 75, delta 1e-4, error 0.05: 0.673).
    """

    require_share("error", error)

    def excess(epsilon: float) -> float:
        return p_value(canaries=canaries, guesses=guesses, correct=correct, epsilon=epsilon, delta=delta) - error

    if excess(0.0) >= 0:
        return 0.0
    high = 1.0
    while excess(high) < 0 and high < _LARGEST_EPSILON:
        high *= 2
    root = float(brentq(excess, 0.0, high, xtol=1e-10))
    return root if excess(root) < 0 else max(root - 1e-9, 0.0)  # on the refuted side


def bound_from_run(
    coins: Booleans, scores: Floats, *, guesses: list[Guesses], delta: float, confidence: float = 0.95
) -> OneRunBound:
    """Return the bound that follows from one run's scores.

    Each column of the scores is one adversary. With k adversaries, each is tested at the
    k-th part of the permitted error, and the largest bound is returned.

    Args:
        coins: (m,), True where the canary was in the data; independent and fair.
        scores: (m, k), larger for presence; a function of the transcript and not of the coins.
        guesses: k numbers of guesses, fixed before the scores were seen.
        delta: of the bound.
        confidence: of the bound.

    Raises:
        InvalidValue: coins other than True and False (or 1 and 0), scores that are no finite numbers or of
            another shape, more guesses than canaries, a delta outside [0, 1) or a confidence not in (0, 1).

    Edge cases:
        of canaries with equal scores at the edge of the guessed ones, those of which the guess is wrong are
        taken first. So the order of the canaries does not matter, and equal scores show nothing.
    """
    require_delta(delta)
    require_share("confidence", confidence)
    coins, scores = fair_coins(coins), finite_scores("scores", scores)
    shape = (len(coins), len(guesses))
    fits = len(guesses) > 0 and scores.shape == shape
    require(fits, "scores", scores.shape, f"must have the shape {shape}, not empty")
    error = (1 - confidence) / len(guesses)
    bounds = [_one_column(coins, scores[:, column], number, delta, error) for column, number in enumerate(guesses)]
    best = int(np.argmax([epsilon for epsilon, _ in bounds]))
    return OneRunBound(
        epsilon_lower=bounds[best][0],
        confidence=confidence,
        delta=delta,
        canaries=len(coins),
        guesses=guesses[best].total,
        correct=bounds[best][1],
        statistic=best,
    )


def _one_column(coins: Booleans, scores: Floats, number: Guesses, delta: float, error: float) -> tuple[float, int]:
    correct = count_correct(coins, scores, number)
    return epsilon_one_run(
        canaries=len(coins), guesses=number.total, correct=correct, delta=delta, error=error
    ), correct


def count_correct(coins: Booleans, scores: Floats, number: Guesses) -> int:
    """Return how many of the guesses are right; of equal scores at the edge, wrong guesses are taken first.

    ``coins`` and ``scores`` (m,), and what is refused, are as in `bound_from_run`.
    """
    coins, scores = fair_coins(coins), finite_scores("scores", scores)
    require(scores.shape == coins.shape, "scores", scores.shape, f"must have the shape {coins.shape}")
    require(number.total <= len(coins), "guesses", number.total, f"must be at most the {len(coins)} canaries")
    return int(_running(coins, -scores)[number.included] + _running(~coins, scores)[number.excluded])


def _running(right: Booleans, rank: Floats) -> Integers:
    """Return how many of the first 0, 1, ... m canaries by rank are right, the wrong ones of equal rank first."""
    return np.append(0, np.cumsum(right[np.lexsort((right, rank))]))


def plan_guesses(included: Floats, excluded: Floats, *, canaries: int, delta: float, error: float) -> Guesses:
    """Return the numbers of guesses that give the largest expected bound for scores of a known law.

    The choice uses reference draws of the certified mechanism, never the run's own scores, so
    the bound needs no correction for it.

    Args:
        included, excluded: reference scores of both worlds.

    Raises:
        InvalidValue: fewer than 8 canaries, scores that are no finite numbers, a delta or an error out of range.
    """
    require(canaries >= 8, "canaries", canaries, "must be at least 8")
    require_delta(delta)
    require_share("error", error)
    sizes = np.unique(np.geomspace(max(4, canaries / 128), canaries / 2, 16).astype(int)).tolist()
    sides = ((1, 1), (1, 0), (0, 1))  # both, those guessed to be in, those guessed to be out
    options = [Guesses(included=size * within, excluded=size * out) for size in sizes for within, out in sides]
    scores = finite_scores("scores", np.concatenate([included, excluded]))
    coins = np.arange(len(scores)) < len(included)
    running = _running(coins, -scores), _running(~coins, scores)
    return max(options, key=lambda option: _promise(*running, option, canaries, delta, error))


def _promise(
    included: Integers, excluded: Integers, option: Guesses, canaries: int, delta: float, error: float
) -> float:
    """The bound at the number of right guesses expected from the `_running` numbers of the reference scores."""
    copies = (len(included) - 1) / canaries
    scaled = Guesses(included=int(option.included * copies), excluded=int(option.excluded * copies))
    share = int(included[scaled.included] + excluded[scaled.excluded]) / max(scaled.total, 1)
    return epsilon_one_run(
        canaries=canaries, guesses=option.total, correct=int(share * option.total), delta=delta, error=error
    )
