"""Spherical noise, one number of any law and Gaussian mixtures, against closed forms and samples."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from lmodp.accounting.pld.bounds import cell_interval, scalar_interval
from lmodp.accounting.pld.cells import cells_of
from lmodp.accounting.pld.spherical import RELATIVE_ERROR, spherical_cells
from lmodp.accounting.verified import verified_run
from lmodp.errors import InvalidValue
from lmodp.mechanisms import (
    Gaussian,
    GaussianMixture,
    Histogram,
    Laplace,
    Noise,
    Spherical,
    load_noise,
    noise_from_dict,
)

RUN = {"sampling_rate": 0.05, "steps": 40, "delta": 1e-7}

STAIRCASE = Histogram(width=0.5, masses=(0.3, 0.2, 0.1, 0.1), ratio=0.75)


def spherical(dimension, power, std):
    unit = Spherical(dimension=dimension, power=power, scale=1.0)
    return unit.scaled(std / unit.std)


@pytest.mark.parametrize(("dimension", "std"), [(2, 0.4), (3, 3.0), (4, 100.0), (770, 3.0), (10**6, 0.4)])
def test_masses_of_power_2_are_the_gaussians(dimension, std):
    bounds = np.linspace(0, 12 / std + 1 / std**2, 25)
    p, q = spherical_cells(spherical(dimension, 2.0, std), 1.0, bounds)
    for found, sign in ((p, 1), (q, -1)):
        exact = -np.diff(norm.sf(bounds * std + sign / (2 * std)))
        assert np.all(np.abs(found - exact) <= RELATIVE_ERROR * exact + 1e-40)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.7, 6.0])
@pytest.mark.parametrize("dimension", [2, 5, 300])
def test_masses_are_those_of_samples_and_fit_their_losses(power, dimension):
    noise = spherical(dimension, power, 1.5)
    cells = cells_of(noise, outside=1e-12)
    half = cells.half()
    there = half.q > 1e-9
    loss = np.log(half.q[there] / half.p[there])
    assert np.all((loss >= half.low[there] - 1e-9) & (loss <= half.high[there] + 1e-9))
    assert cells.q.sum() == pytest.approx(1, abs=1e-10)
    x = noise.vectors(4000, np.random.default_rng(5))
    shifted = x.copy()
    shifted[:, 0] -= 1
    drawn = (np.linalg.norm(shifted, axis=1) ** power - np.linalg.norm(x, axis=1) ** power) / noise.scale**power
    for share in (0.2, 0.5, 0.9):
        bound = half.low[there][int(share * there.sum() / 3)]
        assert np.mean(drawn >= bound) == pytest.approx(half.q[half.low >= bound].sum(), abs=0.04)


def test_spherical_noise_of_power_2_is_gaussian_noise_and_power_1_has_a_pure_epsilon():
    for removal in (True, False):
        exact = scalar_interval(Gaussian(std=2.0), removal=removal, **RUN)
        assert cell_interval(spherical(6, 2.0, 2.0), **RUN).upper >= exact.lower
    found, exact = verified_run(spherical(6, 2.0, 2.0), **RUN), verified_run(Gaussian(std=2.0), full=True, **RUN)
    assert found.lower == pytest.approx(exact.lower, rel=5e-4)
    assert found.upper == pytest.approx(exact.upper, rel=5e-4)
    assert found.route == "pld"
    pure = verified_run(Spherical(dimension=5, power=1.0, scale=2.0), sampling_rate=1.0, steps=1, delta=1e-13)
    assert 0.49 < pure.lower <= 0.5 <= pure.upper * (1 + 1e-6) <= 0.5 + 1e-5


def test_the_dimension_of_spherical_noise_matters_and_another_is_refused():
    few, many = (verified_run(spherical(d, 1.0, 2.0), **RUN) for d in (2, 200))
    assert many.upper < 0.98 * few.lower
    with pytest.raises(InvalidValue, match=r"dimension = 5: is 2 in the noise"):
        verified_run(spherical(2, 1.0, 2.0), dimension=5, **RUN)


@pytest.mark.parametrize("steps", [1, 16, 300])
@pytest.mark.parametrize(
    "noise", [Gaussian(std=5.0), Laplace(scale=3.0), load_noise("lmo-0.3")], ids=lambda x: x.family
)
def test_cells_of_any_law_agree_with_exact_losses(noise, steps):
    run = {"sampling_rate": 1.0, "steps": steps, "delta": 1e-8}
    exact = [scalar_interval(noise, removal=removal, **run) for removal in (True, False)]
    found = cell_interval(noise, **run)
    assert found.lower <= max(each.upper for each in exact)
    assert max(each.lower for each in exact) <= found.upper
    assert found.upper - found.lower < 0.015 * found.upper


def test_a_piecewise_constant_density_is_exact():
    run = {"sampling_rate": 1.0, "steps": 1, "delta": 1e-9}
    found = verified_run(STAIRCASE, dimension=1, **run)
    p, q = (STAIRCASE.density(np.arange(-40.25, 40, 0.5) - shift) / 2 for shift in (0, 1))

    def delta(epsilon):
        return np.maximum(q - math.exp(epsilon) * p, 0).sum()

    assert delta(found.lower) >= 1e-9 >= delta(found.upper)
    assert found.upper - found.lower < 1e-3
    assert noise_from_dict(STAIRCASE.to_dict()) == STAIRCASE
    many = verified_run(STAIRCASE, **run)
    assert many.status == "unsupported"
    assert many.lower >= found.lower


@pytest.mark.parametrize(("width", "bins", "epsilon"), [(1.0, 500, 1e-3), (0.25, 40, 0.2), (1.0, 5000, 1e-4)])
def test_a_single_release_is_exact_where_losses_lie_far_apart(width, bins, epsilon):
    """A stair that ends early: most of the mass has a loss of epsilon or 0, the last bins have an infinite one."""
    s, masses = round(1 / width), np.exp(-epsilon * width * np.arange(bins))
    masses /= masses.sum()
    noise = Histogram(width=width, masses=tuple(masses), ratio=0.0)
    line = np.concatenate([masses[::-1], masses]) / 2
    near, far = np.append(line, np.zeros(s)), np.append(np.zeros(s), line)
    for target in (epsilon / 10, epsilon / 2, epsilon * 0.9):
        delta = float(np.maximum(near - math.exp(target) * far, 0).sum())
        found = cell_interval(noise, sampling_rate=1.0, steps=1, delta=delta)
        assert target * (1 - 1e-4) <= found.lower <= target * (1 + 1e-9)
        assert target * (1 - 1e-9) <= found.upper <= target * (1 + 1e-4)


def test_a_gaussian_mixture_of_one_part_is_that_gaussian_and_more_parts_are_bounded_by_the_smallest():
    one, gaussian = GaussianMixture(stds=(2.0,), weights=(1.0,)), Gaussian(std=2.0)
    found, exact = verified_run(one, **RUN), verified_run(gaussian, **RUN)
    assert found.upper == pytest.approx(exact.upper, rel=1e-9)
    assert found.lower == pytest.approx(exact.lower, rel=2e-3)
    mixed = verified_run(GaussianMixture(stds=(2.0, 4.0), weights=(0.2, 0.8)), **RUN)
    single = verified_run(GaussianMixture(stds=(2.0, 4.0), weights=(0.2, 0.8)), dimension=1, **RUN)
    assert single.lower <= mixed.upper <= exact.upper
    assert single.upper < mixed.upper


@pytest.mark.parametrize("noise", [STAIRCASE, spherical(3, 1.0, 2.0)], ids=["one number", "spherical"])
def test_more_releases_accounted_as_one_are_found(noise):
    dimension = 1 if noise is STAIRCASE else None
    once, often = (
        verified_run(noise, dimension=dimension, sampling_rate=1.0, steps=steps, delta=1e-6) for steps in (1, 4)
    )
    assert often.lower > 1.5 * once.upper


def test_smaller_shifts_never_have_a_larger_hockey_stick():
    """The proof's first lemma, where densities are far from log-concave."""
    x = np.arange(-60, 60, 1 / 256) + 1 / 512  # no jump of the density falls on a point
    for noise in (STAIRCASE, GaussianMixture(stds=(0.2, 6.0), weights=(0.5, 0.5))):
        for ratio in (0.3, 1.0, 2.0, 30.0):
            sticks = [
                np.maximum(noise.density(x - v) - ratio * noise.density(x), 0).sum() for v in np.arange(0, 1.75, 1 / 8)
            ]
            assert np.all(np.diff(sticks) >= -1e-6 * max(sticks))


@dataclass(frozen=True, kw_only=True)
class Humps(Noise):
    """|X| has the density (w + (1 - w) x) exp(-x), which rises up to x = (1 - 2 w) / (1 - w) where w is below 1/2."""

    family = "humps"
    scale: float
    weight: float
    mass: float = 1.0  # of the survival, where it is not that of the density

    def scaled(self, factor):
        return Humps(scale=self.scale * factor, weight=self.weight, mass=self.mass)

    def log_density(self, x):
        z = np.abs(np.asarray(x, dtype=float)) / self.scale
        return np.log(self.weight + (1 - self.weight) * z) - z - math.log(2 * self.scale)

    def log_survival(self, x):
        z = np.maximum(x, 0.0) / self.scale
        return self.mass * (np.log1p((1 - self.weight) * z) - z)

    def inverse_log_survival(self, exponent):
        return self.scale * np.vectorize(lambda e: brentq(lambda z: -self.log_survival(z * self.scale) - e, 0, 1e4))(
            exponent
        )


@pytest.mark.parametrize(
    ("weight", "mass", "refused"), [(0.01, 1, True), (0.3, 1, True), (0.5, 1, False), (1, 1, False), (1, 1.01, True)]
)
def test_a_law_whose_density_rises_or_is_not_that_of_its_survival_has_no_bound(weight, mass, refused):
    """The ranges of the losses rest on both: two humps would have had 2.777 for an epsilon above 15."""
    noise = Humps(scale=1.5, weight=weight, mass=mass)
    found = verified_run(noise, dimension=1, **RUN)
    assert (found.status == "unsupported") is refused
    if refused:
        told = "the density rises on x > 0" if mass == 1 else "density and survival are not of one law"
        assert told in found.reason
    else:
        assert 0 < found.lower <= found.upper < math.inf


def test_a_tail_that_doubles_would_cut_off_is_refused():
    with pytest.raises(InvalidValue, match="leaves mass beyond"):
        Histogram(width=1.0, masses=(1e-5,), ratio=0.99999)
