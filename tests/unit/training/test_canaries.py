"""Canaries as examples of a run: gradient, absence, and what they leave untouched."""

import numpy as np
import pytest
import torch
from torch import nn

from lmodp.mechanisms import Gaussian
from lmodp.plan import Plan
from lmodp.training import TensorExamples, TrainingSettings, classification_loss, train
from lmodp.training.clipping.engine import ClippingEngine
from lmodp.training.probes import CanaryExamples, CanaryModel, ReleaseRecorder, canary_loss

REAL, CANARIES, CLIP = 12, 5, 0.3
COINS = np.array([True, False, True, True, False])
NOISE = Gaussian(std=0.5)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, inputs):
        return self.out(torch.tanh(self.hidden(inputs)))


@pytest.fixture()
def net() -> Net:
    torch.manual_seed(1)
    return Net()


@pytest.fixture()
def examples() -> TensorExamples:
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(REAL, 4, generator=generator)
    return TensorExamples({"inputs": inputs, "labels": (inputs[:, 0] > 0).long()})


@pytest.mark.parametrize("clipping", ["flat", "automatic"])
def test_each_present_canary_adds_the_clip_norm_to_its_own_weight_only(net, examples, clipping):
    model, data = CanaryModel(net, CANARIES), CanaryExamples(examples, COINS)
    engine = ClippingEngine(model, clip_norm=CLIP, clipping=clipping)
    batch = data.batch(np.arange(REAL, REAL + CANARIES))
    engine.accumulate(canary_loss(classification_loss, clip_norm=CLIP), batch, CANARIES)
    *own, canaries = [parameter.grad for parameter in engine.parameters]
    assert canaries.flatten().numpy() == pytest.approx(CLIP * COINS, rel=1e-3)
    assert all(float(gradient.abs().max()) == 0 for gradient in own)


def test_real_examples_are_clipped_as_without_canaries(net, examples):
    batch = CanaryExamples(examples, COINS).batch(np.array([0, REAL, 5, REAL + 1, 7]))
    model = CanaryModel(net, CANARIES)
    with_canaries = ClippingEngine(model, clip_norm=CLIP, clipping="flat")
    with_canaries.accumulate(canary_loss(classification_loss, clip_norm=CLIP), batch, 5)
    found = [parameter.grad.clone() for parameter in net.parameters()]
    plain = ClippingEngine(net, clip_norm=CLIP, clipping="flat")
    plain.zero_grad()
    plain.accumulate(classification_loss, examples.batch(np.array([0, 5, 7])), 3)
    for one, other in zip(found, net.parameters(), strict=True):
        torch.testing.assert_close(one, other.grad)
    assert float(model.canaries.weight.grad[0]) == pytest.approx(CLIP)


class Sorted:
    """Examples with an order of their own."""

    def __len__(self):
        return REAL

    def arrange(self, indices):
        return indices[::-1]


def test_the_real_examples_own_order_is_kept():
    found = CanaryExamples(Sorted(), COINS).arrange(np.array([1, 4, 9, 12, 14]))
    assert found.tolist() == [9, 4, 1, 12, 14]


def run(net, examples, *, canaries: int, noise=NOISE):
    coins = np.arange(canaries) % 2 == 0
    model = CanaryModel(net, canaries)
    plan = Plan(noise=noise, sampling_rate=0.5, steps=6, clip_norm=CLIP, noise_scale=0.2, dataset_size=REAL + canaries)
    recorder = ReleaseRecorder(model)
    train(
        model,
        plan=plan,
        examples=CanaryExamples(examples, coins),
        loss=canary_loss(classification_loss, clip_norm=CLIP),
        settings=TrainingSettings(learning_rate=0.05),
        seeds={"sampling": 1, "dropout": 2, "noise": 3},
        hooks=[recorder],
    )
    return recorder.released, coins


def test_releases_are_noise_and_draws_in_units_of_the_noise(net, examples):
    released, coins = run(net, examples, canaries=3000, noise=Gaussian(std=1e-4))
    assert released.shape == (6, 3000)
    assert np.abs(released[:, ~coins]).max() < 1e-3
    assert set(np.round(released[:, coins], 2).flatten().tolist()) == {0.0, 1.5}
    share = (released[:, coins] > 1).mean()
    assert abs(share - 0.5) < 5 * 0.5 / np.sqrt(6 * coins.sum())


def test_the_releases_carry_the_plans_noise(net, examples):
    released, coins = run(net, examples, canaries=3000)
    deviation = released[:, ~coins].std()
    assert abs(deviation / 0.5 - 1) < 5 / np.sqrt(2 * 6 * (~coins).sum())


def test_the_recorder_survives_a_checkpoint(net):
    model = CanaryModel(net, 3)
    recorder, other = (ReleaseRecorder(model) for _ in range(2))
    model.canaries.weight.grad = torch.tensor([[1.0], [2.0], [4.0]])
    recorder.after_noise(0, [], 2.0)
    other.restore(recorder.state())
    assert other.released.tolist() == [[0.5, 1.0, 2.0]]
