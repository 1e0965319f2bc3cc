"""Which numbers a noise takes: Python's and numpy's alike, within the range of which squares are doubles."""

import json
import math

import mpmath as mp
import numpy as np
import pytest

from lmodp.errors import InvalidValue
from lmodp.mechanisms import (
    ExponentialPart,
    GammaPart,
    Gaussian,
    Laplace,
    LaplaceMixture,
    TruncatedNormalPart,
    UniformPart,
    noise_from_dict,
)

LAWS = {
    "std": lambda value: Gaussian(std=value),
    "scale": lambda value: Laplace(scale=value),
    "weight": lambda value: LaplaceMixture(exponential=ExponentialPart(weight=value, rate=1)),
    "rate": lambda value: LaplaceMixture(exponential=ExponentialPart(weight=1, rate=value)),
    "shape": lambda value: LaplaceMixture(gamma=GammaPart(weight=1, shape=value, scale=1)),
    "high": lambda value: LaplaceMixture(uniform=UniformPart(weight=1, low=0, high=value)),
    "mean": lambda value: LaplaceMixture(truncated_normal=TruncatedNormalPart(weight=1, mean=value, std=1)),
    "factor": lambda value: Gaussian(std=1).scaled(value),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, np.int64, np.uint8, int])
def test_numbers_of_numpy_are_numbers(name, kind):
    law = LAWS[name](kind(5))
    assert law == LAWS[name](5.0)
    assert json.loads(json.dumps(law.to_dict())) == law.to_dict()
    assert noise_from_dict(law.to_dict()) == law


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, np.float32("nan"), np.inf, 10**400, True, np.True_, "5", None, np.array([5.0]), 1j]
)
def test_what_is_no_finite_number_is_refused(name, value):
    with pytest.raises(InvalidValue, match=f"{name} = .*must be (a number|finite)"):
        LAWS[name](value)


@pytest.mark.parametrize("name", ["std", "scale", "weight", "rate", "shape", "high"])
@pytest.mark.parametrize("value", [5e-324, 1e-300, 1e300, 1.7e308])
def test_what_leaves_the_range_of_doubles_when_squared_is_refused(name, value):
    with pytest.raises(InvalidValue, match=f"{name} = .*must be between"):
        LAWS[name](value)


@pytest.mark.parametrize("weight", [1e-89, 1.0, 1e89])
@pytest.mark.parametrize("value", [1e-29, 1e29])
def test_within_the_range_the_score_and_the_information_are_doubles(weight, value):
    for part in (
        {"gamma": GammaPart(weight=weight, shape=value, scale=value)},
        {"gamma": GammaPart(weight=weight, shape=value, scale=1 / value)},
        {"exponential": ExponentialPart(weight=weight, rate=value)},
        {"uniform": UniformPart(weight=weight, low=0, high=value)},
        {"truncated_normal": TruncatedNormalPart(weight=weight, mean=1, std=value)},
        {"truncated_normal": TruncatedNormalPart(weight=weight, mean=-value, std=1)},
        {"truncated_normal": TruncatedNormalPart(weight=weight, mean=value, std=1)},
    ):
        noise = LaplaceMixture(**part)
        assert 0 < noise.score_maximum < math.inf, part
        assert 0 < noise.fisher_information < math.inf, part


@pytest.mark.parametrize(
    ("mean", "std", "low", "high"),
    [(1, 1e-12, 0, math.inf), (1, 1e-30, 0, math.inf), (1e5, 1, 0, math.inf), (41, 1, 0, 95), (1, 0.02, 0, 1.9)],
)
def test_the_log_moments_of_a_narrow_normal_keep_their_digits(mean, std, low, high):
    part = TruncatedNormalPart(weight=1, mean=mean, std=std, low=low, high=high)
    with mp.workdps(60):
        m, s, a = mp.mpf(mean), mp.mpf(std), mp.mpf(low)

        def log_mass(centre):
            upper = 0 if math.isinf(high) else mp.erfc((mp.mpf(high) - centre) / s / mp.sqrt(2))
            return mp.log(mp.erfc((a - centre) / s / mp.sqrt(2)) - upper)

        for t in (-1e-6, -0.01, -1.0, -4.5, -30.0):
            exact = m * t + s**2 * mp.mpf(t) ** 2 / 2 + log_mass(m + s**2 * t) - log_mass(m)
            assert float(part.log_mgf(np.array(t))[0]) == pytest.approx(float(exact), rel=1e-13)
