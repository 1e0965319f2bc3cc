"""PLRV-O's claimed formula: the majorisation sum over coordinates.

The gradient is replaced by the majorising one, whose coordinate i is g_i = sqrt(i) - sqrt(i-1)
times the clip norm. Then the *subsampled* log moments of all coordinates are added, as if every
coordinate were sampled independently. In fact one sample decides for all coordinates, and the joint
moment is larger, so the sum is not an upper bound. It is only a claim.

References:
    Yang et al., PLRV-O, arXiv 2509.06264 (CCS 2025).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import gammaln

from lmodp.errors import require
from lmodp.mechanisms import RateMixture
from lmodp.mechanisms.arrays import Floats

LARGEST_LAMBDA = 80
_EXACT = 256  # so many coordinates are summed one by one; a Gauss rule sums the smooth rest, to 1e-7 of the sum
_PANELS = 8
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class PlrvClaim:
    """PLRV-O's epsilon of a run.

    Args:
        epsilon: ``inf`` where no lambda is valid.
        order: lambda at the minimum, None where there is none.
        reason: why there is no epsilon, empty otherwise.
    """

    epsilon: float
    order: int | None = None
    reason: str = ""


def plrv_o_epsilon(
    noise: RateMixture, *, coordinates: int, sampling_rate: float, steps: int, delta: float, clip_norm: float = 1.0
) -> PlrvClaim:
    """Return min over lambda = 1...80 of T alpha/lambda + ln(lambda/(1+lambda)) - (ln delta + ln(1+lambda))/lambda.

    Args:
        noise: published with a Gamma rate; any Laplace mixture is accepted.
        coordinates: number of released coordinates N.
        clip_norm: C, in units of the factor that multiplies the noise.
    """
    require(coordinates >= 1, "coordinates", coordinates, "must be at least 1")
    require(0 < sampling_rate < 1, "sampling_rate", sampling_rate, "must be in (0, 1)")
    orders = np.arange(1, LARGEST_LAMBDA + 1)
    orders = orders[clip_norm * orders < noise.mgf_domain]
    if not len(orders):
        return PlrvClaim(math.inf, None, "no lambda from 1 to 80 lies inside the MGF's domain")
    alpha = _log_moments(noise, len(orders), coordinates, sampling_rate, clip_norm)
    epsilon = (
        float(steps) * alpha / orders + np.log(orders / (1 + orders)) - (math.log(delta) + np.log1p(orders)) / orders
    )
    best = int(np.argmin(epsilon))
    return PlrvClaim(float(epsilon[best]), int(orders[best]))


def shares(first: Floats) -> Floats:
    """Return g_i = sqrt(i) - sqrt(i-1) at i = ``first``, without cancellation."""
    return 1 / (np.sqrt(first) + np.sqrt(first - 1))


@lru_cache(maxsize=4)  # of one noise at many deltas
def _log_moments(noise: RateMixture, largest: int, coordinates: int, rate: float, clip_norm: float) -> Floats:
    return np.array([_log_moment(noise, order, coordinates, rate, clip_norm) for order in range(1, largest + 1)])


def _log_moment(noise: RateMixture, order: int, coordinates: int, rate: float, clip_norm: float) -> float:
    """Return alpha(lambda), the sum over coordinates of ln sum_eta C(n, eta) (1-q)^(n-eta) q^eta m_eta.

    There n = lambda + 1.
    """
    exact = np.arange(1, min(coordinates, _EXACT) + 1, dtype=np.float64)
    total = float(_coordinate(noise, order, exact, rate, clip_norm).sum())
    return total + _rest(noise, order, coordinates, rate, clip_norm)


def _rest(noise: RateMixture, order: int, coordinates: int, rate: float, clip_norm: float) -> float:
    """Sum the coordinates beyond `_EXACT` as an integral from the half before to the half after."""
    if coordinates <= _EXACT:
        return 0.0
    edges = np.geomspace(_EXACT + 0.5, coordinates + 0.5, _PANELS + 1)
    half = np.diff(edges)[:, None] / 2
    i = (edges[:-1, None] + half * (1 + _NODES)).ravel()
    return float(_coordinate(noise, order, i, rate, clip_norm) @ (half * _WEIGHTS).ravel())


def _coordinate(noise: RateMixture, order: int, i: Floats, rate: float, clip_norm: float) -> Floats:
    n, g = order + 1, clip_norm * shares(i)
    eta = np.arange(2, n + 1)[:, None]
    log_binomial = gammaln(n + 1) - gammaln(eta + 1) - gammaln(n - eta + 1)
    log_weight = log_binomial + eta * math.log(rate) + (n - eta) * math.log1p(-rate)
    up, down = noise.log_mgf((eta - 1) * g)[0], noise.log_mgf(-eta * g)[0]
    excess = (eta * np.expm1(up) + (eta - 1) * np.expm1(down)) / (2 * eta - 1)  # m_eta - 1; 0 for eta = 0 and 1
    found: Floats = np.log1p((np.exp(log_weight) * excess).sum(axis=0))
    return found
