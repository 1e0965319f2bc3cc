"""The law of the device's noise, with tests that reject two thirds and three halves of it."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from lmodp.mechanisms import PUBLISHED, Gaussian, Laplace
from lmodp.training.noise import draw
from lmodp.training.randomness import device_generator

LAWS = {
    "gaussian": Gaussian(std=1.7),
    "laplace": Laplace(scale=0.6),
    "lmo": PUBLISHED["lmo-0.3"].noise,
    "plrv": PUBLISHED["plrv_o-sst2-0.2"].noise,
}
COUNT = 400_000
LEVEL = 1e-4  # of a test that should accept; one that should reject reaches far below


def sample(name: str, factor: float) -> np.ndarray:
    return factor * draw(LAWS[name], (COUNT,), device_generator("statistics", "noise", 1)).double().numpy()


def uniform_scores(law, values: np.ndarray) -> np.ndarray:
    """Return P(|X| > |x|) of the law at each draw; uniform if the draws are the law's."""
    return np.exp(law.log_survival(np.abs(values)))


@pytest.mark.parametrize("factor", [1.0, 2 / 3, 3 / 2])
@pytest.mark.parametrize("name", LAWS)
def test_law_of_the_magnitude(name, factor):
    scores = uniform_scores(LAWS[name], sample(name, factor))
    assert (stats.kstest(scores, "uniform").pvalue > LEVEL) == (factor == 1.0)


@pytest.mark.parametrize("name", LAWS)
def test_signs_are_fair_and_independent_of_magnitudes(name):
    values = sample(name, 1.0)
    positive = values > 0
    assert stats.binomtest(int(positive.sum()), COUNT).pvalue > LEVEL
    assert stats.ks_2samp(np.abs(values[positive]), np.abs(values[~positive])).pvalue > LEVEL
    assert stats.ks_2samp(np.abs(values[positive]), 1.5 * np.abs(values[~positive])).pvalue < LEVEL


@pytest.mark.parametrize("factor", [1.0, 2 / 3, 3 / 2])
@pytest.mark.parametrize("name", LAWS)
def test_tail_beyond_the_reach_of_few_draws(name, factor):
    """The number of draws beyond P(|X| > x) = 1e-3 follows its binomial law."""
    law = LAWS[name]
    limit = float(law.inverse_log_survival(-math.log(1e-3)))
    beyond = int((np.abs(sample(name, factor)) > limit).sum())
    assert (stats.binomtest(beyond, COUNT, 1e-3).pvalue > LEVEL) == (factor == 1.0)


def test_neighbours_are_uncorrelated():
    values = sample("gaussian", 1.0)
    for lag in (1, 2, 7):
        correlation = np.corrcoef(values[:-lag], values[lag:])[0, 1]
        assert abs(correlation) < 5 / math.sqrt(COUNT)
    smoothed = (values[1:] + values[:-1]) / 2
    assert abs(np.corrcoef(smoothed[:-1], smoothed[1:])[0, 1]) > 0.4  # the test can fail


def test_steps_are_independent():
    first, second = (
        draw(LAWS["lmo"], (COUNT,), device_generator("statistics", "noise", step)).double().numpy() for step in (3, 4)
    )
    scores = [uniform_scores(LAWS["lmo"], values) for values in (first, second)]
    assert abs(np.corrcoef(*scores)[0, 1]) < 5 / math.sqrt(COUNT)
    assert abs(np.corrcoef(np.sign(first), np.sign(second))[0, 1]) < 5 / math.sqrt(COUNT)


@pytest.mark.slow
def test_far_tail():
    """Among 3e8 Gaussian draws some lie beyond 5.8 standard deviations, where 24 random bits end."""
    law, count, beyond = Gaussian(std=1.0), 0, 0
    limit = 5.8
    generator = device_generator("statistics", "noise", 9)
    for _ in range(300):
        values = draw(law, (1_000_000,), generator)
        count, beyond = count + values.numel(), beyond + int((values.abs() > limit).sum())
    expected = math.exp(float(law.log_survival(limit)))
    assert stats.binomtest(beyond, count, expected).pvalue > LEVEL
    assert beyond > 0


def test_normal_draws_of_torch_end_where_ours_do_not():
    """The reason for not using torch.randn: a float32 uniform ends at 2^-24, the table at 2^-52."""
    from lmodp.training.noise import DeviceNoise

    smallest = torch.tensor([0], dtype=torch.int64)
    assert float(DeviceNoise(Gaussian(std=1.0)).from_words(smallest)[0]) > 8.0
    assert math.sqrt(2 * 24 * math.log(2)) < 5.8
