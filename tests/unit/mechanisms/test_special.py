"""Functions of one variable against mpmath, over the whole range of doubles that is used."""

import mpmath as mp
import numpy as np
import pytest

from lmodp.mechanisms import special

ARGUMENTS = [0.0, 1e-300, 1e-12, 1e-3, 0.37, 0.999, 1.001, 4.2, 35.0, 800.0, 1e12, 1e299]


def exact(y, function):
    with mp.workdps(60):
        return float(function(mp.mpf(y) if y else mp.mpf(10) ** -300))


@pytest.mark.parametrize("y", ARGUMENTS)
def test_log_uniform_mgf(y):
    found = special.log_uniform_mgf(np.array([y]))[0]
    assert found == pytest.approx(exact(y, lambda t: mp.log(-mp.expm1(-t) / t)), rel=2e-15, abs=1e-300)


@pytest.mark.parametrize("y", ARGUMENTS)
def test_uniform_tilted_mean(y):
    found = special.uniform_tilted_mean(np.array([y]))[0]
    with mp.workdps(700):
        expected = float(1 / mp.mpf(y) - 1 / mp.expm1(mp.mpf(y))) if y else 0.5
    assert found == pytest.approx(expected, rel=4e-15)


@pytest.mark.parametrize("y", ARGUMENTS)
def test_uniform_tilted_variance(y):
    found = special.uniform_tilted_variance(np.array([y]))[0]
    with mp.workdps(1300):
        t = mp.mpf(y)
        expected = float(1 / t**2 - mp.exp(-t) / mp.expm1(-t) ** 2) if y else 1 / 12
    assert found == pytest.approx(expected, rel=1e-13, abs=1e-300)


@pytest.mark.parametrize("width", [1e-6, 0.5, 7.0, np.inf])
@pytest.mark.parametrize("a", [-200.0, -8.0, -0.3, 0.0, 0.9, 30.0, 1e6])
def test_half_normal_moments(a, width):
    log_mass, mean, variance = (value[0] for value in special.half_normal_moments(np.array([a]), width))
    with mp.workdps(60):
        # Scaled to the peak so that the quadrature in arbitrary precision has panels where the mass is.
        top = mp.inf if np.isinf(width) else mp.mpf(width)
        peak = min(max(-mp.mpf(a), 0), top)
        unit = 1 / max(abs(mp.mpf(a) + peak), 1)
        low, high = max(peak - 40 * unit, 0), min(peak + 60 * unit, top)
        base = -a * peak - peak**2 / 2
        nodes = mp.linspace(low, high, 9)
        moment = [mp.quad(lambda y, n=n: y**n * mp.exp(-a * y - y * y / 2 - base), nodes) for n in range(3)]
        average = moment[1] / moment[0]
        assert log_mass == pytest.approx(float(mp.log(moment[0]) + base), rel=1e-13, abs=1e-13)
        assert mean == pytest.approx(float(average), rel=1e-12)
        assert variance == pytest.approx(float(moment[2] / moment[0] - average**2), rel=1e-9)
