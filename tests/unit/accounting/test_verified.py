"""The interval: order of its ends, and what it says where there is no number."""

import math

import numpy as np
import pytest

from lmodp.accounting import verified_run, verified_upper
from lmodp.accounting.rdp.supremum import FRACTIONS, finite_curve, renyi_orders, vector_curve
from lmodp.accounting.verified import largest_order, rdp_upper
from lmodp.mechanisms import GammaPart, Gaussian, Laplace, LaplaceMixture, RateMixture, load_noise

RUN = {"sampling_rate": 0.05, "steps": 100, "delta": 1e-8}
NOISE = load_noise("lmo-0.3")


@pytest.mark.parametrize(
    "noise",
    [
        NOISE,
        load_noise("lmo-3"),
        Laplace(scale=3),
        Gaussian(std=5),
        load_noise("lmo-5"),
        LaplaceMixture(gamma=GammaPart(weight=1, shape=0.1, scale=1)),
    ],
)
def test_the_lower_end_is_below_the_upper(noise):
    found = verified_run(noise, **RUN)
    assert 0 < found.lower < found.upper < math.inf
    assert found.lower < found.gaussian_limit * 1.001 or found.worst_shift > 0
    assert found.status == "ok"


def test_the_bound_grows_with_the_dimension():
    uppers = [verified_upper(NOISE.scaled(0.4), dimension=d, **RUN) for d in (1, 16, None)]
    assert uppers[0] < 0.9 * uppers[1] and uppers[1] <= uppers[2]
    assert verified_upper(Gaussian(std=5), dimension=1, **RUN) == verified_upper(Gaussian(std=5), **RUN)


def test_one_dimension_takes_the_tighter_loss_distribution():
    found = verified_run(NOISE, dimension=1, **RUN)
    assert found.route == "pld" and found.order is None
    assert found.lower < found.upper < found.upper_rdp
    assert (found.upper - found.lower) / found.upper < 1e-3


def test_a_supremum_inside_is_recorded_and_lies_above_the_limit():
    """sigma_effective is not the answer for a small-shape Gamma rate."""
    noise = LaplaceMixture(gamma=GammaPart(weight=1, shape=0.01, scale=3.0))
    found = verified_run(noise, **RUN)
    limit = verified_upper(Gaussian(std=noise.sigma_effective), **RUN)
    assert found.worst_shift > 0
    assert found.upper > 1.5 * limit
    assert verified_run(NOISE, **RUN).worst_shift == 0


def test_delta_below_what_the_library_resolves_still_has_a_limit():
    found = verified_run(NOISE, sampling_rate=0.05, steps=100, delta=1e-25)
    assert found.lower < found.gaussian_limit < found.upper


def test_a_large_delta_needs_no_epsilon():
    found = verified_run(NOISE, sampling_rate=0.001, steps=1, delta=0.5)
    assert (found.lower, found.upper) == (0, 0)


def test_orders_below_two_serve_weak_noise():
    curve = vector_curve(load_noise("lmo-5"), largest_order=64)
    epsilon, order, _ = rdp_upper(curve, sampling_rate=0.03, steps=192, delta=1e-10)
    assert 1 < order < 2
    assert epsilon < 1000


def test_orders_reach_past_300_for_strong_noise():
    run = {"sampling_rate": 2048 / 67349, "steps": 192, "delta": 1e-10}
    assert rdp_upper(vector_curve(Gaussian(std=22.73), largest_order=4096), **run)[1] > 300
    assert largest_order(Laplace(scale=22.73), **run) >= 512


def test_the_orders_of_a_curve():
    orders = renyi_orders(128)
    assert np.all(np.diff(orders) > 0)
    assert set(np.arange(2, 33)) <= set(orders) and orders[-1] == 128
    assert set(FRACTIONS) == set(orders[orders % 1 > 0])
    assert FRACTIONS[0] > 1.01 and FRACTIONS[-1] < 6


def test_orders_share_the_densities_of_few_coordinates(monkeypatch):
    """A truncated normal costs a quadrature a density: one for each order would take a minute (dimension 2)."""
    asked, original = [], RateMixture.log_density_and_score
    monkeypatch.setattr(
        RateMixture, "log_density_and_score", lambda self, x: asked.append(np.size(x)) or original(self, x)
    )
    noise = LaplaceMixture(gamma=GammaPart(weight=1, shape=1.7, scale=0.6))
    finite_curve(noise, dimension=2, largest_order=128)
    assert sum(asked) < 5e6
