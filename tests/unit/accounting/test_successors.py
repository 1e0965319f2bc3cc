"""The claimed routes of PLRV-O and Lap2, against sums written out."""

import math

import numpy as np
import pytest

from lmodp.accounting.claimed.lap2 import harmonic, lap2_epsilon, lap2_scale
from lmodp.accounting.claimed.plrv_o import plrv_o_epsilon, shares
from lmodp.errors import InvalidValue
from lmodp.mechanisms import GammaPart, LaplaceMixture, load_noise

NOISE = LaplaceMixture(gamma=GammaPart(weight=1, shape=12.0, scale=0.1))


def written_out(coordinates, q, steps, delta, clip):
    """PLRV-O's formula in plain Python."""
    best = (math.inf, None)
    for lam in range(1, 81):
        alpha, n, valid = 0.0, lam + 1, True
        for i in range(1, coordinates + 1):
            g = clip * (math.sqrt(i) - math.sqrt(i - 1))
            valid = valid and lam * 0.1 * g < 1
            if not valid:
                break
            total = 0.0
            for eta in range(n + 1):
                weight = math.comb(n, eta) * (1 - q) ** (n - eta) * q**eta
                up, down = (1 - (eta - 1) * 0.1 * g) ** -12.0, (1 + eta * 0.1 * g) ** -12.0
                total += weight * (eta * up + (eta - 1) * down) / (2 * eta - 1)
            alpha += math.log(total)
        if valid:
            value = steps * alpha / lam + math.log(lam / (1 + lam)) - (math.log(delta) + math.log(1 + lam)) / lam
            best = min(best, (value, lam))
    return best


@pytest.mark.parametrize(("coordinates", "q", "clip"), [(1, 0.05, 0.5), (7, 0.3, 0.2)])
def test_plrv_o_written_out(coordinates, q, clip):
    found = plrv_o_epsilon(NOISE, coordinates=coordinates, sampling_rate=q, steps=20, delta=1e-6, clip_norm=clip)
    epsilon, order = written_out(coordinates, q, 20, 1e-6, clip)
    assert (found.epsilon, found.order) == (pytest.approx(epsilon, rel=1e-10), order)


def test_many_coordinates_are_summed_by_quadrature_to_seven_digits(monkeypatch):
    from lmodp.accounting.claimed import plrv_o

    kind = {"sampling_rate": 0.05, "steps": 20, "delta": 1e-6, "clip_norm": 0.4, "coordinates": 60_000}
    quick = plrv_o_epsilon(NOISE, **kind)
    monkeypatch.setattr(plrv_o, "_EXACT", 60_000)
    monkeypatch.setattr(plrv_o, "LARGEST_LAMBDA", quick.order)
    plrv_o._log_moments.cache_clear()
    slow = plrv_o_epsilon(NOISE, **kind)
    assert quick.epsilon == pytest.approx(slow.epsilon, rel=1e-7)


def test_shares_are_differences_of_roots_without_cancellation():
    assert shares(np.array([1.0, 2.0])) == pytest.approx([1.0, math.sqrt(2) - 1])
    assert shares(np.array([1e12]))[0] == pytest.approx(0.5e-6, rel=1e-12)


def test_plrv_o_without_a_valid_order():
    found = plrv_o_epsilon(
        load_noise("lmo-0.3"), coordinates=5, sampling_rate=0.1, steps=2, delta=1e-5, clip_norm=100.0
    )
    assert math.isinf(found.epsilon) and "no lambda" in found.reason
    with pytest.raises(InvalidValue, match="sampling_rate = 1.0"):
        plrv_o_epsilon(NOISE, coordinates=5, sampling_rate=1.0, steps=2, delta=1e-5)


def test_harmonic_numbers():
    for count in (1, 2, 50, 10_000):
        assert harmonic(count) == pytest.approx(sum(1 / i for i in range(1, count + 1)), rel=1e-12)


@pytest.mark.parametrize("epsilon", [1e-6, 0.4, 40.0])
def test_lap2_scale_and_epsilon_are_inverse(epsilon):
    kind = {"delta": 1e-5, "sampling_rate": 0.02, "epochs": 5.0, "coordinates": 124_000_000}
    assert lap2_epsilon(scale=lap2_scale(epsilon=epsilon, **kind), **kind) == pytest.approx(epsilon, rel=1e-12)
    with pytest.raises(InvalidValue, match="delta = 0"):
        lap2_scale(epsilon=1.0, **{**kind, "delta": 0})
