"""Spherical noise as it is drawn, and faults that stand in public code: each is found by a check."""

import numpy as np
import pytest
import torch

from lmodp.errors import InvalidValue
from lmodp.mechanisms import Gaussian, Spherical
from lmodp.training.noise import DeviceNoise, NoiseMeter, device_noise


def drawn(noise, shapes, seed, repeats=1, meter=None):
    source, generator = device_noise(noise), torch.Generator().manual_seed(seed)
    meter, rows = meter or NoiseMeter(noise), []
    for _ in range(repeats):
        sums = [torch.zeros(shape) for shape in shapes]
        source.add_to_all(sums, scale=2.0, generator=generator, meter=meter)
        rows.append(torch.cat([total.flatten() for total in sums]).numpy() / 2)
    return np.array(rows)


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_norms_and_directions_are_the_laws(power):
    noise = Spherical(dimension=6, power=power, scale=1.7)
    x = drawn(noise, [(2, 2), (2,)], 11, repeats=4000)
    norms = np.linalg.norm(x, axis=1)
    for probability in (0.1, 0.5, 0.9):
        assert np.mean(norms <= noise.norm_quantile(probability)) == pytest.approx(probability, abs=0.03)
    assert np.allclose((x / norms[:, None]).mean(0), 0, atol=0.04)
    assert np.allclose(x.T @ x / len(x), noise.variance * np.eye(6), atol=0.15 * noise.variance)
    assert np.mean(np.abs(x[:, 0]) <= noise.inverse_log_survival(np.log(2))) == pytest.approx(0.5, abs=0.03)


def test_the_same_state_draws_the_same_and_another_dimension_is_refused():
    noise = Spherical(dimension=6, power=1.0, scale=1.0)
    assert np.array_equal(drawn(noise, [(6,)], 3), drawn(noise, [(2, 2), (2,)], 3))
    with pytest.raises(InvalidValue, match="dimension = 6: is that of the noise, and 5 coordinates are released"):
        drawn(noise, [(5,)], 3)


@pytest.mark.parametrize("noise", [Spherical(dimension=4096, power=1.0, scale=0.1), Gaussian(std=3.0)])
def test_one_scalar_added_to_every_coordinate_is_found(noise, monkeypatch):
    meter = NoiseMeter(noise)
    drawn(noise, [(4096,)], 5, repeats=3, meter=meter)
    assert meter.report(scale=1.0)["within_tolerance"]
    real = torch.randn
    monkeypatch.setattr(torch, "randn", lambda shape, **options: real((1,), **options).expand(shape).clone())
    monkeypatch.setattr(DeviceNoise, "draw_chunk", _one_for_all(DeviceNoise.draw_chunk))
    faulty = NoiseMeter(noise)
    drawn(noise, [(4096,)], 5, repeats=3, meter=faulty)
    assert not faulty.report(scale=1.0)["within_tolerance"]


@pytest.mark.parametrize(("dimension", "power"), [(64, 1.0), (64, 0.5), (1000, 1.0), (1000, 3.0)])
def test_one_norm_for_all_coordinates_is_no_alarm_and_another_scale_is_one(dimension, power):
    """Deviations of 50 honest runs of 20 vectors have the variance that the meter counts with: a sixth of its reach."""
    noise, ratios, shares = Spherical(dimension=dimension, power=power, scale=0.1), [], []
    for seed in range(50):
        meter = NoiseMeter(noise)
        drawn(noise, [(dimension,)], seed, repeats=20, meter=meter)
        found = meter.report(scale=1.0)
        ratios.append((found["mean_abs_ratio"] - 1) * 6 / found["mean_abs_ratio_tolerance"])
        shares.append((found["share_below_median"] - 0.5) * 6 / found["share_below_median_tolerance"])
        assert found["within_tolerance"]
    assert 0.6 < np.std(ratios) < 1.4 and 0.5 < np.std(shares) < 1.4
    meter = NoiseMeter(noise)
    wrong = Spherical(dimension=dimension, power=power, scale=0.02)
    drawn(wrong, [(dimension,)], 0, repeats=20, meter=meter)
    assert not meter.report(scale=1.0)["within_tolerance"]


def _one_for_all(draw_chunk):
    return lambda self, size, generator: draw_chunk(self, 1, generator).clone().expand(size).clone()


@pytest.mark.parametrize(("dimension", "power"), [(6, 0.5), (6, 1.0), (306, 1.0), (4096, 3.0)])
def test_the_tail_of_many_values_at_once_is_that_of_each(dimension, power):
    """An audit asks for 65,536 of them."""
    noise = Spherical(dimension=dimension, power=power, scale=0.7)
    x = np.linspace(-5, 5, 9000) * noise.std
    each = np.concatenate([noise.log_survival(part) for part in np.split(x, 9)])
    assert noise.log_survival(x) == pytest.approx(each, rel=1e-7, abs=1e-9)
