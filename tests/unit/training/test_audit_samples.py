"""Scores of transcripts that the device's sampler draws."""

import numpy as np
import pytest

from lmodp.mechanisms import Gaussian
from lmodp.training.probes import draw_scores
from lmodp.training.randomness import stream_key

KEY = stream_key(4, randomness="seeded")


def scores(**changes) -> np.ndarray:
    arguments = {
        "shift": 0.5,
        "coordinates": 3,
        "sampling_rate": 0.25,
        "steps": 4,
        "trials": 20_000,
        "included": True,
        "key": KEY,
        "of_coordinates": lambda values: values.sum(axis=-1),
        "of_steps": lambda sums: sums,
        **changes,
    }
    return draw_scores(arguments.pop("noise", Gaussian(std=0.7)), **arguments)


def test_the_mean_is_the_canarys_expected_sum():
    found = scores()
    spread = np.sqrt(4 * (3 * 0.7**2 + 0.25 * 0.75 * 1.5**2))
    assert abs(found.mean() - 4 * 0.25 * 1.5) < 5 * spread / np.sqrt(len(found))
    assert found.std() == pytest.approx(spread, rel=0.03)


def test_without_the_canary_only_noise_is_left():
    found = scores(included=False)
    assert abs(found.mean()) < 5 * np.sqrt(12 * 0.49 / len(found))
    assert found.std() == pytest.approx(np.sqrt(12 * 0.49), rel=0.03)


def test_one_draw_decides_for_all_coordinates_of_a_step():
    found = scores(noise=Gaussian(std=1e-6), steps=1)
    assert set(np.round(found, 3).tolist()) == {0.0, 1.5}


def test_worlds_and_keys_draw_differently_and_repeatably():
    assert np.array_equal(scores(trials=50), scores(trials=50))
    assert not np.allclose(scores(trials=50, sampling_rate=1e-9), scores(trials=50, included=False))
    assert not np.allclose(scores(trials=50), scores(trials=50, key=stream_key(5, randomness="seeded")))


def test_blocks_together_have_the_law_of_one(monkeypatch):
    monkeypatch.setattr("lmodp.training.probes._BLOCK", 1200)
    found = scores(trials=4000)
    assert len(found) == 4000 and len(np.unique(found)) > 3990
    assert abs(found.mean() - 1.5) < 0.2
