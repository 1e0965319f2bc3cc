"""Seams for audits: a step without gradients, and canaries inside a real run.

Audits take arrays and know nothing of torch; their samples are drawn here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from lmodp.errors import require
from lmodp.plan import Plan
from lmodp.training.clipping import Loss
from lmodp.training.examples import Examples
from lmodp.training.randomness import stream_bytes, stream_key
from lmodp.training.settings import TrainingSettings
from lmodp.training.step import PrivateStep

PURPOSES = ("sampling", "dropout", "noise")


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
    """Return the noisy sum that one step releases when every gradient is zero.

    The step is the engine's own, sampling and clipping included; only the losses
    are multiplied by 0. What comes out must follow the law of the plan's noise
    times its scale.

    Returns:
        float32 (d), d the number of trained numbers, in the parameters' order.
    """
    capture = _Capture()
    keys = {name: stream_key(seeds[name], entropy=settings.entropy) for name in PURPOSES}
    PrivateStep(model, plan=plan, examples=examples, loss=lambda model, batch: 0.0 * loss(model, batch),
                settings=settings, keys=keys, hooks=(capture,)).run(step)
    for parameter in model.parameters():
        parameter.grad = None
    return capture.released


class _Hook:
    """A `StepHook` that does nothing."""

    def before_noise(self, step: int, parameters: Sequence[nn.Parameter]) -> None:
        pass

    def after_noise(self, step: int, parameters: Sequence[nn.Parameter]) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass


class _Capture(_Hook):
    """Keeps a copy of the last noisy sum."""

    released: np.ndarray

    def after_noise(self, step: int, parameters: Sequence[nn.Parameter]) -> None:
        self.released = torch.cat([parameter.grad.reshape(-1) for parameter in parameters]).cpu().numpy()


class Canaries(_Hook):
    """Extra examples whose gradients are known: norm C, one coordinate each.

    Canary k, where it is included in the data at all, is drawn at every step with
    the plan's rate, independently of everything else, and then adds C to
    coordinate k of the clipped sum. That is the gradient of an example at the
    clipping bound, so the plan's guarantee covers it as any other example, and a
    test of whether it was included tries that guarantee.

    Args:
        plan: rate, steps and clip norm.
        coordinates: (K) distinct positions in the flattened trained parameters.
        included: (K) booleans, tossed by the auditor.
        seed: of the canaries' Poisson draws.

    Attributes:
        observed: float32 (T, K), the noisy sum at the coordinates, step by step,
            in units of the clip norm.

    References:
        Steinke, Nasr and Jagielski (2023), arXiv:2305.08846; Nasr et al. (2023),
        arXiv:2302.07956 (Dirac canaries, white box).
    """

    def __init__(self, *, plan: Plan, coordinates: np.ndarray, included: np.ndarray, seed: int):
        require(len(np.unique(coordinates)) == len(coordinates), "coordinates", len(coordinates), "must be distinct")
        require(len(coordinates) == len(included), "included", len(included), "must have one entry a canary")
        self.plan, self.key = plan, stream_key(seed, entropy="seeded")
        self.coordinates, self.included = np.asarray(coordinates), np.asarray(included, dtype=bool)
        self.observed = np.zeros((plan.steps, len(coordinates)), dtype=np.float32)

    def drawn(self, step: int) -> np.ndarray:
        """Return which canaries a step's sample holds, (K) booleans."""
        words = np.frombuffer(stream_bytes(self.key, "canaries", step, 16), dtype=np.uint64)
        uniform = np.random.Generator(np.random.Philox(key=words)).random(len(self.coordinates))
        return self.included & (uniform < self.plan.sampling_rate)

    def before_noise(self, step: int, parameters: Sequence[nn.Parameter]) -> None:
        """Add the drawn canaries' gradients to the clipped sum."""
        for gradient, offsets, members in self._places(parameters, self.drawn(step)):
            gradient[offsets] += self.plan.clip_norm

    def after_noise(self, step: int, parameters: Sequence[nn.Parameter]) -> None:
        """Read the noisy sum at the canaries' coordinates."""
        for gradient, offsets, members in self._places(parameters, np.ones(len(self.coordinates), dtype=bool)):
            self.observed[step, members] = (gradient[offsets] / self.plan.clip_norm).cpu().numpy()

    def _places(self, parameters: Sequence[nn.Parameter], wanted: np.ndarray):
        """Yield (flat gradient, offsets in it, canaries) for every parameter with wanted canaries."""
        start = 0
        for parameter in parameters:
            end = start + parameter.numel()
            members = np.flatnonzero(wanted & (self.coordinates >= start) & (self.coordinates < end))
            if len(members):
                offsets = torch.from_numpy(self.coordinates[members] - start).to(parameter.device)
                yield parameter.grad.view(-1), offsets, members
            start = end

    def state(self) -> dict[str, Any]:
        """Return the observations."""
        return {"observed": torch.from_numpy(self.observed)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the observations."""
        self.observed = state["observed"].numpy().copy()
