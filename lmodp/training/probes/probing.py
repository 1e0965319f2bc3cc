"""A step of the engine with all gradients zero: what it releases is the noise, and can be tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from lmodp.plan import Plan
from lmodp.training.examples import Examples
from lmodp.training.losses import Loss
from lmodp.training.randomness import stream_key
from lmodp.training.settings import TrainingSettings
from lmodp.training.step import PrivateStep, StepHook
from lmodp.vocabulary import PURPOSES_OF_STEPS


def probe_step(
    model: nn.Module,
    *,
    plan: Plan,
    examples: Examples,
    loss: Loss,
    settings: TrainingSettings,
    seeds: Mapping[str, int],
    step: int = 0,
) -> np.ndarray:
    """Return the noisy sum that one step releases when every gradient is zero: float32 (d), in the parameters' order.

    The step is the engine's own, sampling and clipping included; only the losses are multiplied by 0. The result must
    follow the law of the plan's noise times its scale.
    """
    capture = _Capture()
    keys = {name: stream_key(seeds[name], randomness=settings.randomness) for name in PURPOSES_OF_STEPS}
    PrivateStep(
        model,
        plan=plan,
        examples=examples,
        loss=lambda model, batch: 0.0 * loss(model, batch),
        settings=settings,
        keys=keys,
        hooks=(capture,),
    ).run(step)
    for parameter in model.parameters():
        parameter.grad = None
    return capture.released


class _Capture(StepHook):
    """Keeps a copy of the last noisy sum."""

    def __init__(self) -> None:
        self.released = np.zeros(0, dtype=np.float32)

    def after_noise(self, step: int, parameters: Sequence[nn.Parameter], scale: float) -> None:
        """Copy the noisy sum."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        self.released = torch.cat([gradient.reshape(-1) for gradient in gradients]).cpu().numpy()
