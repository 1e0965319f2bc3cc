"""Trials that are whole runs of the engine."""

import numpy as np
import pytest
import torch
from torch import nn

from lmodp.auditing.likelihood import CanaryScore
from lmodp.errors import InvalidValue
from lmodp.mechanisms import Gaussian, Laplace
from lmodp.plan import Plan
from lmodp.training import TrainingSettings, classification_loss
from tests.statistics.many_runs import run_scores


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, inputs):
        return self.out(torch.tanh(self.hidden(inputs)))


def scores(noise, *, rate: float, steps: int, trials: int, included: bool) -> np.ndarray:
    torch.manual_seed(1)
    net = Net()
    plan = Plan(noise=noise, sampling_rate=rate, steps=steps, clip_norm=0.7, dataset_size=3)
    of_steps = CanaryScore(
        noise=Gaussian(std=1.0), relative_sensitivity=1.0, coordinates=1, sampling_rate=rate
    ).of_steps
    canary = {"inputs": torch.tensor([[0.5, -1.0, 2.0]]), "labels": torch.tensor([1])}
    return run_scores(
        net,
        plan=plan,
        canary=canary,
        loss=classification_loss,
        settings=TrainingSettings(learning_rate=0.05),
        trials=trials,
        included=included,
        seed=3,
        of_steps=of_steps,
    )


def test_the_likelihood_of_a_gaussian_is_the_textbook_one():
    """One step that always has the canary: the ratio is normal with mean +-mu^2/2 and variance mu^2."""
    mu, trials = 1 / 0.8, 75
    for included, sign in ((True, 1), (False, -1)):
        found = scores(Gaussian(std=0.8), rate=1.0, steps=1, trials=trials, included=included)[:, 0]
        assert abs(found.mean() - sign * mu**2 / 2) < 3.5 * mu / np.sqrt(trials)
        assert abs(found.std() / mu - 1) < 3.5 / np.sqrt(2 * trials)  # below 1/3: tells two thirds and three halves


def test_every_step_changes_and_trials_differ():
    found = scores(Laplace(scale=2.0), rate=0.4, steps=4, trials=5, included=True)
    assert found[:, 1].tolist() == [3.0] * 5
    assert len(set(found[:, 0].tolist())) == 5


def test_needs_noise():
    with pytest.raises(InvalidValue, match="noise"):
        scores(None, rate=0.5, steps=1, trials=1, included=True)
