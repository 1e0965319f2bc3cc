"""Replaced examples, batches of a fixed size, shuffled batches and groups, against integrals that share no code."""

import math
from functools import partial

import numpy as np
import pytest
from scipy.stats import binom, norm

from lmodp.accounting.neighbours import both_directions, group_epsilon, group_interval, replaced_interval
from lmodp.accounting.shuffling import shuffled_interval
from lmodp.mechanisms import Gaussian

X = np.linspace(-60.0, 60.0, 400_001)


def law(weights, std):
    """Density of a mixture of normal laws, given as weight by mean."""
    return sum(weight * norm.pdf(X, mean, std) for mean, weight in weights.items())


def epsilon_of(p, q, delta):
    """Epsilon at delta of one pair of densities, the larger of both directions, by bisection on the integral."""

    def delta_at(epsilon):
        step = X[1] - X[0]
        return max(np.maximum(a - math.exp(epsilon) * b, 0).sum() * step for a, b in ((p, q), (q, p)))

    low, high = 0.0, 60.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_at(middle) > delta else (low, middle)
    return high


@pytest.mark.parametrize(("std", "rate"), [(1.3, 0.05), (0.7, 0.4), (3.0, 1.0)])
def test_one_step_of_fixed_size_batches_is_what_the_attained_pair_gives(std, rate):
    """All others at -1, one at 1 or at -1: sums differ by 2 where the example is drawn (Balle et al. 2018, tight)."""
    exact = epsilon_of(law({2.0: rate, 0.0: 1 - rate}, std), law({0.0: 1.0}, std), 1e-4)
    found = replaced_interval(Gaussian(std=std), sampling_rate=rate, steps=1, delta=1e-4, fixed_size=True)
    assert found.lower <= exact * (1 + 1e-6) and exact <= found.upper * (1 + 1e-6)
    assert found.lower > 0.98 * exact and found.upper < 1.02 * exact


@pytest.mark.parametrize(("std", "rate"), [(1.3, 0.05), (0.7, 0.4)])
def test_no_replacement_in_poisson_samples_exceeds_the_upper_end_and_the_opposed_one_attains_the_lower(std, rate):
    found = replaced_interval(Gaussian(std=std), sampling_rate=rate, steps=1, delta=1e-4, fixed_size=False)
    exact = {
        (g, other): epsilon_of(law({g: rate, 0.0: 1 - rate}, std), law({other: rate, 0.0: 1 - rate}, std), 1e-4)
        for g, other in ((1.0, -1.0), (1.0, -0.99), (1.0, 0.0), (1.0, 0.7))
    }
    assert max(exact.values()) <= found.upper
    assert 0.98 * exact[1.0, -1.0] < found.lower <= exact[1.0, -1.0] * (1 + 1e-6)


def test_without_sampling_a_replacement_is_a_shift_of_two():
    run = {"sampling_rate": 1.0, "steps": 5, "delta": 1e-6}
    shift = both_directions(Gaussian(std=10.0), **run)
    for fixed_size in (True, False):
        found = replaced_interval(Gaussian(std=20.0), fixed_size=fixed_size, **run)
        assert found.lower == pytest.approx(shift.lower, rel=1e-3) and found.upper == pytest.approx(
            shift.upper, rel=1e-3
        )


def test_two_shuffled_batches_lie_between_what_a_plane_integral_and_one_release_give():
    """One epoch of two batches: the example's sum is +2 and without it +1, in either batch."""
    std, delta = 1.0, 1e-3
    axis = np.linspace(-8.0, 10.0, 1201)
    first, second = np.meshgrid(axis, axis)
    cell = (axis[1] - axis[0]) ** 2

    def plane(shift):
        at, still = ((norm.pdf(x, shift, std), norm.pdf(y, 0, std)) for x, y in ((first, second), (second, first)))
        return (at[0] * at[1] + still[0] * still[1]) / 2

    p, q = plane(2.0), plane(1.0)
    found = shuffled_interval(Gaussian(std=std), sampling_rate=0.5, steps=2, delta=delta)
    below = np.maximum(p - math.exp(found.lower) * q, 0).sum() * cell
    above = np.maximum(p - math.exp(found.upper) * q, 0).sum() * cell
    assert above <= delta <= below


@pytest.mark.parametrize(
    ("with_it", "without"),
    [
        (((2, 0), (0, 2)), (0, 1)),  # three others at -1: the example fills a batch, or the last one is one short
        (((0, 1), (1, 0)), (0, 0)),  # three others at 0
    ],
)
def test_a_removed_example_moves_the_last_batch_too(with_it, without):
    """One epoch of two batches, of four examples and of three; sums with and without the example, less the sum of two
    others. Each order of the four is one of the three, with the last example in the example's place."""
    std, delta = 1.0, 1e-3
    axis = np.linspace(-9.0, 11.0, 1201)
    first, second = np.meshgrid(axis, axis)
    p = sum(norm.pdf(first, a, std) * norm.pdf(second, b, std) for a, b in with_it) / len(with_it)
    q = norm.pdf(first, without[0], std) * norm.pdf(second, without[1], std)
    found = shuffled_interval(Gaussian(std=std), sampling_rate=0.5, steps=2, delta=delta)
    for one, other in ((p, q), (q, p)):
        assert np.maximum(one - math.exp(found.upper) * other, 0).sum() * (axis[1] - axis[0]) ** 2 <= delta


def test_the_upper_end_of_shuffled_batches_is_not_that_of_batches_that_stay():
    """The first case above needs more than a release of the example alone."""
    found = shuffled_interval(Gaussian(std=1.0), sampling_rate=0.5, steps=2, delta=1e-3)
    alone = both_directions(Gaussian(std=1.0), sampling_rate=1.0, steps=1, delta=1e-3)
    assert found.lower < alone.upper < 4.0 < found.upper


def test_shuffling_is_far_from_poisson_where_it_is_known_to_be():
    """Chua et al. (2403.17673): at small noise and one epoch shuffled batches need a much larger epsilon."""
    run = {"sampling_rate": 0.01, "steps": 100, "delta": 1e-5}
    assert shuffled_interval(Gaussian(std=1.1), **run).lower > 5 * both_directions(Gaussian(std=1.1), **run).upper


def test_a_group_is_bounded_by_its_chain():
    run = {"sampling_rate": 1.0, "steps": 1}
    chain = group_epsilon(
        lambda delta: both_directions(Gaussian(std=30.0), delta=delta, **run).upper, size=3, delta=1e-6
    )
    exact = both_directions(Gaussian(std=10.0), delta=1e-6, **run).lower
    assert exact < chain < 1.5 * exact


@pytest.mark.parametrize(("std", "rate", "size"), [(1.3, 0.05, 2), (3.0, 0.4, 5), (0.4, 0.01, 3)])
def test_one_step_of_a_group_is_what_the_binomial_mixture_gives(std, rate, size):
    weights = dict(enumerate(binom.pmf(range(size + 1), size, rate)))
    exact = epsilon_of(law(weights, std), law({0.0: 1.0}, std), 1e-4)
    found = group_interval(Gaussian(std=std), size=size, sampling_rate=rate, steps=1, delta=1e-4)
    assert found.lower <= exact * (1 + 1e-6) and exact <= found.upper * (1 + 1e-6)
    assert found.lower > 0.999 * exact and found.upper < 1.001 * exact


def test_many_steps_of_a_group_of_one_are_those_of_one_example():
    for std, run in ((1.0, {"sampling_rate": 0.02, "steps": 2000}), (30.0, {"sampling_rate": 1.0, "steps": 7})):
        one, group = (
            made(Gaussian(std=std), delta=1e-5, **run) for made in (both_directions, partial(group_interval, size=1))
        )
        assert group.lower <= one.upper and one.lower <= group.upper < 1.001 * one.lower


def test_rounding_of_the_sticks_counts_as_infinite_loss():
    """The bound of a step is 0 at this noise, up to rounding; so is delta of a step that a million of them may take."""
    run = {"sampling_rate": 0.5, "delta": 1e-14, "fixed_size": True}
    assert replaced_interval(Gaussian(std=1e4), steps=2**20, **run).upper == math.inf


@pytest.mark.parametrize(("std", "rate"), [(0.02, 0.5), (1e4, 1e-6), (0.3, 1e-5)])
def test_at_the_far_ends_the_interval_is_wide_and_never_empty(std, rate):
    for fixed_size in (True, False):
        found = replaced_interval(Gaussian(std=std), sampling_rate=rate, steps=3, delta=1e-12, fixed_size=fixed_size)
        assert 0 <= found.lower <= found.upper
    assert shuffled_interval(Gaussian(std=std), sampling_rate=max(rate, 1e-3), steps=2000, delta=1e-12).lower >= 0
