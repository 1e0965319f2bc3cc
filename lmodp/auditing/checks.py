"""The ranges of what every audit statistic takes; each of them checks its arguments by these."""

import numpy as np
from numpy.typing import ArrayLike

from lmodp.errors import require
from lmodp.mechanisms.arrays import Booleans, Floats


def require_share(name: str, value: float) -> None:
    """Refuse an error level or a confidence that is not strictly between 0 and 1."""
    require(0 < value < 1, name, value, "must be above 0 and below 1", "95 per cent is 0.95.")


def require_delta(delta: float) -> None:
    """Refuse a delta outside [0, 1)."""
    require(0 <= delta < 1, "delta", delta, "must be in [0, 1)")


def require_counts(name: str, found: ArrayLike, trials: int) -> None:
    """Refuse counts that are no whole numbers between 0 and ``trials``."""
    counts = np.asarray(found)
    whole = counts.dtype.kind in "iu" and isinstance(trials, (int, np.integer))
    rule = f"must be whole numbers from 0 to {trials}"
    require(whole and bool(np.all((counts >= 0) & (counts <= trials))), name, found, rule)


def finite_scores(name: str, scores: ArrayLike) -> Floats:
    """Return scores as an array of float64; refuse them unless all are finite numbers.

    Source: a transcript always has a score. One that is no number has no place in the order of the others.
    """
    found = np.asarray(scores)
    require(found.dtype.kind in "iufb", name, found.dtype.name, "must be numbers")
    found = found.astype(np.float64)
    odd = found[~np.isfinite(found)]
    require(not odd.size, name, float(odd[0]) if odd.size else None, "must be finite numbers")
    return found


def fair_coins(coins: ArrayLike) -> Booleans:
    """Return coins as an array of bool (m,); refuse other values than True and False, or 1 and 0."""
    found = np.asarray(coins)
    require(found.ndim == 1 and found.size > 0, "coins", found.shape, "must be a list, one coin a canary")
    numbers = found.dtype.kind in "biuf"
    odd = found[(found != 0) & (found != 1)][:1].tolist() if numbers else found.dtype
    rule = "must be True where the canary was in the data and False elsewhere, or 1 and 0"
    require(numbers and not odd, "coins", odd, rule)
    return found.astype(np.bool_)
