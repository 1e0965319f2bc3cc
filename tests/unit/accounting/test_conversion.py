"""Conversions between privacy currencies, and the Poisson expansion."""

import math

import mpmath as mp
import numpy as np
import pytest
from dp_accounting.rdp import rdp_privacy_accountant
from scipy.integrate import quad

from lmodp.accounting.conversion import (
    epsilon_of_rdp,
    equivalent_mu,
    equivalent_zcdp,
    fractional_rdp,
    gaussian_dp_delta,
    poisson_rdp,
)

SIGMA = 3.7
GAUSSIAN = np.concatenate([[0, 0], np.arange(2, 401) * np.arange(1, 400) / (2 * SIGMA**2)])


def test_poisson_expansion_of_a_gaussian_is_the_librarys():
    orders = np.array([2, 3, 17, 128, 400])
    for rate in (1e-5, 0.03, 0.7, 1.0):
        found = poisson_rdp(log_moments=GAUSSIAN, sampling_rate=rate, orders=orders)
        library = rdp_privacy_accountant._compute_rdp_poisson_subsampled_gaussian(rate, SIGMA, orders)
        # Where the moment hardly differs from 1 the library's own rounding shows.
        assert found == pytest.approx(library, rel=1e-8, abs=1e-13)


@pytest.mark.parametrize(("rate", "order"), [(1e-6, 40), (0.3, 9), (0.9, 300)])
def test_poisson_expansion_is_an_upper_bound_of_the_exact_sum_to_ten_digits(rate, order):
    with mp.workdps(60):
        q = mp.mpf(rate)
        total = mp.fsum(
            mp.binomial(order, k) * (1 - q) ** (order - k) * q**k * mp.exp(mp.mpf(float(GAUSSIAN[k])))
            for k in range(order + 1)
        )
        exact = mp.log(total) / (order - 1)
        found = mp.mpf(float(poisson_rdp(log_moments=GAUSSIAN, sampling_rate=rate, orders=np.array([order]))[0]))
        assert exact <= found <= exact * (1 + mp.mpf(10) ** -9)


def test_larger_moments_give_a_larger_expansion():
    """So bounds of the moments bound the sum: all coefficients are positive."""
    rng, orders = np.random.default_rng(1), np.array([5, 60])
    for _ in range(5):
        larger = GAUSSIAN[:61] * (1 + rng.random(61))
        assert np.all(
            poisson_rdp(log_moments=larger, sampling_rate=0.1, orders=orders)
            >= poisson_rdp(log_moments=GAUSSIAN[:61], sampling_rate=0.1, orders=orders)
        )


@pytest.mark.parametrize("order", [1.05, 1.5, 1.9])
def test_fractional_orders_bound_the_gaussian(order):
    rate, sigma = 0.2, 0.6
    exact = quad(
        lambda x: (
            math.exp(-x * x / 2 / sigma**2)
            / math.sqrt(2 * math.pi)
            / sigma
            * (1 - rate + rate * math.exp((x - 0.5) / sigma**2)) ** order
        ),
        -10,
        16,
    )[0]
    moment = np.array([order * (order - 1) / (2 * sigma**2)])
    found = fractional_rdp(log_moments=moment, sampling_rate=rate, orders=np.array([order]))[0]
    assert math.log(exact) / (order - 1) <= found <= 4 * math.log(exact) / (order - 1)


def test_conversion_skips_orders_without_a_value():
    orders, rdp = np.array([2.0, 3.0, 4.0]), np.array([0.5, math.inf, 0.9])
    assert epsilon_of_rdp(orders=orders, rdp=rdp, delta=1e-5) == epsilon_of_rdp(
        orders=orders[[0, 2]], rdp=rdp[[0, 2]], delta=1e-5
    )
    epsilon, order = epsilon_of_rdp(orders=orders, rdp=np.full(3, math.inf), delta=1e-5)
    assert math.isinf(epsilon) and math.isnan(order)


def test_conversion_is_the_tight_formula():
    epsilon, order = epsilon_of_rdp(orders=np.array([10.0]), rdp=np.array([0.7]), delta=1e-6)
    assert epsilon == pytest.approx(0.7 + math.log(0.9) - math.log(1e-6 * 10) / 9)
    assert order == 10


def test_gaussian_dp_against_integration():
    """delta(epsilon) of one release with noise 1/mu."""
    mu, epsilon = 0.8, 1.1

    def gain(x):
        p, q = math.exp(-x * x / 2), math.exp(-((x - mu) ** 2) / 2)
        return max(q - math.exp(epsilon) * p, 0) / math.sqrt(2 * math.pi)

    assert gaussian_dp_delta(mu=mu, epsilon=epsilon) == pytest.approx(
        quad(gain, -10, 15, limit=200, points=[1.775])[0], rel=1e-6
    )


@pytest.mark.parametrize(("epsilon", "delta"), [(0.56, 1e-10), (8.0, 1e-5), (0.01, 1e-6)])
def test_equivalents_lie_on_their_own_curves(epsilon, delta):
    mu = equivalent_mu(epsilon=epsilon, delta=delta)
    assert gaussian_dp_delta(mu=mu, epsilon=epsilon) == pytest.approx(delta, rel=1e-9)
    rho = equivalent_zcdp(epsilon=epsilon, delta=delta)
    orders = 1 + np.geomspace(1e-2, 1e6, 400)
    assert epsilon_of_rdp(orders=orders, rdp=rho * orders, delta=delta)[0] == pytest.approx(epsilon, rel=1e-9)
    assert mu**2 / 2 == pytest.approx(rho, rel=0.35)  # the conversion from zCDP is not tight
    assert mu**2 / 2 > rho
