"""From scores of two worlds (with and without the canary) to a lower bound on epsilon with a stated confidence.

For every set S of transcripts and both orders of the worlds, (epsilon, delta)-DP means P(S) <= exp(epsilon) Q(S) +
delta. So P(S) > p and Q(S) < q together refute every epsilon below log((p - delta)/q). S is the set of transcripts
whose score is above (or below) a threshold; a poor score makes the bound weaker, but never wrong. One part of the
trials chooses score, threshold and order; on the other part Clopper-Pearson bounds the two probabilities, each at half
of the permitted error. The choice is independent of the trials that test it, so no further correction is needed.

References:
    Kairouz, Oh, Viswanath, ICML 2015 (the trade-off region of (epsilon, delta)).
    Jagielski, Ullman, Oprea, NeurIPS 2020; Nasr et al., USENIX Security 2023.
    Clopper, Pearson, Biometrika 26 (1934).
    Dong, Roth, Su, Gaussian differential privacy, 2022, equation 5 (trade-off curves: the smallest false negative rate
    for each false positive rate of a test for the canary).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta

from lmodp.auditing.checks import finite_scores, require_counts, require_delta, require_share
from lmodp.errors import require
from lmodp.mechanisms.arrays import Floats, Integers

ORDERS = ("included over excluded", "excluded over included")
SELECTION_SHARE = 0.25
_CANDIDATES = 400
_POINTS = 41  # of a curve


@dataclass(frozen=True, kw_only=True)
class ScoreBound:
    """A lower bound on epsilon and the test that gave it; 0 means that nothing was found.

    ``order`` (of `ORDERS`) says which world is P above, ``statistic`` which column of the scores; for the first order S
    is the set of scores above ``threshold``. ``hits`` and ``false_hits`` are trials of P's and of Q's world inside S,
    of ``tested`` trials per world. The bound holds with ``confidence`` at ``delta`` and at every smaller one.
    """

    epsilon_lower: float
    confidence: float
    delta: float
    order: str
    statistic: int
    threshold: float
    hits: int
    false_hits: int
    tested: int


def share_at_least(hits: Integers | int, trials: int, *, error: float) -> Floats:
    """Return the Clopper-Pearson lower bound of a probability, wrong with probability <= ``error``.

    Raises:
        InvalidValue: counts that are no whole numbers from 0 to ``trials``, or an error not in (0, 1).
    """
    _check_counts("hits", hits, trials, error)
    hits = np.asarray(hits)
    found = beta.ppf(error, np.maximum(hits, 1), trials - hits + 1)
    return np.where(hits == 0, 0.0, found)


def share_at_most(hits: Integers | int, trials: int, *, error: float) -> Floats:
    """Return the Clopper-Pearson upper bound, the counterpart of `share_at_least`."""
    _check_counts("hits", hits, trials, error)
    hits = np.asarray(hits)
    found = beta.ppf(1 - error, hits + 1, np.maximum(trials - hits, 1))
    return np.where(hits == trials, 1.0, found)


def _check_counts(name: str, found: Integers | int, trials: int, error: float) -> None:
    require(trials >= 1, "trials", trials, "must be at least 1")
    require_counts(name, found, trials)
    require_share("error", error)


def epsilon_at_least(hits: Integers, false_hits: Integers, trials: int, *, delta: float, error: float) -> Floats:
    """Return log((p - delta)/q) from counts of P's and of Q's world inside S, any shape; ``-inf`` where p <= delta.

    Both shares are bounded at error/2, from ``trials`` per world.

    Raises:
        InvalidValue: as `share_at_least`, or a delta outside [0, 1).
    """
    require_delta(delta)
    require_share("error", error)
    excess = share_at_least(hits, trials, error=error / 2) - delta
    below = share_at_most(false_hits, trials, error=error / 2)
    return np.log(np.maximum(excess, 0.0), out=np.full(np.shape(excess), -np.inf), where=excess > 0) - np.log(below)


def bound_from_scores(included: Floats, excluded: Floats, *, delta: float, confidence: float = 0.95) -> ScoreBound:
    """Return the lower bound on epsilon that follows from the scores of both worlds.

    Args:
        included: scores of trials with the canary, shape (n,) or (n, statistics); larger
            scores mean that it is more likely present. Trials are independent, in the order drawn.
        excluded: the same without it; n trials too.
        delta: in [0, 1), the delta of the bound.
        confidence: in (0, 1).

    Guarantees:
        * With probability of at least ``confidence`` the mechanism that drew the
          scores is not (epsilon, delta)-DP for any epsilon below ``epsilon_lower``.

    Edge cases:
        =======================  ====================================================
        no difference visible    the bound is 0
        equal scores (ties)      the set is "score > threshold", or its complement
        NaN or infinite scores   `InvalidValue`; a transcript always has a score
        unequal numbers          `InvalidValue`
        =======================  ====================================================

    Raises:
        InvalidValue: as above, fewer than 8 trials per world, or delta or confidence out of range.
    """
    require_delta(delta)
    require_share("confidence", confidence)
    first, second = _columns("included", included), _columns("excluded", excluded)
    require(first.shape == second.shape, "included", first.shape, f"must have the shape of excluded, {second.shape}")
    require(len(first) >= 8, "trials", len(first), "must be at least 8 a world")
    cut = max(4, int(SELECTION_SHARE * len(first)))
    order, column, threshold = _choose(first[:cut], second[:cut], delta, 1 - confidence)
    hits, false_hits = _count(first[cut:, column], second[cut:, column], np.array([threshold]), order)
    tested = len(first) - cut
    found = float(epsilon_at_least(hits, false_hits, tested, delta=delta, error=1 - confidence)[0])
    return ScoreBound(
        epsilon_lower=max(found, 0.0),
        confidence=confidence,
        delta=delta,
        order=ORDERS[order],
        statistic=column,
        threshold=float(threshold),
        hits=int(hits[0]),
        false_hits=int(false_hits[0]),
        tested=tested,
    )


def _columns(name: str, scores: Floats) -> Floats:
    found = finite_scores(name, scores)
    require(found.ndim in (1, 2) and found.size > 0, name, found.shape, "must have the shape (n,) or (n, statistics)")
    return found[:, None] if found.ndim == 1 else found


def _choose(first: Floats, second: Floats, delta: float, error: float) -> tuple[int, int, float]:
    """Return (order, column, threshold) with the largest bound on these trials alone.

    The bounds use the number of these trials, not that of the trials that test the choice. This avoids
    thresholds in the far tail, which look good because of a few lucky trials.
    """
    best, choice = -math.inf, (0, 0, 0.0)
    for column in range(first.shape[1]):
        thresholds = _candidates(np.concatenate([first[:, column], second[:, column]]))
        for order in (0, 1):
            hits, false_hits = _count(first[:, column], second[:, column], thresholds, order)
            promise = epsilon_at_least(hits, false_hits, len(first), delta=delta, error=error)
            at = int(np.argmax(promise))
            if promise[at] > best:
                best, choice = float(promise[at]), (order, column, float(thresholds[at]))
    return choice


def _candidates(scores: Floats) -> Floats:
    """Thresholds at ranks, with fewer of them in the middle: the best ones are in the tails."""
    ordered = np.sort(scores)
    ranks = np.unique(np.geomspace(1, len(ordered) / 2, _CANDIDATES // 2).astype(np.int64))
    return np.unique(ordered[np.concatenate([ranks - 1, len(ordered) - 1 - ranks])])


def _count(first: Floats, second: Floats, thresholds: Floats, order: int) -> tuple[Integers, Integers]:
    """Return how many trials of P's and of Q's world are inside S, for every threshold."""
    above = [len(scores) - np.searchsorted(np.sort(scores), thresholds, side="right") for scores in (first, second)]
    if order == 0:
        return above[0], above[1]
    return len(second) - above[1], len(first) - above[0]


def claimed_tradeoff(false_positive: Floats, *, epsilon: float, delta: float) -> Floats:
    """Return the least false negative rate that (epsilon, delta)-DP permits at each false positive rate.

    Raises:
        InvalidValue: rates outside [0, 1], an epsilon below 0 or a delta outside [0, 1).

    Source: Kairouz et al. 2015, theorem 2.1.
    """
    a = finite_scores("false_positive", false_positive)
    require(bool(np.all((a >= 0) & (a <= 1))), "false_positive", false_positive, "must be rates from 0 to 1")
    require(epsilon >= 0, "epsilon", epsilon, "must be at least 0")
    require_delta(delta)
    if not math.isfinite(epsilon):
        return np.zeros_like(a)
    with np.errstate(divide="ignore", over="ignore"):
        steep = 1 - delta - np.exp(epsilon + np.log(a))  # exp(epsilon) alone may overflow
    return np.maximum(0.0, np.maximum(steep, math.exp(-epsilon) * (1 - delta - a)))


def tradeoff_curves(
    included: Floats, excluded: Floats, *, delta: float, epsilons: dict[str, float | None]
) -> dict[str, Any]:
    """Return the empirical curve from scores of both worlds, and the curves of (epsilon, delta) statements by name.

    The empirical points are shares of the trials; unlike the bound they have no confidence and are only for the figure.

    Raises:
        InvalidValue: no scores, scores that are no finite numbers, or as `claimed_tradeoff`.
    """
    included, excluded = finite_scores("included", included), finite_scores("excluded", excluded)
    require(included.size > 0 and excluded.size > 0, "scores", 0, "must be at least one in each world")
    ordered = np.sort(excluded)
    shares = (1 - np.cos(np.linspace(0, math.pi, _POINTS))) / 2  # evenly spaced in the middle, dense towards both ends
    ranks = np.unique(np.round((len(ordered) - 1) * shares).astype(np.int64))
    thresholds = np.unique(ordered[ranks])
    false_positive = 1 - np.searchsorted(ordered, thresholds, side="right") / len(ordered)
    false_negative = np.searchsorted(np.sort(included), thresholds, side="right") / len(included)
    curves = {
        name: None if epsilon is None else claimed_tradeoff(false_positive, epsilon=epsilon, delta=delta).tolist()
        for name, epsilon in epsilons.items()
    }
    return {"false_positive": false_positive.tolist(), "false_negative": false_negative.tolist(), **curves}
