"""The four parts of a rate: their MGFs against quadrature of their densities, and their validation."""

import math
from dataclasses import FrozenInstanceError
from functools import partial

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given

from lmodp.errors import InvalidValue
from lmodp.mechanisms import ExponentialPart, GammaPart, TruncatedNormalPart, UniformPart
from tests.unit.mechanisms.mixtures import CHEAP, between, parts


def density(part):
    """The unweighted density and its support, written from the definition."""
    if isinstance(part, GammaPart):
        norm = mp.gamma(part.shape) * mp.mpf(part.scale) ** part.shape
        return (lambda u: u ** (mp.mpf(part.shape) - 1) * mp.exp(-u / part.scale) / norm), 0, mp.inf
    if isinstance(part, ExponentialPart):
        return (lambda u: part.rate * mp.exp(-part.rate * u)), 0, mp.inf
    if isinstance(part, UniformPart):
        return (lambda u: 1 / (mp.mpf(part.high) - part.low)), part.low, part.high

    def unnormalised(u):
        return mp.exp(-(((u - part.mean) / part.std) ** 2) / 2)

    norm = mp.quad(unnormalised, mp.linspace(part.low, part.high, 9))
    return (lambda u: unnormalised(u) / norm), part.low, part.high


def moments(part, t):
    """E[e^(tU)], E[U e^(tU)], E[U^2 e^(tU)] of U = weight * part, by quadrature."""
    law, low, high = density(part)
    w = mp.mpf(part.weight)
    if mp.isinf(high):  # in log u: the density may be singular at 0
        scale = mp.mpf(1) / (1 / mp.mpf(getattr(part, "scale", 0) or 1 / part.rate) - w * t)

        def of_logarithm(s, n):
            return (w * mp.exp(s)) ** n * mp.exp(w * t * mp.exp(s)) * law(mp.exp(s)) * mp.exp(s)

        centre = mp.log(scale)
        nodes = [centre + x for x in (-200, -60, -20, -8, -3, 0, 1, 2, 3, 4, 5.5)]
        return [mp.quad(partial(of_logarithm, n=n), nodes) for n in range(3)]

    def of(u, n):
        return (w * u) ** n * mp.exp(w * t * (u - low)) * law(u)

    return [mp.quad(partial(of, n=n), mp.linspace(low, high, 9)) * mp.exp(w * t * low) for n in range(3)]


@CHEAP
@given(parts, between(-3, 0.9))
def test_log_mgf_and_derivatives_against_quadrature(part, place):
    """``place`` below 0 is a multiple of the mean rate, above 0 a share of the domain (or of 3)."""
    scale = float(part.log_mgf(np.array(0.0))[1])
    t = place / scale if place < 0 else place * min(part.domain, 3 / scale)
    value, first, second = (float(x) for x in part.log_mgf(np.array(t)))
    with mp.workdps(25):
        m0, m1, m2 = moments(part, mp.mpf(t))
        assert value == pytest.approx(float(mp.log(m0)), rel=1e-8, abs=1e-9)
        assert first == pytest.approx(float(m1 / m0), rel=1e-8)
        assert second == pytest.approx(float(m2 / m0 - (m1 / m0) ** 2), rel=1e-6, abs=1e-12)


@CHEAP
@given(parts)
def test_relative_accuracy_near_zero(part):
    """K(-x) ~ -x E[U] must keep its digits as x -> 0: the sampler's core depends on it."""
    mean = float(part.log_mgf(np.array(0.0))[1])
    x = np.array([1e-14, 1e-9, 1e-6]) / mean
    assert part.log_mgf(-x)[0] == pytest.approx(-x * mean, rel=1e-5)


@pytest.mark.parametrize(
    "part",
    [
        GammaPart(weight=1.3, shape=0.01, scale=2.0),
        ExponentialPart(weight=0.7, rate=3.0),
        UniformPart(weight=2.0, low=0.0, high=1.5),
        TruncatedNormalPart(weight=0.4, mean=1.0, std=0.5),
    ],
)
def test_finite_and_monotone_up_to_huge_arguments(part):
    x = np.geomspace(1e-20, 1e299, 400)
    value, first, second = part.log_mgf(-x)
    assert np.all(np.isfinite(value)) and np.all(np.diff(value) < 0)
    rounding = 4 * np.finfo(float).eps * first[:-1]  # where the mean is flat, processors differ in its last digit
    assert np.all(first > 0) and np.all(np.diff(first) <= rounding) and first[-1] < 1e-290
    assert np.all(second >= 0)


@pytest.mark.parametrize(
    ("part", "bound", "domain"),
    [
        (GammaPart(weight=0.1, shape=1, scale=0.5), 2.0, 20.0),
        (ExponentialPart(weight=0.1, rate=5), 5.0, 50.0),
        (UniformPart(weight=0.1, low=1, high=2), math.inf, math.inf),
        (TruncatedNormalPart(weight=2.0, mean=1, std=1), math.inf, math.inf),
        (GammaPart(weight=0.0, shape=1, scale=0.5), 2.0, math.inf),
    ],
)
def test_domains(part, bound, domain):
    assert part.bound == pytest.approx(bound)
    assert part.domain == pytest.approx(domain)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GammaPart(weight=-0.1, shape=1, scale=1), "rate.gamma.weight = -0.1: must be finite and at least 0"),
        (lambda: GammaPart(weight=1, shape=0, scale=1), "rate.gamma.shape = 0.0: must be finite and above 0"),
        (lambda: GammaPart(weight=1, shape=1, scale=math.inf), "rate.gamma.scale = inf: must be finite"),
        (lambda: ExponentialPart(weight=1, rate=-2), "rate.exponential.rate = -2.0: must be finite and above 0"),
        (lambda: UniformPart(weight=1, low=2, high=2), "rate.uniform.high = 2.0: must be above low = 2.0"),
        (lambda: UniformPart(weight=1, low=-1, high=2), "rate.uniform.low = -1.0: must be finite and at least 0"),
        (lambda: UniformPart(weight=1, low=1, high=math.inf), "rate.uniform.high = inf: must be finite"),
        (
            lambda: TruncatedNormalPart(weight=1, mean=math.nan, std=1),
            "rate.truncated_normal.mean = nan: must be finite",
        ),
        (
            lambda: TruncatedNormalPart(weight=1, mean=1, std=0),
            "rate.truncated_normal.std = 0.0: must be finite and above 0",
        ),
        (lambda: ExponentialPart(weight="1", rate=1), "rate.exponential.weight = '1': must be a number"),
        (lambda: ExponentialPart(weight=True, rate=1), "rate.exponential.weight = True: must be a number"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InvalidValue) as error:
        make()
    assert message in str(error.value)


def test_parts_are_immutable():
    with pytest.raises(FrozenInstanceError):
        GammaPart(weight=1, shape=1, scale=1).shape = 2.0
