"""The continuous search and the map of where LMO noise can win."""

import math

import numpy as np
import pytest

from lmodp.accounting import verified_upper
from lmodp.mechanisms import GammaPart, Laplace, LaplaceMixture, load_noise
from lmodp.search import optimise_noise, win_map
from lmodp.search.optimise import BOUNDS, active_bounds, shape_of
from lmodp.search.win_map import COLUMNS

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


def test_the_map_against_the_known_corner_cases():
    rows = win_map(
        steps=(1, 16, 1024),
        epsilon=(1.0,),
        delta=1e-10,
        dimensions=(1, 64, None),
        families={"laplace": Laplace(scale=1)},
    )
    over = {(row["dimension"], row["steps"]): row["noise_ratio"] for row in rows}
    assert over[1, 1] == pytest.approx(0.231, abs=0.002)
    assert over[1, 16] == pytest.approx(0.92, abs=0.01)
    assert over[1, 1024] == pytest.approx(1.41, abs=0.01)
    assert all(over[None, steps] == pytest.approx(math.sqrt(2), rel=1e-3) for steps in (1, 16, 1024))
    assert over[1, 1] < over[64, 1] < over[None, 1]
    assert over[64, 1] == pytest.approx(1.33, abs=0.01)
    assert all(tuple(row) and set(row) == set(COLUMNS) for row in rows)
    assert {row["bound"] for row in rows} == {"supremum", "even_split"}


def test_cells_of_the_map_without_an_answer_have_a_reason():
    heavy = LaplaceMixture(gamma=GammaPart(weight=1, shape=1.5, scale=1))
    rows = win_map(steps=(1,), epsilon=(1.0,), delta=1e-10, dimensions=(None,), families={"heavy": heavy})
    assert (rows[0]["status"], rows[0]["noise_multiplier"], rows[0]["reason"]) == (
        "infinite",
        None,
        "the variance is infinite",
    )
    rows = win_map(steps=(1,), epsilon=(1e-4,), delta=1e-10, dimensions=(None,), families={"laplace": Laplace(scale=1)})
    assert rows[0]["status"] == "unsupported" and "below what Renyi orders" in rows[0]["reason"]


@pytest.mark.slow
def test_the_even_split_is_the_supremum_in_the_map():
    """Where the Renyi curve is concave, as for every published shape: the bound agrees to its own slack."""
    families = {"laplace": Laplace(scale=1), "lmo-0.3": load_noise("lmo-0.3")}
    for options in ({"steps": (16,), "epsilon": (1.0,)}, {"steps": (100,), "epsilon": (2.0,), "sampling_rate": 0.1}):
        cheap, rigorous = (
            win_map(delta=1e-10, dimensions=(4, 64), families=families, rigorous=flag, **options)
            for flag in (False, True)
        )
        for one, other in zip(cheap, rigorous, strict=True):
            assert other["bound"] == "supremum"
            assert one["noise_multiplier"] == pytest.approx(other["noise_multiplier"], rel=3e-3)
