"""The canary's score: cells, ratios, mixture over the draw of the batch."""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad

from lmodp.auditing.likelihood import CanaryScore, cell_masses
from lmodp.errors import InvalidValue
from lmodp.mechanisms import PUBLISHED, Gaussian, Laplace, as_drawn

NOISES = {
    "gaussian": Gaussian(std=1.7),
    "laplace": Laplace(scale=2.3),
    "lmo": PUBLISHED["lmo-0.3"].noise,
    "lmo as drawn": as_drawn(PUBLISHED["usefulness-3"].noise),
}


def score(noise, **changes) -> CanaryScore:
    return CanaryScore(
        **{"noise": noise, "relative_sensitivity": 0.8, "coordinates": 5, "sampling_rate": 0.07, **changes}
    )


@pytest.mark.parametrize("name", NOISES)
def test_masses_are_the_law_and_add_up(name):
    canary = score(NOISES[name])
    for mass in canary.masses:
        assert mass.min() > 0 and mass.sum() == pytest.approx(1, abs=1e-12)
    edges = np.array([-2.0, -0.5, 0.3, 4.0])
    masses = cell_masses(NOISES[name], edges)
    integrals = [
        quad(NOISES[name].density, a, b, points=[0.0] if a < 0 < b else None)[0] for a, b in itertools.pairwise(edges)
    ]
    assert masses[1:-1] == pytest.approx(integrals, rel=1e-7)


@pytest.mark.parametrize("name", NOISES)
def test_the_grid_keeps_the_divergence_of_one_coordinate(name):
    noise, canary = NOISES[name], score(NOISES[name])
    without, with_canary = canary.masses
    gridded = float((with_canary - without) @ canary.values)
    v = canary.shift

    def integrand(x):
        ratio = noise.log_density(x - v) - noise.log_density(x)
        return float((noise.density(x - v) - noise.density(x)) * ratio)

    exact = sum(
        quad(integrand, a, b, limit=400)[0]
        for a, b in ((-2000, -60), (-60, -5), (-5, 0), (0, v), (v, 5), (5, 60), (60, 2000))
    )
    assert 0.998 * exact < gridded <= exact * (1 + 1e-6) + 1e-12


def test_a_gaussians_sum_is_its_likelihood_ratio():
    canary = score(Gaussian(std=1.7))
    released = np.random.default_rng(1).normal(0, 1.7, (200, 5))
    exact = (released * canary.shift - canary.shift**2 / 2).sum(1) / 1.7**2
    assert canary.of_coordinates(released) == pytest.approx(exact, abs=1e-3)


def test_values_far_outside_the_grid_fall_into_the_open_cells():
    canary = score(Laplace(scale=2.3))
    assert canary.of_coordinates(np.full((1, 5), 1e30))[0] == pytest.approx(5 * canary.values[-1])
    assert canary.of_coordinates(np.full((1, 5), -np.inf))[0] == pytest.approx(5 * canary.values[0])


def test_one_draw_decides_for_all_coordinates():
    canary = score(Gaussian(std=1.0), sampling_rate=0.25)
    assert canary.of_steps(np.array([2.0]))[0] == pytest.approx(math.log(0.75 + 0.25 * math.exp(2.0)))
    assert score(Gaussian(std=1.0), sampling_rate=1.0).of_steps(np.array([-3.0]))[0] == pytest.approx(-3.0)
    assert np.isfinite(canary.of_steps(np.array([1e6]))[0])


@pytest.mark.parametrize("field", ["relative_sensitivity", "coordinates", "sampling_rate"])
def test_refuses_values_outside_their_range(field):
    with pytest.raises(InvalidValue, match=field):
        score(Gaussian(std=1.0), **{field: 0})
