"""A small run of the real engine with canaries, and the faults that audits must find in it."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from lmodp.mechanisms import Gaussian, Noise
from lmodp.plan import Plan
from lmodp.stages.audit_training import RunJudge, draw_coins
from lmodp.training import (
    ClippingEngine,
    DeviceNoise,
    PoissonSampler,
    PrivateStep,
    TensorExamples,
    TrainingSettings,
    classification_loss,
    train,
)
from lmodp.training import step as step_module
from lmodp.training.clipping.weighted import WeightedSums
from lmodp.training.probes import CanaryExamples, CanaryModel, ReleaseRecorder, canary_loss

REAL, CANARIES = 200, 600


class Net(nn.Module):
    """Two layers, four inputs, two classes."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, inputs):
        return self.out(torch.tanh(self.hidden(inputs)))


def plan_of(noise: Noise) -> Plan:
    """Eight steps at rate 1/4: batches of 200 on average."""
    return Plan(noise=noise, sampling_rate=0.25, steps=8, delta=1e-10, clip_norm=0.3, dataset_size=REAL + CANARIES)


@cache
def judge_of(noise: Noise) -> RunJudge:
    """The judge of runs under this noise, whose reference is drawn once."""
    return RunJudge(plan=plan_of(noise), canaries=CANARIES, seed=99)


def audited_run(noise: Noise, seed: int) -> dict:
    """Train once with canaries and return the audit."""
    torch.manual_seed(seed)
    inputs = torch.randn(REAL, 4)
    examples = TensorExamples({"inputs": inputs, "labels": (inputs[:, 0] > 0).long()})
    plan, coins = plan_of(noise), draw_coins(CANARIES, seed)
    model = CanaryModel(Net(), CANARIES)
    recorder = ReleaseRecorder(model)
    train(
        model,
        plan=plan,
        examples=CanaryExamples(examples, coins),
        loss=canary_loss(classification_loss, clip_norm=plan.clip_norm),
        settings=TrainingSettings(learning_rate=0.01, micro_batch_size=256),
        hooks=[recorder],
        seeds={"sampling": 3 * seed, "dropout": 3 * seed + 1, "noise": 3 * seed + 2},
    )
    return judge_of(noise).judge(recorder.released, coins)


def found(audit: dict) -> bool:
    """Whether an audit objects: to the verified epsilon, or to the law that was certified."""
    return not audit["consistent_with_verified"] or not audit["fit"]["fits"]


def scale_noise(patch: pytest.MonkeyPatch, factor: float) -> None:
    """Fault: the noise is multiplied by ``factor`` too much."""
    honest = DeviceNoise.add_to

    def add_to(self, total, *, scale, **options):
        honest(self, total, scale=scale * factor, **options)

    patch.setattr(DeviceNoise, "add_to", add_to)


def reuse_noise(patch: pytest.MonkeyPatch) -> None:
    """Fault: every second step uses the noise of the step after it."""
    honest = step_module.device_generator
    patch.setattr(
        step_module, "device_generator", lambda key, purpose, step, device: honest(key, purpose, step | 1, device)
    )


def leave_unclipped(patch: pytest.MonkeyPatch, shape: tuple[int, ...]) -> None:
    """Fault: the layer whose weight has this shape adds its gradients as they are."""
    honest = WeightedSums.add

    def add(self, part, parameter):
        unclipped = WeightedSums(torch.ones_like(self.factors))
        honest(unclipped if tuple(parameter.shape) == shape else self, part, parameter)

    patch.setattr(WeightedSums, "add", add)
    patch.setattr(ClippingEngine, "check", lambda *_: True)  # the guard finds it first; here the audit is on trial


def divide_first(patch: pytest.MonkeyPatch) -> None:
    """Fault: the sum is divided by the batch size and the noise of the sum is added to the mean."""

    def run(self, step):
        report = self.sum_clipped(step)
        for parameter in self.parameters:
            parameter.grad.mul_(1 / self.plan.expected_batch_size)
        self.add_noise(step)
        for hook in self.hooks:
            hook.after_noise(step, self.parameters, self.noise_scale(step))
        return report

    patch.setattr(PrivateStep, "run", run)


def shuffle_instead(patch: pytest.MonkeyPatch) -> None:
    """Fault: epochs of shuffled examples cut into batches of one size."""

    def draw(self, step):
        size = self.plan.dataset_size
        batches = round(1 / self.plan.sampling_rate)
        order = np.random.default_rng([int(self.key[:12], 16), step // batches]).permutation(size)
        return np.sort(np.array_split(order, batches)[step % batches])

    patch.setattr(PoissonSampler, "draw", draw)


FAINT, LITTLE, MUCH = Gaussian(std=0.2), Gaussian(std=0.5), Gaussian(std=4.0)
FAULTS = {
    # name: (noise under which it is sought, plant, what objects)
    "noise times 2/3": (LITTLE, lambda patch: scale_noise(patch, 2 / 3), "fit"),
    "noise of the next step reused": (MUCH, reuse_noise, "epsilon"),
    "clipping off for one layer": (MUCH, lambda patch: leave_unclipped(patch, (CANARIES, 1)), "epsilon"),
    "division before noise": (LITTLE, divide_first, "fit"),
    "shuffling instead of sampling": (FAINT, shuffle_instead, "fit"),
}
