"""Draws of Z/U, part by part, follow the survival function M(-x) - and not that of two thirds or three halves of it."""

import numpy as np
import pytest
from scipy.stats import kstest, truncnorm

from lmodp.mechanisms import (
    ExponentialPart,
    GammaPart,
    Laplace,
    LaplaceMixture,
    TruncatedNormalPart,
    UniformPart,
    load_noise,
    sampler_table,
)

DRAWS = 40_000
LAWS = {
    "lmo-0.3": load_noise("lmo-0.3"),
    "as drawn": load_noise("lmo-0.3-as_drawn"),
    "usefulness": load_noise("usefulness-3"),
    "power tail": LaplaceMixture(
        gamma=GammaPart(weight=0.8, shape=0.4, scale=2.0),
        exponential=ExponentialPart(weight=0.3, rate=1.7),
        uniform=UniformPart(weight=0.6, low=0.0, high=0.5),
    ),
    "truncated normal": LaplaceMixture(
        truncated_normal=TruncatedNormalPart(weight=1.4, mean=0.3, std=0.8, low=0.1, high=2.5)
    ),
    "laplace": Laplace(scale=1.9),
}


def rates(noise, rng):
    """Draws of U from the definition of each part."""
    if isinstance(noise, Laplace):
        return np.full(DRAWS, 1 / noise.scale)
    total = np.zeros(DRAWS)
    if noise.gamma:
        total += noise.gamma.weight * rng.gamma(noise.gamma.shape, noise.gamma.scale, DRAWS)
    if noise.exponential:
        total += noise.exponential.weight * rng.exponential(1 / noise.exponential.rate, DRAWS)
    if noise.uniform:
        total += noise.uniform.weight * rng.uniform(noise.uniform.low, noise.uniform.high, DRAWS)
    if noise.truncated_normal:
        part = noise.truncated_normal
        a, b = (part.low - part.mean) / part.std, (part.high - part.mean) / part.std
        total += part.weight * truncnorm.rvs(a, b, loc=part.mean, scale=part.std, size=DRAWS, random_state=rng)
    return total


def p_value(noise, draws):
    return kstest(np.abs(draws), lambda x: -np.expm1(noise.log_survival(x))).pvalue


@pytest.mark.parametrize("name", LAWS)
def test_the_ratio_of_a_laplace_and_a_rate_has_the_survival_function(name):
    noise, rng = LAWS[name], np.random.default_rng(20240529)
    draws = rng.laplace(size=DRAWS) / rates(noise, rng)
    assert p_value(noise, draws) > 1e-3
    for factor in (2 / 3, 3 / 2):
        assert p_value(noise.scaled(factor), draws) < 1e-9


@pytest.mark.parametrize("name", LAWS)
def test_inverted_exponentials_have_the_survival_function(name):
    noise, rng = LAWS[name], np.random.default_rng(7)
    draws = sampler_table(noise).invert(rng.exponential(size=DRAWS))
    assert p_value(noise, draws) > 1e-3
    for factor in (2 / 3, 3 / 2):
        assert p_value(noise.scaled(factor), draws) < 1e-9


def test_taking_the_exponentials_rate_for_its_mean_is_noticed():
    """The slip of the public experiment code: rate 5 in the accounting, mean 5 in the draws."""
    analysed, drawn, rng = LAWS["lmo-0.3"], LAWS["as drawn"], np.random.default_rng(3)
    draws = rng.laplace(size=DRAWS) / rates(drawn, rng)
    assert p_value(drawn, draws) > 1e-3 and p_value(analysed, draws) < 1e-9


def test_the_hockey_stick_of_draws_lies_within_the_scalar_interval():
    """One release of one number: delta(epsilon) estimated from a million draws of both laws."""
    from lmodp.accounting.pld.bounds import scalar_interval

    noise, rng, epsilon = load_noise("lmo-0.3").scaled(0.3), np.random.default_rng(11), 0.4
    draws = 1.0 + rng.choice([-1, 1], 10**6) * sampler_table(noise).invert(rng.exponential(size=10**6))
    loss = noise.log_density(draws - 1.0) - noise.log_density(draws)
    gains = np.maximum(-np.expm1(epsilon - loss), 0.0)
    delta, error = gains.mean(), gains.std() / 1000
    for factor in (1.0, 2 / 3, 3 / 2):
        run = {"sampling_rate": 1.0, "steps": 1}
        inside = [scalar_interval(noise.scaled(factor), delta=delta + sign * 5 * error, **run) for sign in (1, -1)]
        assert (inside[0].lower <= epsilon <= inside[1].upper) == (factor == 1.0)
