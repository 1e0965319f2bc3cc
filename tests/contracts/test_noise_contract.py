"""What every noise law and every accountant of one keeps, whatever the family."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from lmodp.accounting import claimed_step, paper_bound_run, paper_bound_step, pure_scalar, scale_to_target, verified_run
from lmodp.mechanisms import (
    PUBLISHED,
    GammaPart,
    Gaussian,
    Laplace,
    LaplaceMixture,
    TruncatedNormalPart,
    UniformPart,
    load_noise,
    noise_from_dict,
    sampler_table,
)

LAWS = {
    "gaussian": Gaussian(std=3.1),
    "laplace": Laplace(scale=2.2),
    "lmo-0.3": load_noise("lmo-0.3"),
    "lmo-3 as drawn": load_noise("lmo-3-as_drawn"),
    "plrv_o": load_noise("plrv_o-sst2-0.2"),
    "power tail": LaplaceMixture(
        gamma=GammaPart(weight=0.3, shape=1.2, scale=0.7), uniform=UniformPart(weight=0.2, low=0, high=1)
    ),
    "truncated normal": LaplaceMixture(
        truncated_normal=TruncatedNormalPart(weight=0.4, mean=0.9, std=0.3, low=0.1, high=2)
    ),
}
RUN = {"sampling_rate": 0.05, "steps": 20, "delta": 1e-8}
laws = pytest.mark.parametrize("noise", LAWS.values(), ids=LAWS)


@laws
def test_laws_are_symmetric_unimodal_and_normalised(noise):
    x = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 300)]) * noise.sigma_effective
    assert np.array_equal(noise.density(x), noise.density(-x))
    assert np.all(np.diff(noise.log_density(x)) < 1e-15)
    assert noise.log_survival(0.0) == 0 and np.all(np.diff(noise.log_survival(x)) < 0)
    assert np.all(noise.score(x) >= 0) and np.array_equal(noise.score(-x)[1:], -noise.score(x)[1:])


@laws
def test_numbers_and_arrays_give_float64_of_their_own_shape(noise):
    grid = np.linspace(-2, 2, 6).reshape(2, 3)
    for method in (noise.density, noise.log_density, noise.survival, noise.log_survival, noise.score):
        assert np.shape(method(0.7)) == () and method(grid).shape == (2, 3)
        assert np.asarray(method(grid)).dtype == np.float64


@laws
def test_laws_are_hashable_immutable_and_round_trip(noise):
    assert noise_from_dict(json.loads(json.dumps(noise.to_dict(), allow_nan=False))) == noise
    assert len({noise, noise_from_dict(noise.to_dict())}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        noise.family_name = "other"


@laws
def test_facts_are_python_floats(noise):
    for name in (
        "std",
        "variance",
        "mean_abs",
        "entropy",
        "fisher_information",
        "efficiency",
        "sigma_effective",
        "score_maximum",
    ):
        assert isinstance(getattr(noise, name), float) and not math.isnan(getattr(noise, name)), name
    assert 0 < noise.efficiency <= 1 or math.isinf(noise.variance)


@laws
def test_the_sampler_table_inverts_the_law(noise):
    table, e = sampler_table(noise), np.linspace(1e-3, 36, 501)
    assert -noise.log_survival(table.invert(e)) == pytest.approx(e, rel=1e-6)


@laws
def test_every_accountant_answers_or_says_why_not(noise):
    step, paper_bound, pure = claimed_step(noise, delta=1e-8), paper_bound_step(noise, delta=1e-8), pure_scalar(noise)
    for answer in (step, paper_bound, pure):
        assert math.isfinite(answer.epsilon) != bool(answer.reason)
    run = paper_bound_run(noise, **RUN)
    assert (run.status == "ok") == math.isfinite(run.epsilon)
    found = verified_run(noise, **RUN)
    assert 0 <= found.lower <= found.upper < math.inf and found.status == "ok"


@laws
def test_every_shape_is_calibrated_to_a_verified_target(noise):
    found = scale_to_target(noise, accountant="verified", epsilon=1.0, **RUN)
    assert found.family == noise.family
    assert verified_run(found, **RUN).upper <= 1.0


def test_published_settings_keep_the_contract_of_efficiency():
    for setting in PUBLISHED.values():
        assert 0 < setting.noise.efficiency <= 0.5, setting.name


EVERY_MODULE = """
import sys
from importlib import import_module
from pkgutil import walk_packages

import lmodp.plan, lmodp.mechanisms, lmodp.accounting, lmodp.auditing, lmodp.search

for room in (lmodp.mechanisms, lmodp.accounting, lmodp.auditing, lmodp.search):
    for module in walk_packages(room.__path__, f"{room.__name__}."):
        import_module(module.name)
print(*sys.modules)
"""


def test_what_is_computed_about_privacy_imports_no_torch():
    told = subprocess.run([sys.executable, "-c", EVERY_MODULE], capture_output=True, text=True, check=True).stdout
    assert "lmodp.auditing.one_run" in told.split() and "torch" not in told.split()
