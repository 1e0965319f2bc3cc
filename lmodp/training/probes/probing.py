"""A step of the engine with all gradients zero: what it releases is the noise, and can be tested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from lmodp.plan import Plan
from lmodp.training.examples import Examples
from lmodp.training.losses import Loss
from lmodp.training.randomness import stream_key
from lmodp.training.settings import TrainingSettings
from lmodp.training.step import PrivateStep
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
    keys = {name: stream_key(seeds[name], randomness=settings.randomness) for name in PURPOSES_OF_STEPS}
    run: dict[str, Any] = {"plan": plan, "examples": examples, "settings": settings, "keys": keys}
    private = PrivateStep(model, loss=lambda model, batch: 0.0 * loss(model, batch), **run)
    private.sum_clipped(step)
    private.add_noise(step)
    sums = [parameter.grad for parameter in private.released if parameter.grad is not None]
    released = torch.cat([total.reshape(-1) for total in sums]).cpu().numpy()
    for parameter in model.parameters():
        parameter.grad = None
    return released
