"""Scores of a run's releases, and the comparison with the law as certified."""

import numpy as np
import pytest

from lmodp.auditing.likelihood import CanaryScore
from lmodp.auditing.transcripts import fit_to_reference, reference_scores, score_releases
from lmodp.mechanisms import Gaussian, Laplace

STEPS = 8
NOISE = Gaussian(std=0.6)


def canary_score(noise=NOISE, rate=0.3) -> CanaryScore:
    return CanaryScore(noise=noise, relative_sensitivity=1.0, coordinates=1, sampling_rate=rate)


def releases(seed: int, *, canaries: int = 600, std: float = 0.6, gradient: float = 1.0, noise=None):
    """Noisy sums of an honest run, and its coins."""
    generator = np.random.default_rng(seed)
    coins = generator.random(canaries) < 0.5
    drawn = (generator.random((STEPS, canaries)) < 0.3) & coins
    noise = generator.normal(0, std, (STEPS, canaries)) if noise is None else noise(generator, canaries)
    return noise + gradient * drawn, coins


def test_statistics_of_a_transcript_written_out():
    score = canary_score(Laplace(scale=1.5))
    released = np.array([[0.2, 0.0], [1.2, 3.0], [1.2, 2.5]])
    found = score_releases(released, score)
    ratio = (np.abs(released) - np.abs(released - 1.0)) / 1.5
    exact = np.log(0.7 + 0.3 * np.exp(ratio)).sum(0)
    assert found[:, 0] == pytest.approx(exact, abs=1e-3)
    assert found[:, 1].tolist() == [1.0, 0.0]
    assert found[:, 2].tolist() == [1.2, 3.0]


def test_independent_noise_practically_never_repeats():
    released, _ = releases(1)
    assert score_releases(released, canary_score())[:, 1].mean() < 0.02


def test_noise_used_twice_is_seen_at_every_change_of_the_draw():
    def twice(generator, canaries):
        return np.repeat(generator.normal(0, 0.6, (STEPS // 2, canaries)), 2, axis=0)

    released, coins = releases(2, noise=twice)
    repeats = score_releases(released, canary_score())[:, 1]
    assert repeats[coins].mean() > 1.5 and repeats[~coins].mean() < 0.02


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"std": 0.4}, False),
        ({"std": 0.9}, False),
        ({"gradient": 0.4}, False),
        ({"gradient": 1.5}, False),
    ],
)
def test_fit_accepts_the_certified_law_and_rejects_others(changes, fits):
    score = canary_score()
    reference = reference_scores(score, steps=STEPS, seed=3)
    verdicts = []
    for seed in range(10):
        released, coins = releases(seed, **changes)
        verdicts.append(fit_to_reference(coins, score_releases(released, score)[:, 0], reference)["fits"])
    assert verdicts == [fits] * 10


def test_a_world_without_canaries_is_not_judged():
    reference = reference_scores(canary_score(), steps=STEPS, seed=3)
    found = fit_to_reference(np.ones(50, dtype=bool), reference.included[:50], reference)
    assert found["p_value_excluded"] == 1.0 and found["fits"]
