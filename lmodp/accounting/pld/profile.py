"""The pair (P, Q) of one coordinate shifted by v, cut into cells by privacy loss.

P is the law of X, Q that of X + v. Reflection x -> v - x swaps them, so only losses above 0
are cut: the right side y = x - v >= 0 with loss l_v(y) = log p(y) - log p(y + v), falling in y,
and the middle u = 2x - v in [0, v] with loss log p((v-u)/2) - log p((v+u)/2), rising in u.
Cell masses are differences of survival functions, exact up to rounding.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr

from lmodp.mechanisms import Gaussian, Noise
from lmodp.mechanisms.arrays import Booleans, Floats

_BISECTIONS = 60  # 750 / 2^60 moves y by at most 3.3e-16, relatively
_LOG_RANGE = (-60.0, 690.0)
USUAL_REACH = 13.0  # standard deviations of a Gaussian


def right_loss(noise: Noise, shift: float, y: Floats) -> Floats:
    """Return l_v(y) = log p(y) - log p(y + v) for y >= 0, kept between v s(y + v) and v s(y), which
    hold because the score falls; far out the difference itself is lost in rounding."""
    far = y + shift
    difference = noise.log_density(y) - noise.log_density(far)
    return np.clip(difference, shift * noise.score(far), shift * noise.score(y))


def largest_loss(noise: Noise, shift: float, reach: float = USUAL_REACH) -> float:
    """Return log p(0) - log p(shift), the largest privacy loss of the shift; for a Gaussian the loss
    beyond which Q has the mass `unbounded_mass`.

    Args:
        reach: standard deviations of a Gaussian, beyond which its tails are not cut into cells.
    """
    if isinstance(noise, Gaussian):
        return float(shift / noise.std * (reach + shift / (2 * noise.std)))
    return float(right_loss(noise, shift, np.zeros(1))[0])


def sampled_loss(loss: Floats, sampling_rate: float) -> Floats:
    """Return log(1 - q + q exp(loss)); the loss itself at q = 1, where 1 - q + q exp(loss) may round to 0."""
    if sampling_rate == 1:
        return loss
    # Of large losses in logarithms: q exp(loss) may lie on either side of 1.
    log_odds = np.maximum(loss, 1.0) + np.log(sampling_rate)
    large = np.where(log_odds > 30, log_odds, np.log1p(np.exp(np.minimum(log_odds, 30.0))))
    return np.where(loss > 30, large, np.log1p(sampling_rate * np.expm1(np.minimum(loss, 30.0))))


def reach_of(steps: int, delta: float) -> float:
    """Return the standard deviations beyond which a Gaussian's tails have less than a millionth of ``delta`` in
    ``steps`` releases: 2 Phi(-z) <= exp(-z^2/2)."""
    return math.sqrt(2 * (math.log(1e6) + math.log(steps) - math.log(delta)))


def unbounded_mass(noise: Noise, reach: float = USUAL_REACH) -> float:
    """Return a bound of the mass of either law outside the losses that are cut, on both sides together."""
    return float(2 * ndtr(-reach)) if isinstance(noise, Gaussian) else 0.0


def positive_cells(noise: Noise, shift: float, bounds: Floats) -> tuple[Floats, Floats]:
    """Return (P, Q) masses of the cells bounds[j] <= loss < bounds[j+1].

    Args:
        noise: a Laplace mixture, or a Gaussian, whose losses beyond ``bounds[-1]`` are left out.
        shift: v > 0.
        bounds: ascending, non-negative, shape (n + 1,).
    """
    if isinstance(noise, Gaussian):
        return _gaussian_cells(noise, shift, bounds)
    y = _right_end(noise, shift, bounds)  # descending
    half = shift / 2
    u = _middle_end(noise, shift, bounds) / 2  # ascending, u / 2 in [0, v / 2]
    q = mass_between(noise, y[1:], y[:-1]) + mass_between(noise, half - u[1:], half - u[:-1])
    p = mass_between(noise, y[1:] + shift, y[:-1] + shift) + mass_between(noise, half + u[:-1], half + u[1:])
    return p, q


def _gaussian_cells(noise: Gaussian, shift: float, bounds: Floats) -> tuple[Floats, Floats]:
    """Cells of the loss shift (x - shift/2) / std^2, which rises in x without a bound."""
    x = shift / 2 + noise.variance / shift * bounds
    p = mass_between(noise, x[:-1], x[1:])
    inner, outer = x[:-1] - shift, x[1:] - shift
    q = np.where(inner >= 0, mass_between(noise, inner, outer), _signed_mass(noise, inner, outer))
    return p, q


def _signed_mass(noise: Noise, low: Floats, high: Floats) -> Floats:
    """Return P(low < X <= high) for low < 0."""
    zero = np.zeros_like(low)
    left = mass_between(noise, np.maximum(-high, 0), np.maximum(-low, 0))
    return left + mass_between(noise, zero, np.maximum(high, 0))


def mass_between(noise: Noise, low: Floats, high: Floats) -> Floats:
    """Return P(low < X <= high) for 0 <= low <= high without cancellation; ``high`` may be infinite."""
    ends = np.isinf(high)
    log_low, log_high = noise.log_survival(low), noise.log_survival(np.where(ends, low, high))
    log_high = np.where(ends, -np.inf, log_high)
    with np.errstate(invalid="ignore"):
        mass = -np.exp(log_low) * np.expm1(np.minimum(log_high - log_low, 0.0)) / 2
    return np.where(np.isneginf(log_low), 0.0, mass)


def _right_end(noise: Noise, shift: float, bounds: Floats) -> Floats:
    """Return sup{y >= 0: l_v(y) >= bound}, 0 where there is none."""

    def below(log_y: Floats) -> Booleans:
        return right_loss(noise, shift, np.exp(log_y)) < bounds

    log_y = _bisect(below, np.full(len(bounds), _LOG_RANGE[0]), np.full(len(bounds), _LOG_RANGE[1]))
    y = np.exp(log_y)
    y = np.where(log_y < _LOG_RANGE[0] + 1e-6, 0.0, y)
    return np.where(bounds <= 0, np.inf, y)


def _middle_end(noise: Noise, shift: float, bounds: Floats) -> Floats:
    """Return inf{u in [0, v]: the middle's loss >= bound}, v where there is none."""

    def reached(u: Floats) -> Booleans:
        return noise.log_density((shift - u) / 2) - noise.log_density((shift + u) / 2) >= bounds

    return _bisect(reached, np.zeros(len(bounds)), np.full(len(bounds), shift))


def _bisect(true_above: Callable[[Floats], Booleans], low: Floats, high: Floats) -> Floats:
    """Return where a monotone test turns true, elementwise."""
    for _ in range(_BISECTIONS):
        centre = (low + high) / 2
        hit = true_above(centre)
        low, high = np.where(hit, low, centre), np.where(hit, centre, high)
    return (low + high) / 2
