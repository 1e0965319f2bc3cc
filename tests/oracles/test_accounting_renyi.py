"""Renyi moments against integration by mpmath, and bounds against dense evaluation."""

import math
from functools import cache, partial

import mpmath as mp
import numpy as np
import pytest

from lmodp.accounting.conversion import poisson_rdp
from lmodp.accounting.rdp.divergence import quadrature, ratio_bound
from lmodp.accounting.rdp.supremum import finite_curve, vector_curve
from lmodp.mechanisms import ExponentialPart, GammaPart, Laplace, LaplaceMixture, UniformPart, load_noise

SMALL_SHAPE = LaplaceMixture(gamma=GammaPart(weight=1, shape=0.1, scale=2.0))
NOISES = {
    "lmo-0.3": load_noise("lmo-0.3").scaled(0.3),
    "small shape": SMALL_SHAPE,
    "power tail": LaplaceMixture(
        gamma=GammaPart(weight=0.4, shape=1.7, scale=1.5),
        exponential=ExponentialPart(weight=0.5, rate=2),
        uniform=UniformPart(weight=0.3, low=0, high=2),
    ),
    "laplace": Laplace(scale=0.8),
}


def derivative_of_mgf(noise):
    """M' of the rate at -x in arbitrary precision, from the parts' definitions."""
    if isinstance(noise, Laplace):
        return lambda x: mp.exp(-x / noise.scale) / noise.scale
    factors = []
    if noise.gamma:
        w, k, s = (mp.mpf(v) for v in (noise.gamma.weight, noise.gamma.shape, noise.gamma.scale))
        factors.append((lambda x: (1 + w * s * x) ** -k, lambda x: k * w * s / (1 + w * s * x)))
    if noise.exponential:
        v, r = mp.mpf(noise.exponential.weight), mp.mpf(noise.exponential.rate)
        factors.append((lambda x: r / (r + v * x), lambda x: v / (r + v * x)))
    if noise.uniform:
        u, a, b = (mp.mpf(value) for value in (noise.uniform.weight, noise.uniform.low, noise.uniform.high))

        def mgf(x):
            return (mp.exp(-a * u * x) - mp.exp(-b * u * x)) / ((b - a) * u * x) if x else mp.mpf(1)

        def slope(x):
            if u * x * (b - a) < mp.mpf(10) ** -12:
                return u * (a + b) / 2
            return u * a + 1 / x - u * (b - a) / mp.expm1(u * (b - a) * x)

        factors.append((mgf, slope))
    return lambda x: mp.fprod(f(x) for f, _ in factors) * mp.fsum(g(x) for _, g in factors)


@cache
def exact_moment(name, order, shift, rate=None, power=None):
    """E_P[(1 - q + q Q/P)^a] (q = 1 by default) or E_P[w^power], by quadrature over the line."""
    law = derivative_of_mgf(NOISES[name])
    v, q = mp.mpf(shift), mp.mpf(1 if rate is None else rate)
    a = mp.mpf(order if power is None else power)

    def integrand(x):
        p, shifted = law(abs(x)) / 2, law(abs(x - v)) / 2
        return p * (1 - q + q * shifted / p) ** a

    nodes = [-40, -12, -6, -3, -1, 0, 1, 2, 3, 4, 6, 9, 14, 30, 80, 200, 500, 1000]  # of log y: tails to 1e434
    integral = partial(mp.quad, method="gauss-legendre")  # the pieces are smooth
    right = integral(lambda u: integrand(v + mp.exp(u)) * mp.exp(u), nodes)
    left = integral(lambda u: integrand(-mp.exp(u)) * mp.exp(u), nodes)
    return float(mp.log(left + integral(integrand, mp.linspace(0, v, 5)) + right))


def value(name, order, shift):
    noise = NOISES[name]
    at = np.array([shift])
    return ratio_bound(noise, quadrature(noise), order=np.array([float(order)]), v0=at, v1=at)[0] * shift**2


@pytest.mark.parametrize(
    ("name", "order", "shift"),
    [
        ("lmo-0.3", 2, 1.0),
        ("lmo-0.3", 9, 0.03),
        ("lmo-0.3", 40, 0.4),
        ("lmo-0.3", 1.3, 0.7),
        ("small shape", 2, 0.01),
        ("small shape", 7, 1.0),
        ("power tail", 3, 0.5),
        ("power tail", 25, 1.0),
        ("laplace", 5, 0.6),
    ],
)
def test_log_moments_against_integration(name, order, shift):
    expected = exact_moment(name, order, shift)
    found = value(name, order, shift)
    assert found >= expected * (1 - 1e-9)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scale", [0.1, 0.8, 5.0])
def test_laplace_log_moments_are_the_known_ones(scale):
    """log[(a e^((a-1)v/b) + (a-1) e^(-a v/b)) / (2a-1)], Mironov 2017."""
    noise, a = Laplace(scale=scale), np.array([2.0, 3, 17, 64])
    v = np.full(4, 0.9)
    known = np.logaddexp(np.log(a) + (a - 1) * v / scale, np.log(a - 1) - a * v / scale) - np.log(2 * a - 1)
    found = ratio_bound(noise, quadrature(noise), order=a, v0=v, v1=v) * v**2
    assert np.all(found >= known) and found == pytest.approx(known, rel=5e-7)


def test_a_rate_that_hardly_varies_has_the_laplace_moments():
    noise = LaplaceMixture(gamma=GammaPart(weight=1, shape=1e7, scale=1e-7))
    v, a = np.array([0.9]), np.array([12.0])
    found, laplace = (ratio_bound(n, quadrature(n), order=a, v0=v, v1=v)[0] for n in (noise, Laplace(scale=1)))
    assert found == pytest.approx(laplace, rel=1e-5)


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-3), (0.0, 0.2), (0.01, 0.0103), (0.1, 0.2), (0.5, 1.0)])
def test_the_interval_bound_holds_at_every_point_of_the_interval(name, low, high):
    noise = NOISES[name]
    nodes = quadrature(noise)
    inside = np.linspace(low, high, 23)[1:] if low == 0 else np.linspace(low, high, 23)
    for order in (1.2, 2.0, 6.0, 50.0):
        bound = ratio_bound(noise, nodes, order=np.array([order]), v0=np.array([low]), v1=np.array([high]))[0]
        values = ratio_bound(noise, nodes, order=np.full(len(inside), order), v0=inside, v1=inside)
        assert np.all(values <= bound * (1 + 1e-9)), order
        assert bound <= np.max(values) * (high / low) ** 2 * 1.05 if low else np.isfinite(bound)


@pytest.mark.parametrize("name", NOISES)
def test_the_supremum_is_above_every_shift_and_close_to_the_largest(name):
    noise = NOISES[name]
    curve = vector_curve(noise, largest_order=64)
    nodes, shifts = quadrature(noise), np.geomspace(1e-6, 1, 400)
    for i in np.searchsorted(curve.orders, [1.5, 2, 2.75, 5, 20, 64]):
        a = np.full(len(shifts), curve.orders[min(i, len(curve.orders) - 1)])
        values = ratio_bound(noise, nodes, order=a, v0=shifts, v1=shifts)
        limit = a[0] * (a[0] - 1) * noise.fisher_information / 2
        largest = max(values.max(), limit)
        assert largest <= curve.log_moments[i] * (1 + 1e-9)
        assert curve.log_moments[i] <= largest * 1.004


def test_the_supremum_of_a_small_shape_lies_inside_and_far_above_the_limit():
    """Twice the limit at shape 0.1, about 90 times at 0.001 (at orders of a hundred): sigma_effective is no answer."""
    for shape, factor in [(0.1, 2.0), (0.001, 80.0)]:
        noise = LaplaceMixture(gamma=GammaPart(weight=1, shape=shape, scale=1.0))
        curve = vector_curve(noise, largest_order=128)
        limit = curve.orders * (curve.orders - 1) * noise.fisher_information / 2
        assert curve.worst_shift[-1] > 1e-3
        assert curve.log_moments[-1] / limit[-1] == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize("shape", [0.3, 0.44, 0.46, 1.0])
def test_where_the_fourth_moment_of_the_score_moves_the_supremum_inside(shape):
    """E[s^4] <= 3 I^2 is needed for the limit to be the supremum; a lone Gamma fails below sqrt(6) - 2 = 0.449."""
    noise = LaplaceMixture(gamma=GammaPart(weight=1, shape=shape, scale=0.01))
    nodes, a, v = quadrature(noise), np.array([1000.0]), np.array([0.05])
    ratio = ratio_bound(noise, nodes, order=a, v0=v, v1=v)[0] / (a[0] * (a[0] - 1) * noise.fisher_information / 2)
    fourth = 2 * np.sum(np.exp(nodes.log_weight) * nodes.score**4) / noise.fisher_information**2
    assert (fourth > 3) == (shape < math.sqrt(6) - 2)
    assert fourth == pytest.approx(
        (shape + 1) ** 4 * shape * 1e-8 / (shape + 4) / noise.fisher_information**2, rel=1e-9
    )
    if shape in (0.3, 1.0):
        assert (ratio > 1) == (shape == 0.3)


def test_published_settings_have_their_supremum_at_the_limit():
    for name in (
        "lmo-0.3",
        "lmo-0.7",
        "lmo-2",
        "lmo-3",
        "lmo-5",
        "plrv_o-sst2-0.2",
        "lmo-0.3-as_drawn",
        "usefulness-0.3",
    ):
        assert np.all(vector_curve(load_noise(name), largest_order=128).worst_shift == 0), name


@pytest.mark.slow
def test_published_settings_have_their_supremum_at_the_limit_up_to_order_1024():
    from lmodp.mechanisms import PUBLISHED

    for setting in PUBLISHED.values():
        curve = vector_curve(setting.noise, largest_order=1024)
        limit = curve.orders * (curve.orders - 1) * setting.noise.fisher_information / 2
        assert np.all(curve.worst_shift == 0) and np.all(curve.log_moments <= limit * 1.0002), setting.name


@pytest.mark.parametrize("dimension", [2, 7, 64])
def test_finite_dimensions_bound_every_split(dimension):
    """Against even splits over fewer coordinates and random uneven ones."""
    noise = load_noise("lmo-0.3").scaled(0.3)
    curve, nodes = finite_curve(noise, dimension=dimension, largest_order=64), quadrature(noise)
    rng = np.random.default_rng(dimension)
    splits = [np.full(m, 1 / m) for m in (1, 2, dimension)] + [rng.dirichlet(np.ones(dimension)) for _ in range(4)]
    for order in (2.0, 8.0, 30.0):
        index = int(np.searchsorted(curve.orders, order))
        sums = []
        for split in splits:
            v = np.sqrt(np.maximum(split, 1e-12))
            sums.append(float(np.sum(ratio_bound(noise, nodes, order=np.full(len(v), order), v0=v, v1=v) * v**2)))
        assert max(sums) <= curve.log_moments[index] * (1 + 1e-9)
        assert curve.log_moments[index] <= max(sums) * 1.003


@pytest.mark.parametrize(
    ("name", "rate", "order"), [("lmo-0.3", 0.03, 6), ("lmo-0.3", 0.4, 12), ("power tail", 0.2, 5), ("laplace", 0.1, 8)]
)
def test_subsampled_bound_against_integration_in_one_dimension(name, rate, order):
    moments = finite_curve(NOISES[name], dimension=1, largest_order=64).dense()
    bound = poisson_rdp(log_moments=moments, sampling_rate=rate, orders=np.array([order]))[0]
    expected = exact_moment(name, order, 1.0, rate) / (order - 1)
    assert expected <= bound * (1 + 1e-9)
    assert bound == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("rate", "order"), [(0.3, 1.1), (0.3, 1.7), (0.05, 2.5), (0.4, 3.25)])
def test_orders_between_the_whole_ones_bound_the_subsampled_moment(rate, order):
    curve = finite_curve(NOISES["lmo-0.3"], dimension=1, largest_order=64)
    orders = np.array([order])
    bound = poisson_rdp(log_moments=curve.dense(), at_orders=curve.at(orders), sampling_rate=rate, orders=orders)[0]
    assert exact_moment("lmo-0.3", order, 1.0, rate) / (order - 1) <= bound


@pytest.mark.parametrize(("name", "rate", "order"), [("lmo-0.3", 0.03, 6), ("power tail", 0.5, 3), ("laplace", 0.3, 2)])
def test_removal_dominates_addition(name, rate, order):
    """E_P[w^a] >= E_P[w^(1-a)], w = 1 - q + q Q/P: only one direction need be bounded."""
    removal = exact_moment(name, order, 1.0, rate)
    addition = exact_moment(name, order, 1.0, rate, 1 - order)
    assert removal > addition


def test_the_pointwise_inequality_behind_the_dominance():
    """phi(r) + r phi(1/r) >= 0 for r >= 1, phi = w^a - w^(1-a)."""
    r = np.geomspace(1, 1e6, 500)[:, None]
    for q in (1e-6, 0.03, 0.5, 0.999):
        for a in (1.0, 1.01, 1.5, 2.0, 9.0, 30.0):
            w, inverse = 1 - q + q * r, 1 - q + q / r
            left = np.sqrt(w) * np.sinh((a - 0.5) * np.log(w))
            right = r * np.sqrt(inverse) * np.sinh((a - 0.5) * -np.log(inverse))
            assert np.all(left >= right * (1 - 1e-9) - 1e-12)


def test_divergence_grows_with_the_shift():
    """Which makes the full shift the worst in one dimension."""
    for name, noise in NOISES.items():
        v = np.linspace(0.02, 1, 50)
        for a in (2.0, 11.0):
            values = ratio_bound(noise, quadrature(noise), order=np.full(50, a), v0=v, v1=v) * v**2
            assert np.all(np.diff(values) > 0), name


def test_pure_scalar_of_0_3_in_arbitrary_precision():
    NOISES["published"] = load_noise("lmo-0.3")
    law = derivative_of_mgf(NOISES["published"])
    with mp.workdps(40):
        found = float(mp.log(law(mp.mpf(0)) / law(mp.mpf(1))))
    assert found == pytest.approx(0.23470428927008, abs=5e-14)


def test_chords_between_computed_orders_bound_the_moments_between_them():
    noise = NOISES["lmo-0.3"]
    curve = finite_curve(noise, dimension=1, largest_order=128)
    between = np.array([35.0, 47, 61, 99, 113])
    one = np.ones(len(between))
    exact = ratio_bound(noise, quadrature(noise), order=between, v0=one, v1=one)
    dense = curve.dense()[between.astype(int)]
    assert np.all(exact <= dense * (1 + 1e-9)) and np.all(dense <= exact * 1.002)
