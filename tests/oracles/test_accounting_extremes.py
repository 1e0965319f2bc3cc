"""Bounds at deltas of 1e-30 and 1/2, for noise a billion times too strong or far too weak: closed forms, no warning."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import log_ndtr

from lmodp.accounting.pld.bounds import (
    sampled_cells,
    scalar_interval,
    spread_pair,
    step_width,
    vector_lower,
    without_ends,
)
from lmodp.accounting.pld.lattice import merge
from lmodp.accounting.rdp.supremum import finite_curve, vector_curve
from lmodp.accounting.verified import verified_run
from lmodp.mechanisms import (
    ExponentialPart,
    GammaPart,
    Gaussian,
    GaussianMixture,
    Histogram,
    Laplace,
    LaplaceMixture,
    Spherical,
    load_noise,
)

SMALL_SHAPE = LaplaceMixture(
    gamma=GammaPart(weight=2.6e-4, shape=0.084, scale=4.2), exponential=ExponentialPart(weight=1.86e-3, rate=0.324)
)


def gaussian_epsilon(mu, delta):
    """epsilon of mu-Gaussian DP, 0 where delta allows it."""

    def log_delta(epsilon):
        one, two = log_ndtr(mu / 2 - epsilon / mu), epsilon + log_ndtr(-mu / 2 - epsilon / mu)
        return one + math.log(-math.expm1(min(two - one, -1e-300))) - math.log(delta)

    return (
        0.0 if log_delta(1e-300) <= 0 else brentq(log_delta, 1e-300, mu * mu / 2 + 40 * mu + 1, xtol=1e-18, rtol=1e-13)
    )


@pytest.mark.parametrize(
    ("std", "steps", "delta", "width"),
    [
        (1e9, 1, 1e-10, 1e-3),
        (1e6, 1, 1e-30, 1e-3),
        (1e9, 100_000, 1e-30, 1e-3),
        (1e4, 100_000, 0.01, 1e-3),
        (1.0, 100, 1e-30, 1e-3),
        (0.3, 1, 0.5, 1e-3),
        (0.05, 100, 1e-10, 0.01),
        (5.0, 1, 0.5, 0.0),
        (0.01, 1, 1e-10, math.inf),
        (1e10, 10**4, 1e-10, 0.3),
        (0.5, 1, 1e-290, 0.1),
        (1.0, 1, 1e-300, 0.1),
    ],
)
def test_gaussian_intervals_contain_the_closed_form(std, steps, delta, width):
    exact = gaussian_epsilon(math.sqrt(steps) / std, delta)
    found = scalar_interval(Gaussian(std=std), sampling_rate=1.0, steps=steps, delta=delta)
    assert found.lower <= exact <= found.upper
    assert found.upper - found.lower <= width * exact if width < math.inf else found.upper < 1.01 * exact


@pytest.mark.parametrize("delta", [1e-10, 1e-20, 1e-30])
def test_merged_cells_are_dominated_where_their_masses_are_below_rounding(delta):
    """The tail of Q, 1e-20 and less beside a bulk of 1, decides epsilon at such deltas: none may be made up."""
    cells = spread_pair(SMALL_SHAPE, coordinates=1000)
    for removal in (True, False):
        p, q, loss = without_ends(*sampled_cells(*cells, sampling_rate=0.5, removal=removal), lost=1e-6 * delta)
        pair = merge(p, q, loss, step=step_width((p, q, loss), 48))
        assert pair.losses[-1] <= loss[0]
        for epsilon in np.linspace(0, 0.999 * loss[0], 12):
            merged = np.sum(pair.masses * np.maximum(-np.expm1(epsilon - pair.losses), 0))
            assert merged <= np.sum(np.maximum(q - math.exp(epsilon) * p, 0)) * (1 + 1e-9)


def test_the_lower_end_stays_below_the_upper_at_tiny_delta():
    found = verified_run(SMALL_SHAPE, sampling_rate=0.5, steps=10, delta=1e-30)
    assert 0.9 * found.upper < found.lower < found.upper


@pytest.mark.parametrize(
    ("noise", "run"),
    [
        (
            LaplaceMixture(gamma=GammaPart(weight=0.16, shape=39.5, scale=0.32)),
            {"sampling_rate": 1e-6, "steps": 192, "delta": 1e-30},
        ),
        (
            LaplaceMixture(gamma=GammaPart(weight=6.9, shape=1497, scale=0.05)),
            {"sampling_rate": 0.5, "steps": 10, "delta": 1e-3},
        ),
        (
            LaplaceMixture(exponential=ExponentialPart(weight=553, rate=0.42)),
            {"sampling_rate": 0.1, "steps": 1, "delta": 0.09},
        ),
        (Gaussian(std=1e-3), {"sampling_rate": 0.9999, "steps": 100_000, "delta": 1e-15}),
    ],
)
def test_weak_noise_has_an_interval(noise, run):
    found = verified_run(noise, **run)
    assert 0 <= found.lower < found.upper < math.inf


def test_a_finite_dimension_far_from_the_equal_split_is_bounded():
    """The best shift is not the equal split here: refinement must follow the largest value that it finds."""
    noise = LaplaceMixture(exponential=ExponentialPart(weight=553, rate=0.42))
    finite, many = (
        curve(noise, largest_order=128, **kind)
        for curve, kind in ((finite_curve, {"dimension": 1000}), (vector_curve, {}))
    )
    assert np.all(finite.log_moments <= many.log_moments)
    assert vector_lower(noise, sampling_rate=0.1, steps=1, delta=0.05) > 0


@pytest.mark.parametrize(
    ("noise", "coordinates", "steps", "delta"),
    [
        (Laplace(scale=2), 1000, 1, 1e-12),
        (Laplace(scale=0.7), 16, 3, 1e-6),
        (load_noise("lmo-0.3").scaled(0.3), 1000, 10, 1e-30),
    ],
)
def test_a_spread_shift_is_as_many_releases_of_one_number(noise, coordinates, steps, delta):
    """Without sampling, T releases of a shift spread over m coordinates are mT releases of noise sqrt(m) times as
    large: two routes, one merging coordinates first, to one number. (The accounting library's own composition is
    1e-4 too low for the first case, where its FFT rounds.)"""
    one = scalar_interval(
        noise.scaled(math.sqrt(coordinates)), sampling_rate=1.0, steps=coordinates * steps, delta=delta
    )
    lower = vector_lower(noise, sampling_rate=1.0, steps=steps, delta=delta, coordinates=coordinates)
    assert 0.999 * one.upper < lower <= one.upper


def test_weak_noise_in_a_few_coordinates_at_a_tiny_rate_keeps_its_lower_end():
    """No chord met the curve again, and all losses were merged into one: at scale 0.167 the lower end was 0."""
    run = {"sampling_rate": 4.2e-6, "steps": 1514, "delta": 9.75e-11, "coordinates": 3}
    lowers = [vector_lower(Laplace(scale=0.1965418257027431 * f), **run) for f in (1.0, 0.9, 0.85, 0.8, 0.7654734)]
    assert all(1.1 * weaker < stronger for weaker, stronger in itertools.pairwise(lowers))


@pytest.mark.parametrize(("std", "steps", "delta"), [(3e8, 10**6, 1e-9), (1e10, 4 * 10**6, 1e-9), (3e9, 10**5, 1e-9)])
def test_losses_near_the_rounding_of_doubles_lower_the_lower_end(std, steps, delta):
    """Rounding of sums of masses moves the mean loss of a step; over many steps that counted above the truth."""
    exact = gaussian_epsilon(math.sqrt(steps) / std, delta)
    found = scalar_interval(Gaussian(std=std), sampling_rate=1.0, steps=steps, delta=delta)
    assert 0.3 * exact < found.lower <= exact <= found.upper


@pytest.mark.parametrize(("delta", "exact"), [(1e-12, 2.207317e-8), (1e-13, 4.38999e-8)])
def test_a_tiny_rate_has_losses_near_the_rounding_of_doubles(delta, exact):
    """The hockey stick of one step, by 60 digits."""
    found = scalar_interval(Gaussian(std=1.0), sampling_rate=1e-9, steps=1, delta=delta)
    assert 0.97 * exact < found.lower <= exact <= found.upper < 1.03 * exact


@pytest.mark.parametrize(("dimension", "std", "delta"), [(2, 1.0, 1e-30), (2, 1.0, 1e-60), (1000, 3.0, 1e-300)])
def test_spherical_noise_of_power_2_is_gaussian_or_says_that_its_masses_are_too_small(dimension, std, delta):
    noise = Spherical(dimension=dimension, power=2.0, scale=std * math.sqrt(2))
    found = verified_run(noise, sampling_rate=1.0, steps=1, delta=delta)
    exact = gaussian_epsilon(1 / std, delta)
    assert found.lower <= exact <= found.upper
    assert found.status == ("ok" if delta > 1e-40 else "unsupported")


@pytest.mark.parametrize("scale", [1e3, 3e7, 1e12, 3e15])
def test_the_largest_loss_of_strong_laplace_noise_is_not_rounded_down(scale):
    found = verified_run(Laplace(scale=scale), sampling_rate=1.0, steps=1, delta=1e-30, dimension=1)
    assert found.lower <= 1 / scale <= found.upper < (1 + 1e-6) / scale


def test_no_divergence_of_strong_noise_is_rounded_to_nothing():
    noise = LaplaceMixture(gamma=GammaPart(weight=1.0, shape=1.0, scale=1e-12))
    assert verified_run(noise, sampling_rate=1.0, steps=1, delta=1e-30, dimension=1).upper >= 2 * math.log1p(1e-12)
    many = verified_run(Laplace(scale=1e16), sampling_rate=1.0, steps=10**32, delta=1e-5, dimension=1)
    assert many.upper >= gaussian_epsilon(1.0, 1e-5)


@pytest.mark.parametrize(
    ("width", "ratio", "falls"), [(0.1, 0.9, 10), (0.3, 0.5, 4), (0.001, 0.999, 1000), (1 / 49, 0.9, 50), (1.0, 0.5, 1)]
)
@pytest.mark.parametrize("delta", [1e-10, 1e-18, 1e-30])
def test_a_geometric_staircase_loses_at_most_the_falls_that_a_shift_meets(width, ratio, falls, delta):
    noise = Histogram(width=width, masses=(1 - ratio,), ratio=ratio)
    found = verified_run(noise, sampling_rate=1.0, steps=1, delta=delta, dimension=1)
    most = -falls * math.log(ratio)
    assert 0.97 * most < found.lower <= found.upper <= most * (1 + 1e-6)


def test_a_staircase_of_bins_far_narrower_than_the_shift_is_one_law():
    found = verified_run(
        Histogram(width=0.001, masses=(0.5,), ratio=0.5), sampling_rate=1.0, steps=1, delta=1e-5, dimension=1
    )
    assert found.status == "ok" and found.upper == pytest.approx(1000 * math.log(2))


@pytest.mark.parametrize(
    ("noise", "run"),
    [
        (GaussianMixture(stds=(0.01, 0.02), weights=(0.5, 0.5)), {}),
        (GaussianMixture(stds=(0.003, 0.02), weights=(0.5, 0.5)), {"sampling_rate": 0.01, "steps": 1000}),
        (Spherical(dimension=10, power=2.0, scale=0.03), {"dimension": None}),
        (Spherical(dimension=3, power=1.0, scale=0.001), {"dimension": None}),
        (Spherical(dimension=3, power=1.5, scale=1e-40), {"dimension": None, "delta": 0.5}),
        (Histogram(width=1e17, masses=(0.5,), ratio=0.5), {}),
        (Histogram(width=1.0, masses=(0.5,), ratio=0.5), {"delta": 1e-301}),
        (Histogram(width=1.0, masses=(0.5,), ratio=0.5), {"delta": 1e-320}),
        (Gaussian(std=1e-80), {"dimension": None}),
        (Laplace(scale=1e-80), {"dimension": None}),
    ],
)
def test_far_from_all_use_there_is_an_interval_or_a_reason(noise, run):
    asked = {"sampling_rate": 1.0, "steps": 1, "delta": 1e-5, "dimension": 1, **run}
    found = verified_run(noise, **asked)
    assert 0 <= found.lower <= found.upper
    assert found.reason or found.upper == 0 or (found.lower > 0 and found.upper < math.inf)
