"""Plans whose steps are unlike, correlated or hold two releases, against other accountings."""

import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting.rdp import RdpAccountant

from lmodp.accounting import certificate_of, rdp_upper_of, scale_to_plan, verified_plan
from lmodp.errors import InvalidValue
from lmodp.mechanisms import Banded, Differences, Gaussian, Laplace, Moments, Quantile, Releases, Schedule, load_noise
from lmodp.methods.contract import Target
from lmodp.methods.discovery import get_method
from lmodp.plan import Plan

DELTA, ORDERS = 1e-6, list(range(2, 129))
RISING = Releases(schedule=Schedule(noise=((0, 1.0), (20, 1.5)), batch=((0, 1.0), (10, 2.0))))


def plan(noise, releases, **changes):
    fields = {"sampling_rate": 0.02, "steps": 60, "delta": DELTA, **changes}
    return Plan(noise=noise, releases=releases, **fields)


def library_epsilon(phases, std, delta=DELTA):
    """The maintained library's bound at integer orders."""
    accountant = RdpAccountant(ORDERS)
    for noise, rate, steps in phases:
        event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise * std))
        accountant.compose(event, steps)
    return accountant.get_epsilon(delta)


def test_unlike_steps_are_composed_as_the_library_composes_them():
    asked = plan(Gaussian(std=1.1), RISING)
    found = verified_plan(asked)
    assert found.upper == pytest.approx(library_epsilon(asked.phases, 1.1), rel=0.02)
    assert 0 < found.lower < found.upper


@pytest.mark.parametrize("noise", [Laplace(scale=1.4), load_noise("lmo-0.3").scaled(0.3)], ids=["laplace", "lmo"])
def test_unlike_steps_lie_between_equal_ones(noise):
    found = rdp_upper_of(plan(noise, RISING))
    least, most = (
        rdp_upper_of(plan(noise.scaled(factor), Releases(), sampling_rate=rate))
        for factor, rate in ((1.5, 0.02), (1.0, 0.04))
    )
    assert least < found < most


def test_a_schedule_that_changes_nothing_costs_nothing():
    same = Releases(schedule=Schedule(noise=((0, 1.0), (30, 1.0)), clip_norm=((0, 1.0), (30, 7.0))))
    noise = Gaussian(std=1.1)
    assert rdp_upper_of(plan(noise, same)) == rdp_upper_of(plan(noise, Releases()))
    doubled = Releases(schedule=Schedule(noise=((0, 2.0),)))
    assert rdp_upper_of(plan(noise, doubled)) == rdp_upper_of(plan(noise.scaled(2), Releases()))


@pytest.mark.parametrize("releases", [RISING, Releases(correlation=Banded.square_root(4)), Releases(clip=Quantile())])
def test_a_target_is_reached_from_the_private_side(releases):
    noise = scale_to_plan("gaussian", plan(None, releases), epsilon=2.0, delta=DELTA)
    assert 1.999 < rdp_upper_of(plan(noise, releases)) <= 2.0


def test_a_certificate_of_unlike_steps_says_what_it_does_not_know():
    found = certificate_of(plan(Laplace(scale=1.4), RISING))
    assert found["plan"]["noise_schedule"] == "scheduled" and found["plan"]["releases"] == RISING.to_dict()
    assert found["claimed"]["epsilon_run"] is None and "alike" in found["claimed"]["reason"]
    assert 0 < found["at_1e-5"]["verified"]["upper"] < found["verified"]["upper"]


def test_sum_and_count_of_adaptive_clipping_cost_what_its_theorem_says():
    """Andrew et al., theorem 1: z of both is (z_gradient^-2 + (2 sigma_count)^-2)^-1/2."""
    part, joint = Quantile(share=0.3), 0.8
    gradient = joint * math.hypot(1, part.share)
    count = gradient / part.share / 2  # the noise of sum (b - 1/2), which is half the signed count
    assert (gradient**-2 + (2 * count) ** -2) ** -0.5 == pytest.approx(joint)
    plain, two = (plan(Gaussian(std=joint), releases) for releases in (Releases(), Releases(clip=part)))
    assert rdp_upper_of(two) == rdp_upper_of(plain)


SST2, E2E, MNLI = (67_349, 2_048, 192), (42_061, 1_024, 410), (392_702, 6_144, 1_150)


@pytest.mark.parametrize(
    ("run", "epsilon", "bands", "known"),
    [
        (SST2, 3, 4, 0.90),
        (SST2, 8, 32, 0.65),
        (E2E, 3, 4, 0.93),
        (E2E, 8, 32, 0.71),
        (MNLI, 3, 3, 0.94),
        (MNLI, 8, 24, 0.72),
    ],
)
def test_bands_take_off_the_noise_of_prefix_sums_what_is_known(run, epsilon, bands, known):
    """At equal verified epsilon, delta 1e-5; known from integer-order RDP with the best number of bands."""
    (size, batch, steps), errors = run, []
    for correlation in (Banded.square_root(bands), Banded.square_root(1)):
        releases = Releases(correlation=correlation) if correlation.bands > 1 else Releases()
        asked = Plan(noise=None, sampling_rate=batch / size, steps=steps, releases=releases)
        noise = scale_to_plan("gaussian", asked, epsilon=epsilon, delta=1e-5)
        errors.append(noise.std * correlation.prefix_error(steps))
    assert errors[0] / errors[1] == pytest.approx(known, rel=0.02)
    assert library_epsilon(asked.phases, noise.std, 1e-5) == pytest.approx(epsilon, rel=0.01)


@pytest.mark.parametrize(("epsilon", "bands"), [(1, 1), (3, 4)])
def test_the_method_takes_the_best_bands(epsilon, bands):
    size, batch, steps = SST2
    run = {"sampling_rate": batch / size, "steps": steps, "delta": 1e-5}
    answer = get_method("banded").mechanism(Target(calibration="verified", epsilon=epsilon, **run))
    assert answer.details["bands"] == answer.releases.correlation.bands == bands


def of_two_steps_and_a_secret_group(std, coefficients, delta):
    """Epsilon of two steps, two bands and rate 1/2, by integration: the group that begins takes part in both rows, the
    other one in the last row alone."""
    first, last = coefficients
    axis = np.linspace(-8 * std, 8 * std + 1, 700)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    cell = (axis[1] - axis[0]) ** 2 / (2 * math.pi * std**2)
    without, begins, ends = (
        cell * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * std**2)) for a, b in ((0, 0), (first, last), (0, first))
    )
    with_it = (begins + ends) / 2

    def lost(epsilon):
        both = ((with_it, without), (without, with_it))
        return max(float(np.maximum(p - math.exp(epsilon) * q, 0).sum()) for p, q in both)

    low, high = 0.0, 10.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if lost(middle) > delta else (low, middle)
    return low


@pytest.mark.parametrize(("std", "delta"), [(1.0, 1e-5), (0.5, 1e-3), (3.0, 1e-5)])
def test_both_ends_hold_where_the_group_of_an_example_is_secret(std, delta):
    correlation = Banded.square_root(2)
    releases = Releases(correlation=correlation)
    found = verified_plan(plan(Gaussian(std=std), releases, sampling_rate=0.5, steps=2, delta=delta))
    exact = of_two_steps_and_a_secret_group(std, correlation.coefficients, delta)
    known, at_twice = (
        verified_plan(plan(Gaussian(std=std), Releases(), sampling_rate=1.0, steps=1, delta=each))
        for each in (delta, 2 * delta)
    )
    assert found.lower <= exact * (1 + 1e-3) and exact <= found.upper * (1 + 1e-3)
    assert found.upper == known.upper and exact < 0.99 * known.lower  # the secret counts
    assert found.lower == pytest.approx(max(at_twice.lower - math.log(2), 0), rel=1e-9)
    assert "secret" in found.left_out


def test_too_few_steps_for_a_whole_participation_show_nothing():
    found = verified_plan(plan(Gaussian(std=0.3), Releases(correlation=Banded.square_root(4)), steps=3))
    assert found.lower == 0 < found.upper and "secret" in found.reason


def test_a_count_beside_a_number_fixes_the_direction_of_its_shift():
    """One number and a count: the shift is (1, 0.1) / sqrt(1.01) at the most, so Laplace noise loses 1.1 / sqrt(1.01) a
    step; spread evenly over both coordinates, the shift would lose sqrt(2)."""
    releases = Releases(step=Differences(directions=1), clip=Quantile(share=0.1))
    found = verified_plan(plan(Laplace(scale=1.0), releases, sampling_rate=1.0, steps=2, delta=1e-10))
    assert 0.98 * 2 < found.lower <= 2 * 1.1 / math.sqrt(1.01)
    assert "count" in found.left_out and found.reason == ""


@pytest.mark.parametrize(
    "releases",
    [
        Releases(step=Moments()),
        Releases(correlation=Banded.square_root(4)),
        Releases(step=Moments(), clip=Quantile()),
    ],
)
def test_no_loss_is_shown_where_no_attained_direction_is_known(releases):
    found = verified_plan(plan(Laplace(scale=0.5), releases))
    assert found.lower == 0 < found.upper < math.inf
    assert "ties the coordinates" in found.reason and found.status == "ok"


@pytest.mark.parametrize(
    ("releases", "dimension"),
    [
        (Releases(correlation=Banded.square_root(3)), 1),
        (Releases(step=Differences(directions=5)), 1),
        (Releases(clip=Quantile(share=1.0)), 1),
    ],
)
def test_a_dimension_that_is_not_that_of_the_releases_is_refused(releases, dimension):
    """With fewer numbers than the releases have, the upper end would be too low."""
    with pytest.raises(InvalidValue, match="dimension = 1: is not what the plan releases"):
        certificate_of(plan(Laplace(scale=1.0), releases), dimension=dimension)
    found = verified_plan(plan(Laplace(scale=1.0), Releases(step=Differences(directions=5))), dimension=5)
    assert found.upper > 0


@pytest.mark.parametrize("releases", [Releases(step=Moments()), Releases(clip=Quantile())])
def test_gaussian_noise_is_alike_in_all_directions(releases):
    found, plain = (verified_plan(plan(Gaussian(std=0.9), each)) for each in (releases, Releases()))
    assert (found.lower, found.upper) == (plain.lower, plain.upper)
