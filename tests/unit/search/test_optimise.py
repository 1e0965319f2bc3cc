"""The continuous search."""

import math

import numpy as np
import pytest

from lmodp.accounting import verified_upper
from lmodp.search import optimise_noise
from lmodp.search.optimise import BOUNDS, active_bounds, shape_of

RUN = {"delta": 1e-10, "sampling_rate": 0.03, "steps": 192}


@pytest.fixture(scope="module")
def found():
    return optimise_noise(epsilon=0.6, **RUN)


def test_the_optimum_in_many_dimensions_is_a_laplace_at_root_two_of_the_gaussian(found):
    assert verified_upper(found.noise, **RUN) == found.epsilon <= 0.6
    assert found.noise_multiplier == found.noise.std
    assert found.noise_ratio == pytest.approx(math.sqrt(2), rel=1e-3)
    assert found.noise_multiplier >= found.laplace_noise_multiplier * (1 - 1e-4)
    assert found.noise_ratio_better == found.noise_ratio


def test_the_bounds_that_stop_it_are_named(found):
    narrow = {"uniform_half_width at its smallest, 0.001", "gamma_shape at its largest, 10000"}
    assert narrow & set(found.active_bounds)


def test_the_search_is_deterministic(found):
    assert optimise_noise(epsilon=0.6, **RUN) == found


def test_few_scalar_releases_are_won_by_laplace_noise_over_the_gaussian():
    found = optimise_noise(epsilon=1.0, delta=1e-10, dimension=1)
    assert found.noise_ratio == pytest.approx(0.231, abs=0.002)
    assert found.noise_ratio_better == pytest.approx(1.0, abs=2e-3)


def test_points_of_the_box():
    noise = shape_of(np.array([0.3, 0.6, 1.0, 0.0]))
    assert noise.uniform.weight == pytest.approx(0.3)
    assert noise.gamma.weight == pytest.approx(0.7 * 0.6) and noise.gamma.shape == pytest.approx(1e4)
    assert (noise.uniform.low, noise.uniform.high) == (pytest.approx(0.999), pytest.approx(1.001))
    mean_rate = float(noise.log_mgf(0.0)[1])
    assert mean_rate == pytest.approx(1.0)
    assert active_bounds(np.array([0.3, 0.6, 1.0, 0.0])) == (
        "gamma_shape at its largest, 10000",
        "uniform_half_width at its smallest, 0.001",
    )
    assert active_bounds(np.full(len(BOUNDS), 0.5)) == ()
