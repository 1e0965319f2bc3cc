"""Conversions between Renyi divergences, (epsilon, delta), Gaussian DP and zCDP, and RDP under Poisson sampling.

The accounting library does the conversions and accounts for Gaussians. It lacks the
Poisson expansion for the Renyi curve of an arbitrary mechanism, which is here.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, log_ndtr

from lmodp.mechanisms.arrays import Floats, Orders

# Each term below is computed to a few hundred units in the last place of numbers below 1e5.
ROUNDING = 1e-10


def epsilon_of_rdp(*, orders: Orders, rdp: Floats, delta: float) -> tuple[float, float]:
    """Return (epsilon, order) of the tight conversion, smallest over the orders.

    Args:
        orders: shape (n,), above 1.
        rdp: Renyi divergences at the orders, shape (n,), may hold ``inf``.
        delta: in (0, 1).

    References:
        Canonne, Kamath, Steinke, arXiv 2004.00010, Proposition 12.
    """
    finite = np.isfinite(rdp)
    if not finite.any():
        return math.inf, math.nan
    from dp_accounting.rdp import rdp_privacy_accountant  # takes a second to import, and not every job needs it

    epsilon, order = rdp_privacy_accountant.compute_epsilon(orders[finite], rdp[finite], delta)
    return float(epsilon), float(order)


def poisson_rdp(*, log_moments: Floats, sampling_rate: float, orders: Orders) -> Floats:
    """Return an upper bound of the Renyi divergence of a Poisson-sampled mechanism.

    Idea: with P and Q the outputs without and with the example and r = Q/P, the sampled output
    is (1-q)P + qQ and E_P[(1 - q + q r)^a] = sum_k C(a,k) (1-q)^(a-k) q^k E_P[r^k], in which the
    terms k = 0 and 1 have moment exactly 1. So the sum is 1 + sum_{k>=2} (...) (E_P[r^k] - 1).
    For noise symmetric about 0 this direction dominates the other (docs/verified_bounds.md).

    Args:
        log_moments: upper bounds of log E_P[r^k] for k = 0 ... max(orders), shape (max + 1,);
            only entries 2 ... order are read for an order.
        sampling_rate: q in (0, 1].
        orders: integers of at least 2, shape (n,).

    Returns:
        RDP of one step at each order, shape (n,), rounding error included upwards.
    """
    if sampling_rate == 1:
        return log_moments[orders.astype(np.int64)] / (orders - 1) * (1 + ROUNDING)
    with np.errstate(divide="ignore", over="ignore"):
        log_excess = np.where(log_moments > 30, log_moments, np.log(np.expm1(np.clip(log_moments, 0.0, 30.0))))
    log_factorial = gammaln(np.arange(1.0, float(orders.max()) + 2))
    return np.array([_poisson_order(log_excess, log_factorial, sampling_rate, int(a)) for a in orders])


def fractional_rdp(*, log_moments: Floats, sampling_rate: float, orders: Orders) -> Floats:
    """Return an upper bound at any orders above 1: E_P[(1 - q + q r)^a] <= 1 - q + q E_P[r^a] by convexity.

    Args:
        log_moments: upper bounds of log E_P[r^a] at ``orders``, same shape.
    """
    small = np.log1p(sampling_rate * np.expm1(np.minimum(log_moments, 30.0)))
    sampled = np.where(log_moments > 30, log_moments + math.log(sampling_rate) + 1e-12, small)
    return sampled / (orders - 1) * (1 + ROUNDING)


def _poisson_order(log_excess: Floats, log_factorial: Floats, q: float, order: int) -> float:
    """Return the bound at one order from log(E_P[r^k] - 1) and log k! at k = 0, 1, ..."""
    k = np.arange(2, order + 1)
    log_binomial = log_factorial[order] - log_factorial[2 : order + 1] - log_factorial[order - 2 :: -1]
    log_terms = log_binomial + k * math.log(q) + (order - k) * math.log1p(-q) + log_excess[2 : order + 1]
    peak = float(log_terms.max())
    log_sum = peak + math.log(np.exp(log_terms - peak).sum()) if math.isfinite(peak) else peak
    return float(np.logaddexp(0.0, log_sum + ROUNDING)) / (order - 1)


def gaussian_dp_delta(*, mu: float, epsilon: float) -> float:
    """Return delta(epsilon) of mu-Gaussian DP (Dong, Roth, Su 2022, Corollary 2.13)."""
    first = log_ndtr(-epsilon / mu + mu / 2)
    second = epsilon + log_ndtr(-epsilon / mu - mu / 2)
    return float(np.exp(first) * -np.expm1(min(second - first, 0.0)))


def equivalent_mu(*, epsilon: float, delta: float) -> float:
    """Return the mu for which mu-Gaussian DP has (epsilon, delta) on its curve; a single number for comparisons."""

    def gap(log_mu: float) -> float:
        value = gaussian_dp_delta(mu=math.exp(log_mu), epsilon=epsilon)
        return math.log(max(value, 1e-320)) - math.log(delta)

    return math.exp(brentq(gap, math.log(1e-6), math.log(1e4), xtol=1e-14))


def equivalent_zcdp(*, epsilon: float, delta: float) -> float:
    """Return the rho whose zCDP converts to (epsilon, delta) by the tight conversion, orders 1 to 1e6."""
    orders = 1 + np.geomspace(1e-2, 1e6, 400)
    slack = epsilon - np.log1p(-1 / orders) + np.log(delta * orders) / (orders - 1)
    return float(max(0.0, np.max(slack / orders)))
