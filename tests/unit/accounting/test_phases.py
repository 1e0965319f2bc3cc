"""Plans whose steps are unlike, correlated or hold two releases, against other accountings."""

import math

import dp_accounting
import pytest
from dp_accounting.rdp import RdpAccountant

from lmodp.accounting import certificate_of, rdp_upper_of, scale_to_plan, verified_plan
from lmodp.mechanisms import Banded, Gaussian, Laplace, Quantile, Releases, Schedule, load_noise
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
