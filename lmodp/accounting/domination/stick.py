"""The folded hockey stick of one coordinate, bounded from above by straight lines.

P is the law of X, Q that of X + v, l = log dQ/dP. For s >= 0 the folded hockey stick is

    H_v(s) = exp(-s/2) E_P(dQ/dP - e^s)_+ = E_Q exp(-l/2) 2 sinh((l - s)/2)_+.

It is convex in s and 0 from the largest loss on, so chords between its values lie above it. For a Laplace mixture, Q
has the density p(y) at the loss l_v(y) = log p(y) - log p(y + v), y >= 0, which falls in y, and p((v-u)/2)/2 at the
loss m_v(u) = log p((v-u)/2) - log p((v+u)/2), 0 <= u <= v, which rises in u. All other losses are negative. So the
outcomes of a loss of at least s form an interval, and H_v(s) is a difference of survival functions.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize.elementwise import find_root

from lmodp.mechanisms import RateMixture
from lmodp.mechanisms.arrays import Floats

CELLS = 96  # straight pieces of a stick; they raise it by L^2/(6 I CELLS^2), relatively
# Every value is raised by this share of H_v(0). An interval's end that is wrong by a rounding error of its loss lowers
# H_v by far less, and so do survival functions good to 1e-13: H_v(0) is at least 1e-5.
RAISED = 1e-8
_LOG_RANGE = (-60.0, 690.0)

Lines = tuple[Floats, Floats]  # corners of a function made of straight pieces: losses and values, shape (n, CELLS + 1)


def sticks(noise: RateMixture, shifts: Floats) -> Lines:
    """Return functions above H_v, one per shift, 0 beyond their last corner.

    Args:
        shifts: v > 0, shape (n,).
    """
    v = shifts[:, None]
    top = noise.log_density(0.0) - noise.log_density(v)
    s = top * np.linspace(0, 1, CELLS + 1)
    return s, _raised(_folded(noise, v, s))


def lattice_sticks(noise: RateMixture, shift: float, width: float) -> Floats:
    """Return at least E_P(dQ/dP - e^s)_+ at s = 0, width, 2 width, ...; the last is 0, beyond all losses."""
    top = float(noise.log_density(0.0) - noise.log_density(shift))
    s = np.append(width * np.arange(math.ceil(top / width)), top)[None]
    raised = _raised(_folded(noise, np.array([[shift]]), s))[0]
    return np.append(np.exp(s[0, :-1] / 2) * raised[:-1], 0.0)


def _folded(noise: RateMixture, v: Floats, s: Floats) -> Floats:
    """Return H_v at losses from 0 to the largest, one row per shift."""
    v = np.broadcast_to(v, s.shape)

    def beside(log_y: Floats, v: Floats, s: Floats) -> Floats:
        (near, steep), (far, flat) = (noise.log_density_and_score(np.exp(log_y) + w) for w in (0.0, v))
        return np.clip(near - far, v * flat, v * steep) - s  # v times the mean of the score, which falls

    def between(u: Floats, v: Floats, s: Floats) -> Floats:
        return noise.log_density((v - u) / 2) - noise.log_density((v + u) / 2) - s

    y = _last(beside, v, s)
    inner = s[:, 1:-1]
    u = np.zeros(s.shape)
    u[:, -1] = v[:, -1]
    u[:, 1:-1] = find_root(between, (np.zeros_like(inner), v[:, 1:-1]), args=(v[:, 1:-1], inner)).x
    zero = np.zeros_like(s)
    q = _mass(noise, zero, y) + _mass(noise, zero, (v - u) / 2)
    p = _mass(noise, (v + u) / 2, v + y)
    return np.asarray(np.exp(-s / 2) * q - np.exp(s / 2) * p)


def small_sticks(noise: RateMixture, largest: float) -> Lines:
    """Return two functions that together bound all shifts v <= ``largest`` =: w. Rows are the bound's ends v = 0, w.

    With y_t the largest y whose score s(y) is at least t, l_v(y) <= v s(y) and m_v(u) <= u L give

        H_v(v t)/v <= theta [exp(-v t/2) K(t) + v p(0) (L - t)_+^2/(4 L)],  theta = exp((w L)^2/24),
        K(t) = int p(y) (s(y) - t)_+ dy = p(0) - p(y_t) - t P(0 < X < y_t),

    because exp(-l/2) 2 sinh((l - s)/2)_+ increases in l and sinh(x) <= x exp(x^2/6). The right side is convex in v,
    so it lies below the chord between v = 0 and v = w. The rows are w times these two ends, at the losses w t.
    """
    top = noise.score_maximum
    t = top * np.linspace(0, 1, CELLS + 1)[None]
    y = _last(lambda log_y, t: noise.score(np.exp(log_y)) - t, t)
    peak = float(noise.density(0.0))
    base = _raised(-peak * np.expm1(noise.log_density(y) - noise.log_density(0.0)) - t * _mass(noise, 0 * y, y))
    ends = base, np.exp(-largest * t / 2) * base + largest * peak * (top - t) ** 2 / (4 * top)
    factor = largest * np.exp((largest * top) ** 2 / 24)
    return np.repeat(largest * t, 2, axis=0), factor * np.concatenate(ends)


def _last(gap: Callable[..., Floats], *args: Floats) -> Floats:
    """Return the largest y with gap(log y) >= 0, for a falling gap: 0 at the last corner, the largest where it never
    falls below 0."""
    low, high = (np.full(args[-1][:, :-1].shape, end) for end in _LOG_RANGE)
    inner = tuple(each[:, :-1] for each in args)
    log_y = np.full(args[-1].shape, -np.inf)
    found = find_root(gap, (low, high), args=inner)
    log_y[:, :-1] = np.where(gap(high, *inner) >= 0, high, np.where(gap(low, *inner) < 0, -np.inf, found.x))
    found_y: Floats = np.exp(log_y)
    return found_y


def _mass(noise: RateMixture, low: Floats, high: Floats) -> Floats:
    """Return P(low < X <= high) for 0 <= low <= high without cancellation."""
    log_low, log_high = noise.log_survival(low), noise.log_survival(high)
    found: Floats = -np.exp(log_low) * np.expm1(np.minimum(log_high - log_low, 0.0)) / 2
    return found


def _raised(values: Floats) -> Floats:
    found: Floats = np.maximum(values, 0.0) + RAISED * values[:, :1]
    return found
