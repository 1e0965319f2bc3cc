"""Calibration lands on the private side under every accountant, and wastes little."""

import math

import pytest

from lmodp.accounting import (
    claimed_run,
    claimed_step,
    paper_bound_run,
    paper_bound_step,
    scale_to_target,
    verified_run,
    verified_upper,
)
from lmodp.errors import InvalidValue, Unsupported
from lmodp.mechanisms import GammaPart, Gaussian, Laplace, LaplaceMixture, load_noise
from tests.unit.accounting.test_domination import coarse

RUN = {"sampling_rate": 0.1, "steps": 50, "delta": 1e-9}
SHAPE = load_noise("lmo-0.3")
FAMILIES = ("gaussian", "laplace", SHAPE)


def answer(accountant, scope, noise):
    run = RUN if scope == "run" else {"sampling_rate": 1.0, "steps": 1, "delta": RUN["delta"]}
    if accountant == "verified":
        return verified_upper(noise, **run)
    if accountant == "paper_bound":
        return (
            paper_bound_run(noise, **run).epsilon
            if scope == "run"
            else paper_bound_step(noise, delta=RUN["delta"]).epsilon
        )
    step = claimed_step(noise, delta=RUN["delta"]).epsilon
    return claimed_run(step, **run) if scope == "run" else step


@pytest.mark.parametrize("family", FAMILIES, ids=["gaussian", "laplace", "mixture"])
@pytest.mark.parametrize(
    ("accountant", "scope"),
    [("claimed", "step"), ("claimed", "run"), ("paper_bound", "step"), ("paper_bound", "run"), ("verified", "run")],
)
def test_the_target_is_reached_from_the_private_side(family, accountant, scope):
    noise = scale_to_target(family, accountant=accountant, scope=scope, epsilon=1.3, **RUN)
    assert answer(accountant, scope, noise) <= 1.3 < answer(accountant, scope, noise.scaled(0.999))


def test_the_scope_is_the_step_under_claimed_and_the_run_otherwise():
    classic = math.sqrt(2 * math.log(1.25 / 1e-9))
    assert scale_to_target("gaussian", accountant="claimed", epsilon=0.5, **RUN).std == pytest.approx(
        classic / 0.5, rel=1e-6
    )
    assert scale_to_target("laplace", accountant="claimed", epsilon=0.5, **RUN).scale == pytest.approx(2.0, rel=1e-6)
    step = scale_to_target("gaussian", accountant="verified", scope="step", epsilon=1.3, **RUN)
    assert verified_upper(step, sampling_rate=1.0, steps=1, delta=1e-9) <= 1.3
    assert step.std != pytest.approx(
        scale_to_target("gaussian", accountant="verified", epsilon=1.3, **RUN).std, rel=0.05
    )


def test_equal_verified_epsilon_costs_every_laplace_mixture_at_least_root_two():
    gaussian, laplace, mixture = (scale_to_target(f, accountant="verified", epsilon=0.8, **RUN) for f in FAMILIES)
    assert laplace.std / gaussian.std == pytest.approx(math.sqrt(2), rel=1e-3)
    assert mixture.std / gaussian.std == pytest.approx(1 / math.sqrt(SHAPE.efficiency), rel=1e-3)
    assert mixture.std > laplace.std


def test_the_shape_is_kept_and_the_sensitivity_scales():
    one = scale_to_target(SHAPE, accountant="verified", epsilon=0.8, **RUN)
    tenth = scale_to_target(SHAPE, accountant="verified", epsilon=0.8, relative_sensitivity=0.1, **RUN)
    assert one.efficiency == pytest.approx(SHAPE.efficiency, rel=1e-9)
    assert tenth.std == pytest.approx(one.std / 10, rel=1e-9)


@pytest.mark.parametrize("dimension", [1, 300])
def test_finite_dimensions_need_less_noise(dimension):
    many = scale_to_target("laplace", accountant="verified", epsilon=2.0, delta=1e-9, sampling_rate=1.0, steps=2)
    some = scale_to_target(
        "laplace", accountant="verified", epsilon=2.0, delta=1e-9, sampling_rate=1.0, steps=2, dimension=dimension
    )
    assert some.std < many.std
    found = verified_upper(some, sampling_rate=1.0, steps=2, delta=1e-9, dimension=dimension)
    assert found <= 2.0 and found == pytest.approx(2.0, rel=2e-3)


def test_a_supremum_inside_is_calibrated_on_the_bound_not_on_sigma_effective():
    shape = LaplaceMixture(gamma=GammaPart(weight=1, shape=0.05, scale=1.0))
    noise = scale_to_target(shape, accountant="verified", epsilon=1.0, **RUN)
    assert verified_upper(noise, **RUN) <= 1.0
    gaussian = scale_to_target("gaussian", accountant="verified", epsilon=1.0, **RUN)
    assert noise.sigma_effective > 1.05 * gaussian.std


@pytest.mark.parametrize(
    ("accountant", "scope", "epsilon"),
    [("claimed", "step", 0.1), ("paper_bound", "step", 0.1), ("verified", "run", 0.001)],
)
def test_targets_below_what_the_orders_resolve_are_unsupported(accountant, scope, epsilon):
    with pytest.raises(Unsupported, match="epsilon = 0"):
        scale_to_target(SHAPE, accountant=accountant, scope=scope, epsilon=epsilon, **RUN)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accountant": "verifed"}, "Did you mean 'verified'?"),
        ({"epsilon": 0}, "epsilon = 0: must be finite and above 0"),
        ({"delta": 1}, "delta = 1: must be in (0, 1)"),
        ({"sampling_rate": 1.5}, "sampling_rate = 1.5: must be in (0, 1]"),
        ({"steps": 0}, "steps = 0: must be at least 1"),
        ({"scope": "epoch"}, "scope = 'epoch': is not known"),
        ({"relative_sensitivity": 0}, "relative_sensitivity = 0: must be finite and above 0"),
    ],
)
def test_faults_are_named(changes, message):
    with pytest.raises(InvalidValue) as error:
        scale_to_target("gaussian", **{"accountant": "verified", "epsilon": 1.0, **RUN, **changes})
    assert message in str(error.value)


def test_families_by_name():
    with pytest.raises(InvalidValue, match="A laplace_mixture needs its parts"):
        scale_to_target("laplace_mixture", accountant="verified", epsilon=1.0, **RUN)
    assert isinstance(scale_to_target("laplace", accountant="claimed", epsilon=1.0, **RUN), Laplace)
    assert isinstance(scale_to_target(Gaussian(std=9), accountant="claimed", epsilon=1.0, **RUN), Gaussian)


@pytest.mark.parametrize("shape", ["gaussian", Laplace(scale=1.0)])
def test_the_full_calibration_meets_its_target_with_less_noise(shape, monkeypatch):
    for place in ("calibration", "verified"):
        monkeypatch.setattr(f"lmodp.accounting.{place}.dominate", coarse)
    monkeypatch.setattr("lmodp.accounting.verified.best_split_lower", lambda noise, **run: 0.0)  # takes seconds
    run = {"sampling_rate": 0.1, "steps": 30, "delta": 1e-8}
    quick, full = (
        scale_to_target(shape, accountant="verified", epsilon=20.0, full=full, **run) for full in (False, True)
    )
    assert 19.9 < verified_run(full, full=True, **run).upper <= 20.0
    assert full.std < 0.99 * quick.std


@pytest.mark.parametrize("shape", ["gaussian", "laplace"])
def test_where_epsilon_is_0_without_noise_there_is_nothing_to_calibrate(shape):
    """A batch holds an example with probability 0.05, and delta is 0.1."""
    with pytest.raises(Unsupported, match="nothing to calibrate"):
        scale_to_target(
            shape, accountant="verified", epsilon=1.0, delta=0.1, sampling_rate=0.05, steps=1, dimension=1, full=True
        )
