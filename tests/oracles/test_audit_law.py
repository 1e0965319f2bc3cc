"""The law of a step's score against transcripts that are drawn coordinate by coordinate."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

import lmodp
from lmodp.auditing.likelihood import CanaryScore, StepLaw, _alias
from lmodp.auditing.spherical import SphericalLaw
from lmodp.mechanisms import PUBLISHED, Gaussian, Spherical
from tests.unit.mechanisms.mixtures import quantile

NOISES = {"gaussian": Gaussian(std=0.9), "lmo": PUBLISHED["lmo-3"].noise}


def slow_scores(score: CanaryScore, *, trials: int, steps: int, included: bool, seed: int) -> np.ndarray:
    """Scores from float64 draws by the quantile function and the densities themselves."""
    generator, noise, q = np.random.default_rng(seed), score.noise, score.sampling_rate
    total = np.zeros(trials)
    for _ in range(steps):
        x = quantile(noise, generator.uniform(1e-15, 1, (trials, score.coordinates)))
        x = x + score.shift * (generator.random((trials, 1)) < q) * included
        ratio = (noise.log_density(x - score.shift) - noise.log_density(x)).sum(1)
        total += np.log(1 - q + q * np.exp(ratio))
    return total


@pytest.mark.parametrize("coordinates", [1, 7])
@pytest.mark.parametrize("included", [True, False])
@pytest.mark.parametrize("name", NOISES)
def test_draws_have_the_law_of_the_slow_scores(name, included, coordinates):
    score = CanaryScore(noise=NOISES[name], relative_sensitivity=1.3, coordinates=coordinates, sampling_rate=0.3)
    drawn = StepLaw(score).draw(trials=20_000, steps=6, included=included, generator=np.random.default_rng(2))
    slow = slow_scores(score, trials=20_000, steps=6, included=included, seed=3)
    assert ks_2samp(drawn, slow).pvalue > 1e-4
    other = CanaryScore(noise=NOISES[name], relative_sensitivity=1.3 * 1.5, coordinates=coordinates, sampling_rate=0.3)
    wrong = StepLaw(other).draw(trials=20_000, steps=6, included=included, generator=np.random.default_rng(2))
    assert ks_2samp(wrong, slow).pvalue < 1e-8


@pytest.mark.parametrize("included", [True, False])
@pytest.mark.parametrize(("dimension", "power"), [(2, 1.0), (3, 1.5), (9, 3.0)])
def test_a_step_of_spherical_noise_has_the_scores_of_whole_vectors(dimension, power, included):
    noise = Spherical(dimension=dimension, power=power, scale=0.8)
    generator, q, total = np.random.default_rng(5), 0.3, np.zeros(20_000)
    for _ in range(4):
        y = noise.vectors(len(total), generator)
        y[:, 0] += 1.3 * (generator.random(len(total)) < q) * included
        away = y - 1.3 * np.eye(noise.dimension)[0]
        norms = [np.linalg.norm(each, axis=1) / noise.scale for each in (y, away)]
        total += np.log(1 - q + q * np.exp(norms[0] ** noise.power - norms[1] ** noise.power))
    score = CanaryScore(noise=noise, relative_sensitivity=1.3, coordinates=1, sampling_rate=q)
    drawn = SphericalLaw(score).draw(trials=20_000, steps=4, included=included, generator=np.random.default_rng(6))
    assert ks_2samp(drawn, total).pvalue > 1e-4


@pytest.mark.parametrize("dimension", [2, 3, 50])
def test_an_audit_of_spherical_noise_stays_below_what_is_proven(dimension):
    """A step's loss is at most 1/scale. The law of one coordinate as a sum over norms has losses far above it."""
    noise = Spherical(dimension=dimension, power=1.0, scale=100.0)
    found = lmodp.audit(lmodp.Plan(noise=noise, sampling_rate=1.0, steps=100, delta=1e-5), trials=20_000)
    assert found["consistent_with_verified"] and found["epsilon_lower"] <= 1 and "norm" in found["law"]
    score = CanaryScore(noise=noise, relative_sensitivity=1.0, coordinates=1, sampling_rate=1.0)
    drawn = SphericalLaw(score).draw(trials=1000, steps=10, included=True, generator=np.random.default_rng(7))
    assert np.abs(drawn).max() <= 0.1 + 1e-12


def test_the_worlds_are_tied_by_the_likelihood_ratio():
    """E[exp(score)] without the canary is 1, and exp(score) is the ratio of the two laws."""
    law = StepLaw(CanaryScore(noise=NOISES["lmo"], relative_sensitivity=1.3, coordinates=1, sampling_rate=0.3))
    assert float(law.without @ np.exp(law.points)) == pytest.approx(1, abs=1e-9)
    assert law.with_canary == pytest.approx(law.without * np.exp(law.points), rel=1e-9)
    many = StepLaw(CanaryScore(noise=NOISES["lmo"], relative_sensitivity=1.3, coordinates=64, sampling_rate=0.3))
    assert float(many.without @ np.exp(many.points)) == pytest.approx(1, abs=1e-3)


def test_alias_table_spells_the_masses():
    mass = np.random.default_rng(4).dirichlet(np.full(50, 0.2))
    points = np.arange(50.0)
    keep, stay, move = _alias(mass, points)
    spelt = np.bincount(stay.astype(int), keep, 50) + np.bincount(move.astype(int), 1 - keep, 50)
    assert spelt / 50 == pytest.approx(mass, abs=1e-15)
