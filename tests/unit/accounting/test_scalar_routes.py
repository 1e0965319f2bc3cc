"""Claimed, paper's bound and pure scalar, on laws where the answers are known or the rules bite."""

import math

import numpy as np
import pytest
from hypothesis import given

from lmodp.accounting import claimed_run, claimed_step, paper_bound_run, paper_bound_step, pure_scalar
from lmodp.accounting.claimed.lmo_dp import claimed_rdp, raw_mgf
from lmodp.accounting.paper_bound import ORDERS, scalar_log_moments
from lmodp.mechanisms import ExponentialPart, GammaPart, Gaussian, Laplace, LaplaceMixture, UniformPart, load_noise
from tests.oracles.library import gaussian_rdp_epsilon
from tests.unit.mechanisms.mixtures import CHEAP, mixtures

DELTA = 1e-6


def noise_with(gamma=(0.1, 1, 0.5), rate=5.0, a3=0.1):
    return LaplaceMixture(
        gamma=GammaPart(weight=gamma[0], shape=gamma[1], scale=gamma[2]),
        exponential=ExponentialPart(weight=a3, rate=rate),
        uniform=UniformPart(weight=0.1, low=1, high=2),
    )


def test_orders_are_the_published_ones():
    assert (ORDERS[0], ORDERS[-1], len(ORDERS)) == (2, 128, 127)


@pytest.mark.parametrize(
    ("gamma", "rate", "a3", "accepted"),
    [
        ((0.1, 1, 0.5), 5.0, 0.1, True),
        ((0.1, 1, 10.0), 5.0, 0.1, False),
        ((0.2, 1, 5.0), 5.0, 0.1, False),
        ((0.1, 1, 9.9), 5.0, 0.1, True),
        ((0.1, 1, 0.5), 0.1, 0.1, False),
        ((0.1, 1, 0.5), 0.1, 0.09, True),
    ],
)
def test_a_point_is_rejected_unless_order_two_is_inside_the_domain(gamma, rate, a3, accepted):
    """a1 theta < 1 and a3 < lambda, both strict."""
    found = claimed_step(noise_with(gamma, rate, a3), delta=DELTA)
    assert math.isfinite(found.epsilon) is accepted
    assert accepted or "order 2 lies outside" in found.reason


def test_the_closed_form_is_used_beyond_the_pole():
    part = ExponentialPart(weight=0.1, rate=5)
    assert raw_mgf(part, np.array([99.0])) == pytest.approx(5 / (5 - 9.9))
    assert np.isnan(raw_mgf(GammaPart(weight=1, shape=0.5, scale=1), np.array([3.0])))
    assert raw_mgf(GammaPart(weight=1, shape=2, scale=1), np.array([3.0])) == pytest.approx(0.25)
    assert np.isinf(raw_mgf(ExponentialPart(weight=1, rate=5), np.array([5.0])))
    assert np.isinf(raw_mgf(UniformPart(weight=1, low=8, high=9), np.array([127.0])))


@pytest.mark.parametrize("moment", [-3.0, 0.0, 0.5, 1.0, math.inf, math.nan])
def test_orders_whose_rdp_is_no_real_number_above_zero_are_dropped(moment):
    """Both moments equal give the same mixture of them."""
    one, orders = np.array([moment]), np.array([5])
    found = claimed_rdp(one, one, orders)
    assert not np.isfinite(found[0])
    assert claimed_rdp(np.array([1.1]), np.array([1.1]), orders)[0] == pytest.approx(math.log(1.1) / 4)


def test_claimed_step_written_out():
    """The published formula in plain Python at every order."""
    noise, best = noise_with(gamma=(0.3, 1.5, 0.9), rate=4.0, a3=0.7), math.inf

    def mgf(t):
        gamma = (1 - 0.3 * 0.9 * t) ** -1.5
        uniform = (math.exp(0.1 * 2 * t) - math.exp(0.1 * t)) / (0.1 * t)
        return gamma * 4 / (4 - 0.7 * t) * uniform

    for a in range(2, 129):
        moment = (a * mgf(a - 1) + (a - 1) * mgf(-a)) / (2 * a - 1)
        if isinstance(moment, complex) or moment <= 1 or math.isinf(moment):
            continue
        best = min(best, math.log(moment) / (a - 1) + math.log1p(-1 / a) - math.log(DELTA * a) / (a - 1))
    assert claimed_step(noise, delta=DELTA).epsilon == pytest.approx(best, rel=1e-12)


def test_claims_of_gaussian_and_laplace_are_their_closed_forms():
    assert claimed_step(Gaussian(std=3.0), delta=DELTA).epsilon == pytest.approx(math.sqrt(2 * math.log(1.25e6)) / 3)
    assert claimed_step(Laplace(scale=4.0), delta=DELTA).epsilon == 0.25


def test_the_claimed_run_is_the_librarys_gaussian():
    """Two accountants, one number: dp-accounting's RDP of the replacing Gaussian at the same orders."""
    for step, rate, steps, delta in [(0.2932, 0.0304, 192, 1e-10), (3.0, 0.0243, 410, 8e-6)]:
        sigma = math.sqrt(2 * math.log(1.25 / delta)) / step
        library = gaussian_rdp_epsilon(
            noise_multiplier=sigma, sampling_rate=rate, steps=steps, delta=delta, orders=range(2, 129)
        )
        assert claimed_run(step, sampling_rate=rate, steps=steps, delta=delta) == pytest.approx(library, rel=1e-9)


def test_the_claimed_run_has_a_floor_because_orders_stop_at_128():
    floor = math.log1p(-1 / 128) - math.log(1e-10 * 128) / 127
    assert claimed_run(1e-6, sampling_rate=0.01, steps=100, delta=1e-10) == pytest.approx(floor, rel=1e-6)


@CHEAP
@given(mixtures)
def test_paper_bound_uses_valid_orders_only_and_is_never_below_the_exact_pure_bound(noise):
    found = paper_bound_step(noise, delta=DELTA)
    valid = ORDERS - 1 < noise.mgf_domain
    assert math.isfinite(found.epsilon) is bool(valid.any())
    if valid.any():
        assert found.order - 1 < noise.mgf_domain and found.order_in_domain
    else:
        assert "no integer order" in found.reason


@CHEAP
@given(mixtures)
def test_the_published_moment_bounds_the_exact_one(noise):
    """The published moment reveals the rate, so it is no smaller than the mixture's own."""
    from lmodp.accounting.rdp.divergence import quadrature, ratio_bound

    orders = np.array([2.0, 5.0, 9.0])
    orders = orders[orders - 1 < noise.mgf_domain]
    if len(orders):
        one = np.ones(len(orders))
        own = ratio_bound(noise, quadrature(noise), order=orders, v0=one, v1=one)
        assert np.all(own <= scalar_log_moments(noise, orders) * (1 + 1e-6) + 1e-9)


def test_the_published_moment_of_a_laplace_is_exact():
    noise, a = Laplace(scale=2.0), np.array([2.0, 7.0, 50.0])
    known = np.logaddexp(np.log(a) + (a - 1) / 2, np.log(a - 1) - a / 2) - np.log(2 * a - 1)
    assert scalar_log_moments(noise, a) == pytest.approx(known, rel=1e-12)


def test_pure_scalar_is_the_largest_log_ratio_of_densities():
    noise = load_noise("lmo-2")
    x = np.linspace(-30, 30, 20001)
    ratios = noise.log_density(x) - noise.log_density(x - 1)
    assert pure_scalar(noise).epsilon == pytest.approx(np.abs(ratios).max(), rel=1e-9)
    assert pure_scalar(Laplace(scale=4)).epsilon == pytest.approx(0.25)
    assert pure_scalar(Gaussian(std=1)).reason == "a Gaussian has no epsilon at delta = 0"


def test_paper_bound_run_needs_two_valid_orders():
    one_order = noise_with(gamma=(0.1, 1, 7.5), rate=1.0, a3=0.9)
    found = paper_bound_run(one_order, sampling_rate=0.1, steps=10, delta=DELTA)
    assert (found.status, found.epsilon) == ("unsupported", math.inf)
    assert found.reason == "1 of the orders 2 to 128 lie inside the MGF's domain; sampling needs two"


def test_paper_bound_run_without_sampling_is_the_composed_step():
    noise = load_noise("lmo-0.3")
    rdp = scalar_log_moments(noise, np.arange(2.0, 21)) / np.arange(1, 20)
    a = np.arange(2.0, 21)
    expected = np.min(50 * rdp + np.log1p(-1 / a) - np.log(DELTA * a) / (a - 1))
    assert paper_bound_run(noise, sampling_rate=1.0, steps=50, delta=DELTA).epsilon == pytest.approx(expected, rel=1e-9)


def test_paper_bound_run_shrinks_with_the_sampling_rate():
    noise = load_noise("lmo-0.3")
    values = [paper_bound_run(noise, sampling_rate=q, steps=50, delta=DELTA).epsilon for q in (0.01, 0.1, 0.5, 1.0)]
    assert values == sorted(values) and values[0] < 0.9 * values[-1]
