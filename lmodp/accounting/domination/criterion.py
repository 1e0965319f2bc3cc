"""What a coordinate adds to a Gaussian that already dominates the others.

N(c) is the Gaussian pair whose log ratio has variance c. A coordinate of law P_v beside it is dominated by N(c + x),

    N(c) x P_v <= N(c + x),  if and only if  int_0^inf cosh(b s) exp(-s^2/(2c)) D(s) ds <= 0 for all b >= 0,

D = H_v - H of N(x), the folded hockey sticks. Since cosh(b s) increases in s, it suffices that D <= 0 beyond some s*
and that the inequality holds at b = 0 with D replaced by its positive part up to s*. Here H_v is replaced by
straight pieces above it. D is then concave on each piece: where it is above 0 at both corners it is above 0 between
them, a change of sign is a single one, and where it is below 0 at both corners the two tangents of the Gaussian's
convex stick decide.
"""

import numpy as np
from scipy.special import erfcx, ndtr

from lmodp.accounting.domination.stick import Lines
from lmodp.mechanisms.arrays import Booleans, Floats

_MARGIN = 1e-9  # of every integral, far above the rounding of its closed form
_SLACK = 1e-5  # given to every increase, so that a check by other sums, to 1e-6, confirms it
_NEWTON = 12
_RAISES = 14  # factors 1.0002, 1.0004, ... tried on entries for which b = 0 is not enough


def least_increase(lines: Lines, c: Floats, unit: Floats) -> Floats:
    """Return x with N(c) x P_v <= N(c + x) for every stick and every c, nearly the least; ``inf`` where none is found.

    Args:
        lines: n functions above the sticks.
        c: variances above 0, shape (m,).
        unit: the results are multiples of it, shape (n,).

    Returns:
        shape (n, m).
    """
    found = np.empty((len(unit), len(c)))
    for column, at in enumerate(c):
        pieces = _weights(lines[0], at)
        x = _solved(_weighted(lines, pieces), at)
        for attempt in range(_RAISES):
            x = np.ceil(x / unit) * unit
            wrong = np.isfinite(x) & ~_holds(lines, pieces, at, x)
            if not wrong.any():
                break
            x[wrong] *= 1 + 2e-4 * 2.0**attempt
        found[:, column] = np.where(wrong, np.inf, x)
    return found


def gaussian_stick(s: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Return H of N(x) at ``s`` and its derivative."""
    root = np.sqrt(x)
    above = np.exp(-s / 2) * ndtr(root / 2 - s / root)
    below = np.exp(s / 2) * ndtr(-root / 2 - s / root)
    return above - below, -(above + below) / 2


def _holds(lines: Lines, pieces: tuple[Floats, Floats], c: float, x: Floats) -> Booleans:
    """Return whether the criterion is met, for one x per stick, shape (n,)."""
    s, h = lines
    width = np.diff(s, axis=1)
    value, slope = gaussian_stick(s, x[:, None])
    excess = h - value
    left, right = slope[:, :-1], slope[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = (value[:, 1:] - value[:, :-1] - right * width) / (left - right)  # of the tangents at both corners
    meet = np.clip(np.nan_to_num(meet), 0, width)
    tangent = np.maximum(value[:, :-1] + left * meet, value[:, 1:] + right * (meet - width))
    line = h[:, :-1] + np.diff(h, axis=1) / width * meet
    negative = (excess[:, :-1] < 0) & (excess[:, 1:] < 0) & (line <= tangent)
    settled = np.logical_and.accumulate(negative[:, ::-1], axis=1)[:, ::-1]  # from here on D <= 0
    last = np.append(settled[:, 1:], np.ones((len(x), 1), dtype=bool), axis=1) & (excess[:, :-1] >= 0)
    # Up to s* the negative part does not count. It lies above the lower of the two corners.
    lower = np.where(settled | last, 0.0, np.maximum(-np.minimum(excess[:, :-1], excess[:, 1:]), 0.0))
    counted = _weighted(lines, pieces) + (lower * pieces[0]).sum(axis=1)
    return np.asarray(counted <= gaussian_weighted(x, c))


def _weights(s: Floats, c: float) -> tuple[Floats, Floats]:
    """Return int exp(-s^2/(2c)) ds and int s exp(-s^2/(2c)) ds over each piece, shape (n, CELLS)."""
    flat = np.sqrt(2 * np.pi * c) * np.diff(ndtr(s / np.sqrt(c)), axis=1)
    return flat, c * -np.diff(np.expm1(-s * s / (2 * c)), axis=1)


def _weighted(lines: Lines, pieces: tuple[Floats, Floats]) -> Floats:
    """Return int exp(-s^2/(2c)) h(s) ds, shape (n,), rounded up."""
    (s, h), (flat, rising) = lines, pieces
    slope = np.diff(h, axis=1) / np.diff(s, axis=1)
    found: Floats = (h[:, :-1] * flat + slope * (rising - s[:, :-1] * flat)).sum(axis=1) * (1 + _MARGIN)
    return found


def gaussian_weighted(x: Floats, c: float) -> Floats:
    """Return int exp(-s^2/(2c)) H(s) ds for the stick of N(x), rounded down."""
    scale = np.sqrt(np.pi * c / 2)
    found: Floats = scale * (erfcx(np.sqrt(c / 8)) - np.exp(-x / 8) * erfcx(np.sqrt((c + x) / 8))) * (1 - _MARGIN)
    return found


def _solved(target: Floats, c: float) -> Floats:
    """Return x at which `gaussian_weighted`, concave in x, reaches ``target``, a little above; ``inf`` if it never
    does. Newton's method from the left stays on the left."""
    x = 4 * target
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(_NEWTON):
            x = x + 4 * np.maximum(target - gaussian_weighted(x, c), 0) * np.exp(x / 8) * np.sqrt(1 + x / c)
        x = x * (1 + _SLACK)
        return np.where(gaussian_weighted(x, c) >= target, x, np.inf)
