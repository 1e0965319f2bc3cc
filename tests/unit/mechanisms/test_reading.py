"""Noise from JSON: what is written is read, and every fault is named."""

import json

import pytest
from hypothesis import given

from lmodp.errors import InvalidValue
from lmodp.mechanisms import Gaussian, Laplace, LaplaceMixture, TruncatedNormalPart, noise_from_dict
from tests.unit.mechanisms.mixtures import CHEAP, mixtures

RATE = {
    "gamma": {"weight": 0.1, "shape": 1, "scale": 0.5},
    "exponential": {"weight": 0.1, "rate": 5},
    "uniform": {"weight": 0.1, "low": 1, "high": 2},
}


@CHEAP
@given(mixtures)
def test_mixtures_survive_the_trip_through_json(noise):
    assert noise_from_dict(json.loads(json.dumps(noise.to_dict(), allow_nan=False))) == noise


@pytest.mark.parametrize(
    "noise",
    [
        Gaussian(std=22.73),
        Laplace(scale=0.1),
        LaplaceMixture(truncated_normal=TruncatedNormalPart(weight=0.3, mean=1, std=0.2)),
        LaplaceMixture(truncated_normal=TruncatedNormalPart(weight=0.3, mean=1, std=0.2, low=0.5, high=3)),
    ],
)
def test_other_laws_survive_the_trip_through_json(noise):
    assert noise_from_dict(json.loads(json.dumps(noise.to_dict(), allow_nan=False))) == noise


def test_the_documented_form_is_read():
    noise = noise_from_dict({"family": "laplace_mixture", "rate": RATE})
    assert (noise.gamma.scale, noise.exponential.rate, noise.uniform.high) == (0.5, 5.0, 2.0)
    assert list(noise.to_dict()["rate"]) == ["gamma", "exponential", "uniform"]


def with_part(key, **changes):
    return {"family": "laplace_mixture", "rate": {**RATE, key: {**RATE[key], **changes}}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"family": "laplace_mixtures", "rate": RATE},
            "family = 'laplace_mixtures': is not a noise family. Did you mean 'laplace_mixture'?",
        ),
        ({"std": 1.0}, "family = None: is not a noise family"),
        ({"family": "gaussian"}, "noise = {'family': 'gaussian'}: lacks std. Add 'std'."),
        ({"family": "gaussian", "sigma": 1}, "noise.sigma = 1: is not a known key"),
        ({"family": "gaussian", "std": 0}, "std = 0: must be finite and above 0"),
        ({"family": "laplace", "scale": float("inf")}, "scale = inf: must be finite and above 0"),
        (
            {"family": "laplace_mixture", "rate": {"gama": {}}},
            "rate.gama = {}: is not a known key. Did you mean 'gamma'?",
        ),
        ({"family": "laplace_mixture", "rate": {}}, "rate = {}: needs at least one part of weight above 0"),
        ({"family": "laplace_mixture", "rate": [1]}, "rate = [1]: must be a table of keys and values"),
        ({"family": "laplace_mixture"}, "lacks rate"),
        (with_part("gamma", shap=2), "rate.gamma.shap = 2: is not a known key. Did you mean 'shape'?"),
        (with_part("uniform", low=3), "rate.uniform.high = 2.0: must be above low = 3.0"),
        (
            {"family": "laplace_mixture", "rate": {"exponential": {"weight": 1}}},
            "rate.exponential = {'weight': 1}: lacks rate",
        ),
        (
            {"family": "laplace_mixture", "rate": {"exponential": {"weight": 0, "rate": 1}}},
            "needs at least one part of weight above 0",
        ),
        ([], "noise = []: must be a table of keys and values"),
    ],
)
def test_faults_name_the_key_the_value_the_rule_and_the_remedy(values, message):
    with pytest.raises(InvalidValue) as error:
        noise_from_dict(values)
    assert message in str(error.value)
