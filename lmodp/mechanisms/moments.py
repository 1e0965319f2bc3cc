"""Integrals over the half line by the trapezoidal rule in log x.

Every integrand here is analytic in log x in a strip around the real axis and falls
exponentially at both ends. For such integrands the trapezoidal rule converges
exponentially, for exponential tails and for power tails. A grid of half the density
gives the error estimate.
"""

import math

import numpy as np

from lmodp.errors import Unsupported
from lmodp.mechanisms.arrays import Floats

_STEP = 1 / 16
_BELOW_SCALE = 42.0  # exp(-42) of the scale: what lies below adds less than 1e-18
LOG_LARGEST = 690.0  # exp(690) = 1e299, the largest x used
_RELATIVE_ERROR_ALLOWED = 1e-9


def log_grid(scale: float) -> Floats:
    """Return log x from 42 below ``log(scale)`` to 690 in steps of 1/16, an odd number of points."""
    first = math.log(scale) - _BELOW_SCALE
    count = 2 * int((LOG_LARGEST - first) / (2 * _STEP)) + 1
    return first + _STEP * np.arange(count, dtype=np.float64)


def integrate(log_x: Floats, values: Floats) -> float:
    """Return the integral of f over x > 0 from ``values`` = x f(x) on `log_grid`.

    Raises:
        Unsupported: halving the density moves the result by more than 1e-9.
    """
    fine = float(values.sum() * _STEP)
    coarse = float(values[::2].sum() * 2 * _STEP)
    if not abs(fine - coarse) <= _RELATIVE_ERROR_ALLOWED * abs(fine):
        raise Unsupported(
            f"an integral over the noise did not converge ({fine:.6g} against {coarse:.6g}): its tail is too heavy for "
            "doubles. Use a rate with less mass near 0."
        )
    return fine


def tail_integral(log_x: float, log_survival: float, power: int, exponent: float) -> float:
    """Return the integral of x**power * S(x) from x on, for S(x) a power law with ``exponent``.

    Args:
        log_x: where the tail begins.
        log_survival: log S there.
        power: 0 for E|X|, 1 for the second moment.
        exponent: kappa > power + 1, S(x) = C x**-kappa; ``inf`` for a faster decay.
    """
    if math.isinf(exponent):
        return 0.0
    return math.exp((power + 1) * log_x + log_survival) / (exponent - power - 1)


def entropy_tail(log_x: float, log_survival: float, exponent: float) -> float:
    """Return -2 times the integral of p log p from x on, p the density of a power law tail."""
    if math.isinf(exponent) or log_survival < -LOG_LARGEST:
        return 0.0
    log_factor = math.log(exponent / 2) + log_survival + exponent * log_x
    return math.exp(log_survival) * ((exponent + 1) * (log_x + 1 / exponent) - log_factor)
