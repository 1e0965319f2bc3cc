"""Privacy loss distributions against the accounting library, brute force and closed forms."""

import itertools
import math

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import log_ndtr

from lmodp.accounting.conversion import epsilon_of_rdp, poisson_rdp
from lmodp.accounting.pld.bounds import coordinate_pair, scalar_interval, vector_lower
from lmodp.accounting.pld.composition import composed_epsilon
from lmodp.accounting.pld.convolution import tilted_power
from lmodp.accounting.pld.lattice import LatticePair, connect_dots, merge, merge_mirrored
from lmodp.accounting.pld.profile import largest_loss, positive_cells
from lmodp.accounting.rdp.supremum import vector_curve
from lmodp.accounting.verified import rdp_upper, verified_run
from lmodp.mechanisms import Gaussian, Laplace, load_noise
from tests.oracles.library import gaussian_rdp_epsilon

NOISE = load_noise("lmo-0.3").scaled(0.2)


def library_epsilon(loss, steps, delta):
    return loss.self_compose(steps).get_epsilon_for_delta(delta)


@pytest.mark.parametrize(
    ("scale", "rate", "steps", "delta"), [(5, 0.1, 100, 1e-8), (1.3, 0.02, 30, 1e-6), (4, 1.0, 20, 1e-9)]
)
def test_laplace_intervals_contain_the_library(scale, rate, steps, delta):
    loss = privacy_loss_distribution.from_laplace_mechanism(
        scale, sampling_prob=rate, value_discretization_interval=1e-4
    )
    removal, addition = (
        scalar_interval(Laplace(scale=scale), sampling_rate=rate, steps=steps, delta=delta, removal=removal)
        for removal in (True, False)
    )
    found = library_epsilon(loss, steps, delta)
    assert max(removal.lower, addition.lower) <= found
    assert max(removal.upper, addition.upper) == pytest.approx(found, rel=2e-4)
    assert removal.upper - removal.lower < 2e-3 * removal.upper


@pytest.mark.parametrize(("sigma", "rate", "steps", "delta"), [(22.73, 0.0304, 192, 1e-10), (1.1, 0.01, 500, 1e-6)])
def test_gaussian_intervals_contain_the_library(sigma, rate, steps, delta):
    loss = privacy_loss_distribution.from_gaussian_mechanism(
        sigma, sampling_prob=rate, value_discretization_interval=2e-5
    )
    interval = scalar_interval(Gaussian(std=sigma), sampling_rate=rate, steps=steps, delta=delta)
    found = library_epsilon(loss, steps, delta)
    assert interval.lower <= found
    assert interval.upper == pytest.approx(found, rel=3e-4)
    assert interval.upper - interval.lower < 3e-3 * interval.upper


@pytest.mark.parametrize("delta", [1e-5, 1e-10, 1e-30])
def test_unsampled_gaussian_in_closed_form_down_to_tiny_delta(delta):
    """T steps of noise sigma are one of sigma/sqrt(T): delta = Phi(m/2 - e/m) - exp(e) Phi(-m/2 - e/m)."""
    sigma, steps = 7.0, 12
    mu = math.sqrt(steps) / sigma

    def log_delta(epsilon):
        one, two = log_ndtr(mu / 2 - epsilon / mu), epsilon + log_ndtr(-mu / 2 - epsilon / mu)
        return one + math.log(-math.expm1(two - one)) - math.log(delta)

    exact = brentq(log_delta, 1e-6, 50)
    interval = scalar_interval(Gaussian(std=sigma), sampling_rate=1.0, steps=steps, delta=delta)
    assert interval.lower <= exact <= interval.upper
    assert interval.upper - interval.lower < 1e-3 * exact


def test_gaussian_rdp_agrees_with_the_library():
    """The suite's own Poisson expansion against dp-accounting's, to 1e-9."""
    for sigma, rate, steps, delta in [(4.5, 0.03, 192, 1e-10), (1.0, 0.01, 1000, 1e-5), (12.0, 1.0, 7, 1e-8)]:
        orders = range(2, 300)
        library = gaussian_rdp_epsilon(
            noise_multiplier=sigma, sampling_rate=rate, steps=steps, delta=delta, orders=orders
        )
        curve, whole = vector_curve(Gaussian(std=sigma), largest_order=299), np.array(orders)
        rdp = steps * poisson_rdp(log_moments=curve.dense(), sampling_rate=rate, orders=whole)
        assert epsilon_of_rdp(orders=whole, rdp=rdp, delta=delta)[0] == pytest.approx(library, rel=1e-9)
        epsilon, order, _ = rdp_upper(curve, sampling_rate=rate, steps=steps, delta=delta)
        exact = gaussian_rdp_epsilon(
            noise_multiplier=sigma, sampling_rate=rate, steps=steps, delta=delta, orders=[order]
        )
        assert exact * (1 - 1e-9) <= epsilon <= library * (1 + 1e-9)


def hockey_stick(noise, epsilon, rate, removal):
    """delta(epsilon) of one sampled release of a number, by integration over the line."""

    def gain(x):
        p, q = float(noise.density(x)), float(noise.density(x - 1))
        sampled = (1 - rate) * p + rate * q
        first, second = (sampled, p) if removal else (p, sampled)
        return max(first - math.exp(epsilon) * second, 0.0)

    edges = np.concatenate([-np.geomspace(1e3, 1e-3, 25), np.linspace(0, 1, 41), 1 + np.geomspace(1e-3, 1e3, 25)])
    return sum(quad(gain, a, b, limit=200)[0] for a, b in itertools.pairwise(edges))


@pytest.mark.parametrize("removal", [True, False])
@pytest.mark.parametrize(("rate", "epsilon"), [(1.0, 0.4), (0.3, 0.1)])
def test_one_sampled_release_against_integration(removal, rate, epsilon):
    delta = hockey_stick(NOISE, epsilon, rate, removal)
    interval = scalar_interval(NOISE, sampling_rate=rate, steps=1, delta=delta, removal=removal)
    assert interval.lower <= epsilon + 1e-6 and interval.upper >= epsilon - 1e-6
    assert interval.upper - interval.lower < 0.03 * epsilon


def test_cells_against_integration():
    bounds = np.linspace(0, largest_loss(NOISE, 0.7) * 1.001, 6)
    p, q = positive_cells(NOISE, 0.7, bounds)

    def loss(x):
        return float(NOISE.log_density(x - 0.7) - NOISE.log_density(x))

    x = np.concatenate([np.linspace(0.35, 0.7, 40_001)[:-1], 0.7 + np.geomspace(1e-7, 500, 80_000)])
    middle, width = (x[1:] + x[:-1]) / 2, np.diff(x)
    losses = NOISE.log_density(middle - 0.7) - NOISE.log_density(middle)
    for j in range(5):
        inside = (losses >= bounds[j]) & (losses < bounds[j + 1])
        assert np.sum(NOISE.density(middle[inside]) * width[inside]) == pytest.approx(p[j], rel=2e-3, abs=1e-7)
        assert np.sum(NOISE.density(middle[inside] - 0.7) * width[inside]) == pytest.approx(q[j], rel=2e-3, abs=1e-7)
    assert loss(0.35) == pytest.approx(0, abs=1e-12)


def random_cells(seed, count=40):
    """A pair of laws on cells with falling loss, both of mass 1."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(count))
    q = p * np.exp(rng.normal(scale=0.8, size=count))
    q /= q.sum()
    order = np.argsort(-np.log(q / p))
    return p[order], q[order], np.log(q / p)[order]


def delta_of(p, q, epsilon):
    return float(np.sum(np.maximum(q - math.exp(epsilon) * p, 0)))


def delta_of_pair(pair, epsilon):
    return pair.infinite + float(np.sum(pair.masses * np.maximum(-np.expm1(epsilon - pair.losses), 0)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step", [0.03, 0.3])
def test_merging_is_dominated_and_connecting_the_dots_dominates(seed, step):
    p, q, loss = random_cells(seed)
    merged = merge(p, q, loss, step=step)
    first = math.floor(loss.min() / step)
    index = np.floor(loss / step).astype(int) - first
    cells = [np.bincount(index, weights=w) for w in (p, q)]
    dots = connect_dots(*cells, first=first, step=step)
    for epsilon in np.linspace(-2, 2, 41):
        exact = delta_of(p, q, epsilon)
        assert delta_of_pair(merged, epsilon) <= exact + 1e-12
        assert delta_of_pair(dots, epsilon) >= exact - 1e-12
    assert merged.masses.sum() <= 1 + 1e-12
    assert dots.masses.sum() == pytest.approx(1) and dots.counterpart.sum() == pytest.approx(1)
    if step == 0.03:
        assert delta_of_pair(merged, 0.1) == pytest.approx(delta_of(p, q, 0.1), rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_merging_a_mirrored_pair_is_dominated_in_both_directions(seed):
    p, q, loss = random_cells(seed)
    half_p, half_q, half = (
        np.concatenate([a[loss > 0], b[loss <= 0][::-1]]) / 2 for a, b in ((p, q), (q, p), (loss, -loss))
    )
    order = np.argsort(-half)
    half_p, half_q, half = half_p[order], half_q[order], half[order]
    pair = merge_mirrored(half_p, half_q, half, step=0.05)
    assert pair.masses.sum() == pytest.approx(1, abs=1e-12) and pair.counterpart.sum() == pytest.approx(1, abs=1e-12)
    whole_p, whole_q = np.concatenate([half_p, half_q]), np.concatenate([half_q, half_p])
    for epsilon in np.linspace(0, 2, 21):
        assert delta_of_pair(pair, epsilon) <= delta_of(whole_p, whole_q, epsilon) + 1e-12
        reverse = LatticePair(pair.counterpart[::-1], -(pair.first + len(pair.masses) - 1), pair.step)
        assert delta_of_pair(reverse, epsilon) <= delta_of(whole_q, whole_p, epsilon) + 1e-12


def _middle_loss(x, top):
    return math.exp(x - top) / 2 * (2 * x - top) ** 2


def test_concentrated_losses_keep_their_information_when_merged():
    """A Laplace's losses are two atoms: nothing may be lost."""
    for scale in (0.05, 1.0, 1e5):
        pair = coordinate_pair(Laplace(scale=scale), 1 / math.sqrt(1000))
        exact = float(np.sum(pair.masses @ pair.losses**2) * 1000)
        top = 1 / math.sqrt(1000) / scale
        middle = quad(_middle_loss, 0, top, args=(top,))[0]  # in units of the scale
        assert exact == pytest.approx(1000 * (top**2 * (math.exp(-top) / 2 + 0.5) + middle), rel=1e-3), scale


def test_powers_of_a_lattice_law_against_direct_convolution_with_relative_error_in_the_tail():
    rng = np.random.default_rng(3)
    masses = rng.dirichlet(np.ones(9))
    direct = np.array([1.0])
    for _ in range(14):
        direct = np.convolve(direct, masses)
    power = tilted_power(LatticePair(masses, -4, 0.1), 14, tilt=25.0)
    at = slice(len(direct) - 12, len(direct))
    assert power.first == -56
    assert np.exp(power.log_masses[at]) == pytest.approx(direct[at], rel=1e-9)
    assert np.all(np.exp(power.log_error[at]) < 1e-4 * direct[at])


def test_windowed_powers_bound_what_they_leave_out():
    masses = np.full(600, 1 / 600)
    power = tilted_power(LatticePair(masses, 0, 1e-3), 5000, tilt=0.0)
    assert len(power.log_masses) < 300_000 < 5000 * 599
    total = np.exp(power.log_masses)
    mean = float(total @ (power.first + np.arange(len(total))))
    assert total.sum() == pytest.approx(1, abs=1e-9)
    assert mean == pytest.approx(5000 * 299.5, rel=1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_composition_against_enumeration(seed):
    """Three releases of a small pair, all outcomes enumerated."""
    rng = np.random.default_rng(seed)
    step, first = 0.2, -3
    masses = rng.dirichlet(np.ones(7))
    pair = LatticePair(masses, first, step)
    p = pair.counterpart
    outcomes = list(itertools.product(range(7), repeat=3))
    joint_q = np.array([np.prod(masses[list(o)]) for o in outcomes])
    joint_p = np.array([np.prod(p[list(o)]) for o in outcomes])
    for epsilon in (0.1, 0.55, 1.3):
        delta = delta_of(joint_p, joint_q, epsilon)
        assert composed_epsilon(pair, steps=3, delta=delta, upper=True) == pytest.approx(epsilon, abs=1e-5)
        assert composed_epsilon(pair, steps=3, delta=delta, upper=True) >= epsilon
        assert composed_epsilon(pair, steps=3, delta=delta, upper=False) <= epsilon


def test_mass_at_infinity_counts_in_an_upper_bound():
    pair = LatticePair(np.array([0.5, 0.499]), 0, 0.1, infinite=1e-3)
    assert composed_epsilon(pair, steps=2, delta=1e-3, upper=True) == math.inf
    assert math.isfinite(composed_epsilon(pair, steps=2, delta=3e-3, upper=True))


def test_a_lower_bound_is_below_the_upper_for_every_way_of_spreading():
    run = {"sampling_rate": 0.05, "steps": 60, "delta": 1e-8}
    lowers = [vector_lower(NOISE, coordinates=m, **run) for m in (10, 100, 1000)]
    assert lowers == sorted(lowers)
    found = verified_run(NOISE, **run)
    assert lowers[-1] < found.gaussian_limit < found.upper
