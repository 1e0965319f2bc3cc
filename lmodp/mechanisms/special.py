"""Functions whose naive formulas lose digits.

All take and return float64 arrays and are accurate to a few units in the last
place over the whole range of doubles that the noise family needs.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.polynomial.legendre import leggauss

from lmodp.mechanisms.arrays import Booleans, Floats

_SERIES_BELOW = 1.0
# Bernoulli numbers B_2n / (2n)! for n = 1..10: x / expm1(x) = 1 - x/2 + sum B_2n x^2n / (2n)!
_BERNOULLI = (
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
    43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)
_INTEGRATED = tuple(b / (2 * n) for n, b in enumerate(_BERNOULLI, start=1))
_DIFFERENTIATED = tuple((2 * n - 1) * b for n, b in enumerate(_BERNOULLI, start=1))
_NODES, _WEIGHTS = leggauss(48)
# exp(-45) = 3e-20: what lies further below the peak of an integrand is lost in rounding anyway.
_EXPONENT_DROP = 45.0
FAR_INSIDE = 40.0  # standard deviations from both ends: exp(-800) of the mass lies outside


def _bernoulli_sum(y: Floats, factors: tuple[float, ...]) -> Floats:
    """Return ``sum_n factors[n] * y**(2n)`` by Horner's rule, for y below `_SERIES_BELOW`."""
    square, total = y**2, np.zeros_like(y)
    for factor in reversed(factors):
        total *= square
        total += factor
    return total


def _piecewise(y: Floats, series: Callable[[Floats], Floats], direct: Callable[[Floats], Floats]) -> Floats:
    """Return ``direct(y)``, and ``series(y)`` where y is small; each is computed where it is used."""
    y = np.asarray(y, dtype=np.float64)
    small = y < _SERIES_BELOW
    with np.errstate(over="ignore"):
        found = np.asarray(direct(np.maximum(y, _SERIES_BELOW)))
    if small.any():
        found[small] = series(y[small])
    return found


def log_uniform_mgf(y: Floats) -> Floats:
    """Return ``log((1 - exp(-y)) / y)`` for ``y >= 0``: log MGF of Uniform(0, 1) at ``-y``."""
    return _piecewise(y, lambda y: y * (y * _bernoulli_sum(y, _INTEGRATED) - 0.5), lambda y: np.log(-np.expm1(-y) / y))


def uniform_tilted_mean(y: Floats) -> Floats:
    """Return ``1/y - 1/(exp(y) - 1)`` for ``y >= 0``: mean of Uniform(0, 1) tilted by ``-y``."""
    return _piecewise(y, lambda y: 0.5 - y * _bernoulli_sum(y, _BERNOULLI), lambda y: 1 / y - 1 / np.expm1(y))


def uniform_tilted_variance(y: Floats) -> Floats:
    """Return ``1/y**2 - exp(y)/(exp(y) - 1)**2`` for ``y >= 0``: variance of the tilted Uniform(0, 1)."""
    return _piecewise(
        y, lambda y: _bernoulli_sum(y, _DIFFERENTIATED), lambda y: (1 / y) ** 2 - np.exp(-y) / np.expm1(-y) ** 2
    )


def half_normal_moments(a: Floats, width: float) -> tuple[Floats, Floats, Floats]:
    """Moments of the density proportional to ``exp(-a*y - y**2/2)`` on ``[0, width]``.

    The closed forms (differences of ``erfcx``) cancel for large ``|a|`` and for
    small ``width``, where a Gauss rule of 48 nodes over the part of the interval
    that carries mass keeps full accuracy: the exponent varies by at most 45 there. A peak
    `FAR_INSIDE` the interval gives the whole normal law, also where ``y`` has no digits left.

    Args:
        a: linear coefficient, any real, shape (n,).
        width: upper end of the support, may be ``inf``.

    Returns:
        ``(log J0, mean, variance)`` of shape (n,), with J0 the unnormalised mass.
    """
    a = np.asarray(a, dtype=np.float64)
    inside = far_inside(a, width)
    if inside.any():
        with np.errstate(over="ignore"):
            log_mass, mean, variance = a**2 / 2 + math.log(2 * math.pi) / 2, -a, np.ones_like(a)
        if not inside.all():
            for whole, cut in zip((log_mass, mean, variance), half_normal_moments(a[~inside], width), strict=True):
                whole[~inside] = cut
        return log_mass, mean, variance
    mirrored = -a > width  # the peak lies beyond the upper end: y -> width - y
    slope = np.where(mirrored, -(a + width), a) if np.isfinite(width) else a
    log_mass, mean, variance = _peak_inside(slope, width)
    if np.isfinite(width):
        log_mass = np.where(mirrored, log_mass - width * (a + width / 2), log_mass)
        mean = np.where(mirrored, width - mean, mean)
    return log_mass, mean, variance


def far_inside(a: Floats, width: float) -> Booleans:
    """Whether the density's peak ``-a`` is so far from both ends of [0, width] that they do not matter."""
    return (-a > FAR_INSIDE) & (width + a > FAR_INSIDE)


def _peak_inside(a: Floats, width: float) -> tuple[Floats, Floats, Floats]:
    """`half_normal_moments` for ``a >= -width``."""
    reach = np.sqrt(2 * _EXPONENT_DROP)
    peak = np.maximum(-a, 0.0)
    # a*y + y^2/2 = drop has the root below, written without cancellation.
    right = 2 * _EXPONENT_DROP / (a + np.hypot(a, reach))
    low = np.maximum(peak - reach, 0.0)
    high = np.minimum(np.where(a >= 0, right, peak + reach), width)
    half = (high - low) / 2
    y = low[..., None] + half[..., None] * (1 + _NODES)
    slope = a[..., None]
    exponent = np.where(slope >= 0, -slope * y - y * y / 2, -((y + np.minimum(slope, 0)) ** 2) / 2)
    weights = _WEIGHTS * np.exp(exponent)
    mass = weights.sum(-1)
    mean = (weights * y).sum(-1) / mass
    variance = (weights * (y - mean[..., None]) ** 2).sum(-1) / mass
    return np.log(half * mass) + np.minimum(a, 0) ** 2 / 2, mean, variance
