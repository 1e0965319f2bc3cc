"""Laplace mixtures: closed forms, moments and limits."""

import math
import warnings

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from scipy.integrate import quad

from lmodp.errors import InvalidValue
from lmodp.mechanisms import (
    ExponentialPart,
    GammaPart,
    Gaussian,
    Laplace,
    LaplaceMixture,
    TruncatedNormalPart,
    UniformPart,
    load_noise,
)
from tests.unit.mechanisms.mixtures import CHEAP, between, mixtures


def lone_gamma(shape, scale=1.0):
    return LaplaceMixture(gamma=GammaPart(weight=1.0, shape=shape, scale=scale))


def half_line(function, scale):
    """Integral over x > 0 by adaptive quadrature in log x, independent of the module's own rule."""
    pieces = np.log(scale) + np.array([-45.0, -12, -4, 0, 3, 8, 30, 120, 600])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of panels whose integral is lost in rounding
        return sum(
            quad(lambda u: function(math.exp(u)) * math.exp(u), a, b, epsabs=1e-300, epsrel=1e-10, limit=200)[0]
            for a, b in zip(pieces[:-1], pieces[1:], strict=True)
        )


@CHEAP
@given(mixtures)
def test_density_score_and_survival_belong_together(noise):
    x, scale = 0.7 * noise.scaled(1.0).sigma_effective, noise.sigma_effective
    step = 1e-4 * scale
    slope = (noise.survival(x + step) - noise.survival(x - step)) / (2 * step)
    assert -slope / 2 == pytest.approx(float(noise.density(x)), rel=1e-6)
    rise = (noise.log_density(x + step) - noise.log_density(x - step)) / (2 * step)
    assert -rise == pytest.approx(float(noise.score(x)), rel=1e-6)
    assert 2 * half_line(lambda y: float(noise.density(y)), scale) == pytest.approx(1.0, abs=1e-9)


@CHEAP
@given(mixtures)
def test_moments_against_adaptive_quadrature(noise):
    scale = noise.sigma_effective
    fisher = 2 * half_line(lambda y: float(noise.density(y) * noise.score(y) ** 2), scale)
    assert noise.fisher_information == pytest.approx(fisher, rel=1e-8)
    entropy = -2 * half_line(lambda y: float(noise.density(y) * noise.log_density(y)), scale)
    assert noise.entropy == pytest.approx(entropy, rel=1e-7, abs=1e-7)
    if noise.tail_exponent > 1.2:
        assert noise.mean_abs == pytest.approx(half_line(lambda y: float(noise.survival(y)), scale), rel=1e-7)
    if noise.tail_exponent > 2.2:
        second = 2 * half_line(lambda y: y * float(noise.survival(y)), scale)
        assert noise.variance == pytest.approx(second, rel=1e-7)


@CHEAP
@given(mixtures)
def test_no_laplace_mixture_is_more_efficient_than_one_half(noise):
    assert 0 <= noise.efficiency <= 0.5 + 1e-9


def test_truncated_normal_rates_are_at_most_one_half_efficient():
    for low, mean in [(0.5, 1.0), (0.1, 3.0), (1.0, -2.0)]:
        noise = LaplaceMixture(
            truncated_normal=TruncatedNormalPart(weight=0.7, mean=mean, std=0.6, low=low, high=low + 4)
        )
        assert 0.05 < noise.efficiency <= 0.5


@CHEAP
@given(mixtures, between(0.01, 100))
def test_scaling_is_the_law_of_the_multiple(noise, factor):
    scaled, x = noise.scaled(factor), 1.3 * noise.sigma_effective
    assert scaled.log_survival(factor * x) == pytest.approx(float(noise.log_survival(x)), rel=1e-9, abs=1e-12)
    assert scaled.fisher_information == pytest.approx(noise.fisher_information / factor**2, rel=1e-9)
    assert scaled.efficiency == pytest.approx(noise.efficiency, rel=1e-8, abs=1e-12)
    assert scaled.entropy == pytest.approx(noise.entropy + math.log(factor), rel=1e-8, abs=1e-8)


@CHEAP
@given(mixtures, between(1e-12, 40))
def test_quantiles_invert_the_survival_function(noise, exponent):
    x = float(noise.inverse_log_survival(exponent))
    assert -float(noise.log_survival(x)) == pytest.approx(exponent, rel=1e-12)


@pytest.mark.parametrize("shape", [0.001, 0.1, 0.45, 1.0, 7.0, 3000.0])
def test_fisher_information_of_a_lone_gamma(shape):
    """Closed form k (k+1)^2 theta^2 / (k+2)."""
    noise = lone_gamma(shape, 2.0)
    assert noise.fisher_information == pytest.approx(shape * (shape + 1) ** 2 * 4 / (shape + 2), rel=1e-10)
    assert noise.score_maximum == pytest.approx((shape + 1) * 2.0)


@pytest.mark.parametrize(
    ("shape", "mean", "variance"),
    [
        (1.0, math.inf, math.inf),
        (1.05, 1 / 0.05, math.inf),
        (2.0, 1.0, math.inf),
        (2.1, 1 / 1.1, 2 / (1.1 * 0.1)),
        (5.0, 1 / 4, 2 / 12),
    ],
)
def test_moments_of_a_lone_gamma_are_infinite_exactly_up_to_their_bounds(shape, mean, variance):
    """E|X| = E[1/U], Var X = 2 E[1/U^2]; mass of the rate near 0 makes them infinite."""
    noise = lone_gamma(shape)
    assert noise.mean_abs == pytest.approx(mean, rel=1e-8)
    assert noise.variance == pytest.approx(variance, rel=1e-8)
    assert noise.std == pytest.approx(math.sqrt(variance), rel=1e-8)
    assert (noise.efficiency == 0) == math.isinf(variance)


def test_exponents_at_zero_add_up_over_the_parts():
    uniform, exponential = UniformPart(weight=1, low=0, high=1), ExponentialPart(weight=1, rate=1)
    both = LaplaceMixture(uniform=uniform, exponential=exponential)
    assert both.tail_exponent == 2 and math.isinf(both.variance) and math.isfinite(both.mean_abs)
    three = LaplaceMixture(uniform=uniform, exponential=exponential, gamma=GammaPart(weight=1, shape=0.5, scale=1))
    assert three.tail_exponent == 2.5 and math.isfinite(three.variance)
    away = LaplaceMixture(uniform=UniformPart(weight=1, low=1e-3, high=1), exponential=exponential)
    assert math.isinf(away.tail_exponent) and math.isfinite(away.variance)


def test_a_part_of_weight_zero_adds_nothing():
    plain = LaplaceMixture(uniform=UniformPart(weight=1, low=1, high=2))
    padded = LaplaceMixture(uniform=plain.uniform, gamma=GammaPart(weight=0, shape=0.5, scale=9))
    assert padded.tail_exponent == math.inf and padded.mgf_domain == math.inf
    assert padded.variance == plain.variance and padded.fisher_information == plain.fisher_information


def test_a_rate_that_hardly_varies_is_a_laplace():
    narrow, laplace = lone_gamma(1e8, 1e-8 / 2.5), Laplace(scale=2.5)
    for name in ("std", "mean_abs", "entropy", "fisher_information", "score_maximum", "efficiency"):
        assert getattr(narrow, name) == pytest.approx(getattr(laplace, name), rel=1e-7), name
    assert laplace.efficiency == 0.5
    assert narrow.usefulness(1.1) == pytest.approx(laplace.usefulness(1.1), rel=1e-7)


def test_laplace_moments_are_the_quadrature_of_its_own_density():
    noise = Laplace(scale=0.8)
    assert noise.variance == pytest.approx(2 * half_line(lambda y: y * float(noise.survival(y)), 1), rel=1e-9)
    assert noise.fisher_information == pytest.approx(
        2 * half_line(lambda y: float(noise.density(y) * noise.score(y) ** 2), 1), rel=1e-9
    )
    assert noise.entropy == pytest.approx(
        -2 * half_line(lambda y: float(noise.density(y) * noise.log_density(y)), 1), rel=1e-9
    )


def test_gaussian_closed_forms():
    noise = Gaussian(std=1.7)
    assert noise.efficiency == pytest.approx(1.0)
    assert noise.sigma_effective == pytest.approx(1.7)
    assert noise.mean_abs == pytest.approx(quad(lambda y: float(noise.survival(y)), 0, 40)[0], rel=1e-9)
    entropy = -2 * quad(lambda y: float(noise.density(y) * noise.log_density(y)), 0, 40)[0]
    assert noise.entropy == pytest.approx(entropy, rel=1e-9)
    with mp.workdps(40):
        assert noise.log_survival(30.0) == pytest.approx(
            float(mp.log(mp.erfc(30 / mp.mpf(1.7) / mp.sqrt(2)))), rel=1e-13
        )
    assert noise.log_survival(noise.inverse_log_survival(700.0)) == pytest.approx(-700.0, rel=1e-12)


def test_survival_is_one_below_zero_and_the_score_is_odd():
    noise = load_noise("lmo-2")
    assert noise.log_survival(-3.0) == 0
    assert noise.score(-1.5) == -noise.score(1.5) < 0
    assert noise.density(-1.5) == noise.density(1.5)


def test_usefulness_is_the_mass_within_gamma():
    noise = load_noise("lmo-0.7")
    assert noise.usefulness(0.9) == pytest.approx(2 * quad(lambda x: float(noise.density(x)), 0, 0.9)[0], rel=1e-10)
    with pytest.raises(InvalidValue, match="gamma = -1"):
        noise.usefulness(-1)


@pytest.mark.parametrize("factor", [0.0, -1.0, math.inf, math.nan])
def test_scaling_refuses_factors_that_are_not_positive_numbers(factor):
    for noise in (Gaussian(std=1), Laplace(scale=1), lone_gamma(2)):
        with pytest.raises(InvalidValue, match="factor"):
            noise.scaled(factor)


def test_laws_are_values():
    one, other = lone_gamma(2), lone_gamma(2.0)
    assert one == other and hash(one) == hash(other) and one != lone_gamma(3)
    _ = one.fisher_information  # a cached moment is no part of the value
    assert one == other
