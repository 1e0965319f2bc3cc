"""The table that turns exponential draws into draws of |X|."""

import numpy as np
import pytest
from hypothesis import given
from scipy.optimize import brentq

from lmodp.errors import Unsupported
from lmodp.mechanisms import (
    PUBLISHED,
    GammaPart,
    Gaussian,
    Laplace,
    LaplaceMixture,
    TruncatedNormalPart,
    load_noise,
    sampler_table,
)
from lmodp.mechanisms.sampler_table import TARGET_ERROR
from tests.unit.mechanisms.mixtures import CHEAP, mixtures

FLOAT32 = 3.4028235e38


def exact(noise, exponent):
    """|X| by bracketing the survival function in log x: no Newton, no table."""
    return np.exp(brentq(lambda u: float(noise.log_survival(np.exp(u))) + exponent, -80, 680, xtol=1e-14, rtol=1e-14))


@pytest.mark.parametrize(
    "name", ["lmo-0.3", "lmo-3", "lmo-5", "usefulness-0.3", "figure6-0.2", "plrv_o-sst2-0.2", "lmo-0.3-as_drawn"]
)
def test_inversion_is_good_to_a_fraction_of_a_float32_unit_in_the_last_place(name):
    noise, rng = load_noise(name), np.random.default_rng(20240529)
    table = sampler_table(noise)
    draws = np.concatenate([rng.exponential(size=25), 10.0 ** rng.uniform(-30, 0, 10), rng.uniform(0, 40, 15)])
    found = table.invert(draws)
    expected = np.array([exact(noise, e) for e in draws])
    assert np.max(np.abs(found / expected - 1)) < 2 * TARGET_ERROR < 2.0**-24


@CHEAP
@given(mixtures)
def test_random_mixtures_reach_the_stated_error_or_are_refused(noise):
    try:
        table = sampler_table(noise)
    except Unsupported:
        assert noise.tail_exponent < 1
        return
    draws = np.linspace(0.003, 36, 997)
    assert np.max(np.abs(table.invert(draws) / noise.inverse_log_survival(draws) - 1)) < 2 * TARGET_ERROR


@pytest.mark.parametrize(
    "noise",
    [
        Laplace(scale=0.7),
        Gaussian(std=1.3),
        load_noise("lmo-2"),
        LaplaceMixture(truncated_normal=TruncatedNormalPart(weight=1, mean=1, std=0.3, low=0.2, high=2)),
    ],
)
def test_behaviour_at_zero_and_at_the_end(noise):
    table = sampler_table(noise)
    assert table.invert(0.0) == 0
    tiny = 1e-200
    assert table.invert(tiny) == pytest.approx(tiny / (2 * float(noise.density(0.0))), rel=1e-7)
    assert table.limit == 40
    assert np.isfinite(table.invert(40.0)) and np.isinf(table.invert(40.1))


def test_the_index_is_exact_in_float32():
    """inverse_step is a power of two, so float32 and float64 agree on the piece."""
    table = sampler_table(load_noise("usefulness-0.3"))
    assert np.log2(table.inverse_step) % 1 == 0
    e = np.random.default_rng(5).exponential(size=10_000).astype(np.float32)
    c, position = table.coefficients.astype(np.float32), e * np.float32(table.inverse_step)
    index = position.astype(np.int64)
    d = position - index.astype(np.float32)
    x = e * (c[index, 0] + d * (c[index, 1] + d * (c[index, 2] + d * c[index, 3])))
    assert np.max(np.abs(x / table.invert(e) - 1)) < 4 * 2.0**-23


def test_every_published_setting_fits_float32():
    for setting in PUBLISHED.values():
        table = sampler_table(setting.noise).restricted(FLOAT32)
        assert np.all(np.isfinite(table.coefficients.astype(np.float32))), setting.name
        assert table.limit >= 36.74, setting.name  # -log(2**-53), the smallest float64 uniform


def test_heavy_tails_are_refused_with_the_probability():
    noise = LaplaceMixture(gamma=GammaPart(weight=1, shape=0.1, scale=1))
    with pytest.raises(Unsupported, match=r"exceeds 3.4e\+38 with probability 0.00021"):
        sampler_table(noise).restricted(FLOAT32)
    with pytest.raises(Unsupported, match="tail is too heavy"):
        sampler_table(LaplaceMixture(gamma=GammaPart(weight=1, shape=0.003, scale=1)))
