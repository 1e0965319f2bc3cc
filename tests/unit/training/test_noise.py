"""Noise on the device: accuracy of every draw, tails included, and its measurement."""

import math

import numpy as np
import pytest
import torch

from lmodp.mechanisms import PUBLISHED, GammaPart, Gaussian, Laplace, LaplaceMixture, sampler_table
from lmodp.training import noise as module
from lmodp.training.noise import CHUNK, ROUNDINGS, UNIFORM_BITS, DeviceNoise, NoiseMeter, draw
from lmodp.training.randomness import device_generator

LAWS = {
    "gaussian": Gaussian(std=1.7),
    "laplace": Laplace(scale=0.6),
    "lmo": PUBLISHED["lmo-0.3"].noise,
    "lmo_wide": PUBLISHED["lmo-5"].noise,
    "plrv": PUBLISHED["plrv_o-sst2-0.2"].noise,
}


def words_of(fractions: np.ndarray, signs: np.ndarray) -> torch.Tensor:
    """Return 64-bit words with given low 52 and top bits; the eleven between are noise."""
    between = np.random.default_rng(1).integers(0, 1 << 11, len(fractions)) << 52
    words = fractions.astype(np.int64) | between
    return torch.from_numpy(np.where(signs, words - (1 << 62) - (1 << 62), words))


def probes() -> np.ndarray:
    """Return k with U = (k + 1)/2^52 from the far tail (k = 0) to the centre (k = 2^52 - 1)."""
    tail = np.unique(np.geomspace(1, 2**52, 4000).astype(np.int64)) - 1
    return np.unique(np.concatenate([tail, 2**52 - 1 - tail]))


def cost_of_rounding(law, exponent: np.ndarray) -> np.ndarray:
    """Return kappa = E x'(E) / x(E), by central differences."""
    above, below = (law.inverse_log_survival(exponent * factor) for factor in (1 + 1e-5, 1 - 1e-5))
    return (above - below) / (2e-5 * law.inverse_log_survival(exponent))


@pytest.mark.parametrize("law", [Gaussian(std=1.7), Laplace(scale=0.6), *(entry.noise for entry in PUBLISHED.values())])
def test_every_draw_is_the_exact_inverse_to_the_stated_error(law):
    k = probes()
    signs = np.arange(len(k)) % 2 == 1
    found = DeviceNoise(law).from_words(words_of(k, signs)).double().numpy()
    exponent = -np.log1p(-(2.0**52 - 1 - k) / 2.0**52)  # -log U without cancellation near U = 1
    inner = exponent > 0
    exact, kappa = law.inverse_log_survival(exponent[inner]), cost_of_rounding(law, exponent[inner])
    error = np.abs(np.abs(found[inner]) / exact - 1)
    assert np.all(error <= (ROUNDINGS + kappa) * 2.0**-24)
    assert np.all(found[~inner] == 0)
    assert np.array_equal(found[inner] < 0, signs[inner])
    assert exponent.max() == pytest.approx(52 * math.log(2))


@pytest.mark.parametrize("name", ["gaussian", "lmo"])
def test_cubic_pieces_serve_where_straight_ones_are_too_many(name, monkeypatch):
    law, k = LAWS[name], probes()
    lines = DeviceNoise(law)
    monkeypatch.setattr(module, "MOST_PIECES", 10)
    cubic = DeviceNoise(law)
    assert (len(lines.columns), len(cubic.columns)) == (2, 4)
    both = [source.from_words(words_of(k, k % 3 == 0)).double() for source in (lines, cubic)]
    torch.testing.assert_close(*both, rtol=1e-6, atol=0)


def test_a_tail_beyond_float32_is_cut_where_its_table_ends():
    law = LaplaceMixture(gamma=GammaPart(weight=1, shape=0.405, scale=1))
    found = DeviceNoise(law).from_words(words_of(np.array([0, 1, 5]), np.array([False, True, False])))
    limit = sampler_table(law).restricted(torch.finfo(torch.float32).max).limit
    assert 2.0**-UNIFORM_BITS < 2 / 2.0**UNIFORM_BITS < math.exp(-limit) < 6 / 2.0**UNIFORM_BITS
    largest, inside = law.inverse_log_survival(np.array([limit, -math.log(6 / 2.0**UNIFORM_BITS)]))
    torch.testing.assert_close(found.double(), torch.tensor([largest, -largest, inside]).double(), rtol=1e-5, atol=0)


def test_draws_repeat_and_ignore_the_shape():
    law = LAWS["lmo"]
    streams = [device_generator("k", "noise", 2) for _ in range(3)]
    flat, again = draw(law, (2 * CHUNK + 6,), streams[0]), draw(law, (2 * CHUNK + 6,), streams[1])
    assert torch.equal(flat, again)
    assert torch.equal(draw(law, (2, CHUNK + 3), streams[2]).reshape(-1)[:CHUNK], flat[:CHUNK])
    assert draw(law, (), device_generator("k", "noise", 2)).shape == ()
    assert draw(law, (0, 3), device_generator("k", "noise", 2)).shape == (0, 3)


def test_consecutive_draws_differ():
    generator = device_generator("k", "noise", 2)
    assert not torch.equal(draw(LAWS["gaussian"], (50,), generator), draw(LAWS["gaussian"], (50,), generator))


def test_noise_is_added_at_the_scale():
    law = LAWS["laplace"]
    total, meter = torch.full((3, 5), 10.0), NoiseMeter(law)
    DeviceNoise(law).add_to(total, scale=0.25, generator=device_generator("k", "noise", 0), meter=meter)
    expected = 10.0 + 0.25 * draw(law, (3, 5), device_generator("k", "noise", 0))
    torch.testing.assert_close(total, expected)
    assert meter.draws == 15


@pytest.mark.parametrize("factor", [1.0, 2 / 3, 3 / 2])
@pytest.mark.parametrize("name", LAWS)
def test_the_meter_accepts_the_right_scale_and_rejects_wrong_ones(name, factor):
    law = LAWS[name]
    meter, generator = NoiseMeter(law), device_generator("k", "noise", 9)
    for _ in range(3):
        meter.take(draw(law, (CHUNK,), generator) * factor)
    report = meter.report(scale=2.0)
    assert report["within_tolerance"] == (factor == 1.0)
    assert report["draws"] == 3 * CHUNK
    if report["mean_abs_ratio"] is not None:
        assert report["mean_abs_measured"] == pytest.approx(2.0 * factor * law.mean_abs, rel=0.05)


def test_the_meter_works_without_a_variance():
    """A law whose mean and variance are infinite is measured by its median."""
    law = PUBLISHED["lmo-0.3"].noise
    heavy = type(
        "Heavy",
        (),
        {"variance": math.inf, "mean_abs": math.inf, "inverse_log_survival": staticmethod(law.inverse_log_survival)},
    )()
    for factor, accepted in ((1.0, True), (2 / 3, False), (1.5, False)):
        meter = NoiseMeter(heavy)
        for step in range(4):
            meter.take(draw(law, (CHUNK,), device_generator("k", "noise", step)) * factor)
        report = meter.report(scale=1.0)
        assert report["mean_abs_ratio"] is None and report["within_tolerance"] is accepted


def test_the_meter_survives_a_checkpoint():
    meter, other = NoiseMeter(LAWS["lmo"]), NoiseMeter(LAWS["lmo"])
    meter.take(draw(LAWS["lmo"], (100,), device_generator("k", "noise", 1)))
    other.restore(meter.state())
    assert other.report(scale=1.0) == meter.report(scale=1.0)
