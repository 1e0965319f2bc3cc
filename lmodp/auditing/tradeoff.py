"""Trade-off curves: the smallest false negative rate for each false positive rate.

A test for "the canary was in the data" makes two kinds of errors. The mechanism's trade-off curve is the best that any
test can reach. An (epsilon, delta) claim states that no test is below max(0, 1 - delta - exp(epsilon) a, exp(-epsilon)
(1 - delta - a)), where a is the false positive rate.

References:
    Dong, Roth, Su, Gaussian differential privacy, 2022, equation 5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lmodp.auditing.checks import finite_scores, require_delta
from lmodp.errors import require
from lmodp.mechanisms.arrays import Floats

_POINTS = 41


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
    ranks = np.unique(np.round((len(ordered) - 1) * _spread()).astype(np.int64))
    thresholds = np.unique(ordered[ranks])
    false_positive = 1 - np.searchsorted(ordered, thresholds, side="right") / len(ordered)
    false_negative = np.searchsorted(np.sort(included), thresholds, side="right") / len(included)
    curves = {
        name: None if epsilon is None else claimed_tradeoff(false_positive, epsilon=epsilon, delta=delta).tolist()
        for name, epsilon in epsilons.items()
    }
    return {"false_positive": false_positive.tolist(), "false_negative": false_negative.tolist(), **curves}


def _spread() -> Floats:
    """Shares of the excluded scores below the threshold: evenly spaced in the middle, dense towards both ends."""
    return (1 - np.cos(np.linspace(0, math.pi, _POINTS))) / 2
