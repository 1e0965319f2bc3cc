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
    log_gaussian_dp_delta,
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


def gaussian_moments(sigma, largest):
    k = np.arange(largest + 1.0)
    return k * (k - 1) / (2 * sigma**2)


def sampled_rdp(sigma, rate, order):
    """The bound for a sampled Gaussian at one order."""
    own = np.array([order * (order - 1) / (2 * sigma**2)])
    moments = gaussian_moments(sigma, int(order))
    return float(poisson_rdp(log_moments=moments, at_orders=own, sampling_rate=rate, orders=np.array([order]))[0])


def exact_rdp(sigma, rate, order):
    """log E[(1 - q + q r)^a] / (a - 1) of a sampled Gaussian by the trapezoidal rule, which is exact to 40 digits here.
    The terms 1 and a q (r - 1), of mean 1 and 0, are taken out first, so that tiny rates keep their digits."""
    q, s, a = mp.mpf(rate), mp.mpf(sigma), mp.mpf(order)
    width = s / 8

    def excess(x):
        step = q * mp.expm1((x - mp.mpf(0.5)) / s**2)
        return ((1 + step) ** a - 1 - a * step) * mp.npdf(x, 0, s)

    nodes = range(-112, int((a + 14 * s) / width))
    return mp.log1p(width * mp.fsum(excess(i * width) for i in nodes)) / (a - 1)


@pytest.mark.parametrize("sigma", [0.6, 2.0])
@pytest.mark.parametrize("rate", [1e-320, 1e-15, 1e-6, 0.03, 0.5])
@pytest.mark.parametrize("order", [1.05, 1.9, 2.5, 3.999, 7.25])
def test_orders_between_the_whole_ones_bound_the_exact_divergence(sigma, rate, order):
    """Also at rates whose excess is far below the rounding of 1."""
    with mp.workdps(60 if rate > 1e-100 else 700):
        exact = exact_rdp(sigma, rate, order)
    found = sampled_rdp(sigma, rate, order)
    assert found >= exact and found > 0
    if order > 2:
        neighbours = max(sampled_rdp(sigma, rate, order - order % 1), sampled_rdp(sigma, rate, order + 1 - order % 1))
        assert found <= max(3 * neighbours, 1e-300)


def test_the_inequality_behind_orders_between_the_whole_ones():
    """(x + y)^a <= sum over k <= floor(a) of C(a,k) x^(a-k) y^k, plus y^a; and the sum's coefficients at x + y = 1."""
    rng = np.random.default_rng(3)
    with mp.workdps(60):
        for _ in range(300):
            a, x, y = (mp.mpf(value) for value in (1 + 11 * rng.random(), *10 ** rng.uniform(-3, 3, 2)))
            total = mp.fsum(mp.binomial(a, k) * x ** (a - k) * y**k for k in range(int(a) + 1))
            assert (x + y) ** a <= (total + y**a) * (1 + mp.mpf(10) ** -50)
            assert total <= (x + y) ** a * (1 + mp.mpf(10) ** -50)


@pytest.mark.parametrize("delta", [5e-324, 1e-300, 1e-5])
def test_the_conversion_keeps_the_digits_of_a_tiny_delta(delta):
    orders = np.array([1.5, 3.0, 40.0])
    epsilon, order = epsilon_of_rdp(orders=orders, rdp=0.1 * orders, delta=delta)
    with mp.workdps(40):
        exact = min(
            mp.mpf(0.1) * a + mp.log1p(-1 / mp.mpf(a)) - mp.log(mp.mpf(delta) * a) / (a - 1) for a in (1.5, 3.0, 40.0)
        )
    assert exact <= epsilon <= exact * (1 + mp.mpf(10) ** -12)


def test_the_conversion_agrees_with_the_library():
    orders = np.array([1.2, 2.0, 17.0, 300.0])
    for rate in (1e-9, 1e-3, 0.4):
        found = epsilon_of_rdp(orders=orders, rdp=rate * orders, delta=1e-4)
        library = rdp_privacy_accountant.compute_epsilon(orders, rate * orders, 1e-4)
        assert found == pytest.approx(library, rel=1e-12)


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

    assert math.exp(log_gaussian_dp_delta(mu, epsilon)) == pytest.approx(
        quad(gain, -10, 15, limit=200, points=[1.775])[0], rel=1e-6
    )


@pytest.mark.parametrize(("epsilon", "delta"), [(0.56, 1e-10), (8.0, 1e-5), (0.01, 1e-6)])
def test_equivalents_lie_on_their_own_curves(epsilon, delta):
    mu = equivalent_mu(epsilon=epsilon, delta=delta)
    assert math.exp(log_gaussian_dp_delta(mu, epsilon)) == pytest.approx(delta, rel=1e-9)
    rho = equivalent_zcdp(epsilon=epsilon, delta=delta)
    orders = 1 + np.geomspace(1e-2, 1e6, 400)
    assert epsilon_of_rdp(orders=orders, rdp=rho * orders, delta=delta)[0] == pytest.approx(epsilon, rel=1e-9)
    assert mu**2 / 2 == pytest.approx(rho, rel=0.35)  # the conversion from zCDP is not tight
    assert mu**2 / 2 > rho
