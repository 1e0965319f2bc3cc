"""Lap2's claimed formula: a Laplace scale from (epsilon, delta) in closed form, and back.

These formulas are Lap2's claims; ``verified`` decides whether they are true.

References:
    Lap2, arXiv 2602.23516 (2026); its script's b = C sqrt(E q H_N / (8 Phi)),
    Phi = (sqrt(epsilon + L) - sqrt(L))^2, L = ln(1/delta).
"""

import math

from scipy.special import digamma

from lmodp.errors import require


def harmonic(count: int) -> float:
    """Return H_count = 1 + 1/2 + ... + 1/count."""
    require(count >= 1, "coordinates", count, "must be at least 1")
    return float(digamma(count + 1)) + 0.57721566490153286


def lap2_scale(
    *, epsilon: float, delta: float, sampling_rate: float, epochs: float, coordinates: int, clip_norm: float = 1.0
) -> float:
    """Return the Laplace scale that Lap2's script uses for a target.

    Args:
        sampling_rate: q.
        epochs: E; E q is T q^2.
        coordinates: N, the number of released coordinates.
        clip_norm: C; the scale is proportional to it.
    """
    return clip_norm * math.sqrt(epochs * sampling_rate * harmonic(coordinates) / (8 * _phi(epsilon, delta)))


def lap2_epsilon(
    *, scale: float, delta: float, sampling_rate: float, epochs: float, coordinates: int, clip_norm: float = 1.0
) -> float:
    """Return the epsilon at which `lap2_scale` gives ``scale``: epsilon = Phi + 2 sqrt(Phi L)."""
    require(0 < scale < math.inf, "scale", scale, "must be finite and above 0")
    return _epsilon(clip_norm**2 * epochs * sampling_rate * harmonic(coordinates) / (8 * scale**2), delta)


def _check(epsilon: float, delta: float) -> None:
    require(0 < epsilon < math.inf, "epsilon", epsilon, "must be finite and above 0")
    require(0 < delta < 1, "delta", delta, "must be in (0, 1)")


def _phi(epsilon: float, delta: float) -> float:
    """Return (sqrt(epsilon + L) - sqrt(L))^2, written without cancellation."""
    _check(epsilon, delta)
    log = math.log(1 / delta)
    return (epsilon / (math.sqrt(epsilon + log) + math.sqrt(log))) ** 2


def _epsilon(phi: float, delta: float) -> float:
    require(0 < delta < 1, "delta", delta, "must be in (0, 1)")
    return phi + 2 * math.sqrt(phi * math.log(1 / delta))
