"""Conversions between Renyi divergences, (epsilon, delta), Gaussian DP and zCDP, and RDP under Poisson sampling."""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, log_ndtr

from lmodp.mechanisms.arrays import Floats, Orders

# Each term below is a sum of a few numbers below 1e5: it is off by at most a few hundred units in the last place.
ROUNDING = 1e-10
_ULPS = 1e-15  # and of larger numbers by this, relatively
_SMALLEST_ORDER = 1.01  # the conversion divides by order - 1
_LOG_MU, _LOG_ZERO = (-300.0, 300.0), -1e300
_TINY = float(np.finfo(np.float64).tiny)


def epsilon_of_rdp(*, orders: Orders, rdp: Floats, delta: float) -> tuple[float, float]:
    """Return (epsilon, order) of the tight conversion, smallest over the orders.

    Where the divergence is so small that already the total variation, at most sqrt(1 - exp(-KL)), is below
    delta, epsilon is 0.

    Args:
        orders: shape (n,), above 1.
        rdp: Renyi divergences at the orders, shape (n,), may hold ``inf``.
        delta: in (0, 1).

    References:
        Canonne, Kamath, Steinke, arXiv 2004.00010, Proposition 12.
    """
    usable = np.isfinite(rdp) & (orders > _SMALLEST_ORDER)
    if not usable.any():
        return math.inf, math.nan
    a, r = np.asarray(orders, dtype=np.float64)[usable], rdp[usable]
    paid = -(math.log(delta) + np.log(a)) / (a - 1)
    epsilon = r + np.log1p(-1 / a) + paid + _ULPS * (r + np.abs(paid))
    epsilon = np.where(delta**2 + np.expm1(-r) > 0, 0.0, epsilon)
    best = int(np.argmin(epsilon))
    return max(0.0, float(epsilon[best])), float(a[best])


def poisson_rdp(
    *, log_moments: Floats, sampling_rate: float, orders: Orders, at_orders: Floats | None = None
) -> Floats:
    """Return an upper bound of the Renyi divergence of a Poisson-sampled mechanism.

    Idea: with P and Q the outputs without and with the example and r = Q/P, the sampled output
    is (1-q)P + qQ. For every order a > 1 with n = floor(a), and n = a at whole numbers,

        (1 - q + q r)^a <= sum_{k=0..n} C(a,k) (1-q)^(a-k) q^k r^k  +  (q r)^a,

    an equality without the last term at whole orders. The moments of r at k = 0 and 1 are exactly 1 and
    the coefficients add up to at most 1, so E[(1 - q + q r)^a] - 1 is at most the sum of
    C(a,k) (1-q)^(a-k) q^k (E_P[r^k] - 1) over 2 <= k <= n plus q^a E_P[r^a]. By convexity it is at most
    q (E_P[r^a] - 1) too; the smaller of both is taken.
    For noise symmetric about 0 this direction dominates the other (docs/verified_bounds.md).

    Args:
        log_moments: upper bounds of log E_P[r^k] for k = 0 ... floor(max(orders)), shape (max + 1,);
            only entries 2 ... order are read for an order.
        sampling_rate: q in (0, 1].
        orders: above 1, shape (n,).
        at_orders: upper bounds of log E_P[r^a] at ``orders``, shape (n,); only needed if some are no whole numbers.

    Returns:
        RDP of one step at each order, shape (n,), rounding error included upwards.

    References:
        docs/verified_bounds.md, "Sampling".
    """
    whole = np.asarray(orders, dtype=np.int64)
    own = log_moments[whole] if at_orders is None else at_orders
    if sampling_rate == 1:
        return own / (orders - 1) * (1 + ROUNDING)
    log_excess = _log_expm1(log_moments)
    log_factorial = gammaln(np.arange(1.0, len(log_moments) + 1))
    log_sums = np.array(
        [
            _log_expansion(log_excess, log_factorial, sampling_rate, float(a), float(moment))
            for a, moment in zip(orders, own, strict=True)
        ]
    )
    convex = math.log(sampling_rate) + _log_expm1(own)
    log_moment = np.maximum(np.logaddexp(0.0, np.fmin(log_sums, convex) + ROUNDING), _TINY)
    found: Floats = log_moment / (orders - 1)
    return found


def _log_expm1(x: Floats) -> Floats:
    """Return log(exp(x) - 1) for x >= 0, at most 1e-13 too small; ``-inf`` at 0."""
    with np.errstate(divide="ignore", over="ignore"):
        found: Floats = np.where(x > 30, x, np.log(np.expm1(np.clip(x, 0.0, 30.0))))
    return found


def _log_expansion(log_excess: Floats, log_factorial: Floats, q: float, order: float, own: float) -> float:
    """Return the log of the bound of E[(1 - q + q r)^a] - 1 at one order, from log(E_P[r^k] - 1) and log k!."""
    largest = math.floor(order)
    k = np.arange(2, largest + 1)
    log_choose = gammaln(order + 1) - log_factorial[2 : largest + 1] - gammaln(order - k + 1)
    log_power = k * math.log(q) + (order - k) * math.log1p(-q)
    excess = log_excess[2 : largest + 1]
    log_terms = log_choose + log_power + excess
    with np.errstate(invalid="ignore"):
        log_terms = log_terms + _ULPS * (np.abs(log_power) + np.abs(excess))
    if order > largest:
        log_terms = np.append(log_terms, order * math.log(q) * (1 - _ULPS) + own)
    peak = float(log_terms.max())
    return peak + math.log(np.exp(log_terms - peak).sum()) if math.isfinite(peak) else peak


def log_gaussian_dp_delta(mu: float, epsilon: float) -> float:
    """Return log delta(epsilon) of mu-Gaussian DP, at least -1e300 (Dong, Roth, Su 2022, Corollary 2.13)."""
    first = float(log_ndtr(-epsilon / mu + mu / 2))
    if first < _LOG_ZERO:
        return _LOG_ZERO
    ratio = epsilon + float(log_ndtr(-epsilon / mu - mu / 2)) - first
    return first + math.log(-math.expm1(ratio)) if ratio < 0 else _LOG_ZERO


def equivalent_mu(*, epsilon: float, delta: float) -> float:
    """Return the mu for which mu-Gaussian DP has (epsilon, delta) on its curve; a single number for comparisons.

    NaN where doubles do not resolve it.
    """

    def gap(log_mu: float) -> float:
        return log_gaussian_dp_delta(math.exp(log_mu), epsilon) - math.log(delta)

    low, high = _LOG_MU
    return math.exp(brentq(gap, low, high, xtol=1e-14)) if gap(low) < 0 < gap(high) else math.nan


def equivalent_zcdp(*, epsilon: float, delta: float) -> float:
    """Return the rho whose zCDP converts to (epsilon, delta) by the tight conversion, orders 1 to 1e6."""
    orders = 1 + np.geomspace(1e-2, 1e6, 400)
    slack = epsilon - np.log1p(-1 / orders) + (math.log(delta) + np.log(orders)) / (orders - 1)
    return float(max(0.0, np.max(slack / orders)))
