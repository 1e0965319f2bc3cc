"""What a coordinate adds to a Gaussian that already dominates the others.

N(c) is the Gaussian pair whose log ratio has variance c. A coordinate of law P_v beside it is dominated by N(c + x),

    N(c) x P_v <= N(c + x),  if and only if  int_0^inf cosh(b s) exp(-s^2/(2c)) D(s) ds <= 0 for all b >= 0,

D = H_v - H of N(x), the folded hockey sticks. So it suffices that D is positive up to some s* and negative beyond it,
and that the inequality holds at b = 0: cosh(b s) is at most cosh(b s*) before s* and at least that after it.
Here H_v is replaced by straight pieces above it. D is then concave on each piece. So D >= 0 at both corners
is D >= 0 between them, a change of sign between corners is a single one, and for a piece with D <= 0 at both corners
the two tangents of the Gaussian's convex stick decide.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx, ndtr

from lmodp.accounting.domination.stick import Lines
from lmodp.mechanisms.arrays import Booleans, Floats

_MARGIN = 1e-9  # of every integral, far above the rounding of its closed form
_NEWTON = 12
_RAISES = 14  # factors 1.0005, 1.001, ... tried on entries whose signs are wrong


def least_increase(lines: Lines, c: Floats) -> Floats:
    """Return x with N(c) x P_v <= N(c + x) for every stick and every c, nearly the least; ``inf`` where none is found.

    Args:
        lines: n functions above the sticks.
        c: variances above 0, shape (m,).

    Returns:
        shape (n, m).
    """
    x = np.stack([_solved(_weighted(*lines, at), at) for at in c], axis=1)
    for attempt in range(_RAISES):
        wrong = ~np.isfinite(x)
        for column in range(x.shape[1]):
            wrong[:, column] = ~one_crossing(lines, x[:, column])
        wrong &= np.isfinite(x)
        if not wrong.any():
            return x
        x[wrong] *= 1 + 5e-4 * 2.0**attempt
    return np.where(wrong, np.inf, x)


def gaussian_stick(s: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Return H of N(x) at ``s`` and its derivative."""
    root = np.sqrt(x)
    above = np.exp(-s / 2) * ndtr(root / 2 - s / root)
    below = np.exp(s / 2) * ndtr(-root / 2 - s / root)
    return above - below, -(above + below) / 2


def one_crossing(lines: Lines, x: Floats) -> Booleans:
    """Return whether D is positive first and then negative, for one x per stick, shape (n,)."""
    s, h = lines
    width = np.diff(s, axis=1)
    value, slope = gaussian_stick(s, x[:, None])
    positive = h >= value
    left, right = slope[:, :-1], slope[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = (value[:, 1:] - value[:, :-1] - right * width) / (left - right)  # of the tangents at both corners
    meet = np.clip(np.nan_to_num(meet), 0, width)
    tangent = np.maximum(value[:, :-1] + left * meet, value[:, 1:] + right * (meet - width))
    line = h[:, :-1] + np.diff(h, axis=1) / width * meet
    negative = ~positive[:, :-1] & ~positive[:, 1:] & (line <= tangent)
    # A piece is decided if it is negative, or begins positive with no negative corner before it.
    before = np.logical_and.accumulate(positive, axis=1)[:, :-1]
    after = np.logical_and.accumulate(negative[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((before | after).all(axis=1))


def _weighted(s: Floats, h: Floats, c: float) -> Floats:
    """Return int exp(-s^2/(2c)) h(s) ds, shape (n,), rounded up."""
    flat = np.sqrt(2 * np.pi * c) * np.diff(ndtr(s / np.sqrt(c)), axis=1)
    rising = c * -np.diff(np.expm1(-s * s / (2 * c)), axis=1)
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
        x = x * (1 + 10 * _MARGIN)
        return np.where(gaussian_weighted(x, c) >= target, x, np.inf)
