"""One step: draw, clip and sum, add noise, divide. What leaves it is private."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lmodp.plan import Plan
from lmodp.training.clipping.contributions import is_wide
from lmodp.training.clipping.engine import ClippingEngine, PlainEngine
from lmodp.training.clipping.guard import MOST
from lmodp.training.examples import Examples, arranged
from lmodp.training.losses import Loss
from lmodp.training.noise import DeviceNoise, NoiseMeter
from lmodp.training.randomness import device_generator, seed_dropout
from lmodp.training.run_log import StepReport
from lmodp.training.sampling import PoissonSampler, micro_batches
from lmodp.training.settings import TrainingSettings

LOOKED_AT = 64  # examples among which the guard finds some with a gradient; later ones are looked at as they are drawn


class StepHook(Protocol):
    """A seam for audits: sees, and may add to, the parameters' ``.grad`` within a step.

    ``state`` and ``restore`` carry what the hook has gathered across a checkpoint,
    as tensors and plain values.
    """

    def before_noise(self, step: int, parameters: Sequence[nn.Parameter]) -> None:
        """Called with the clipped sum; extra examples add their clipped gradients here."""

    def after_noise(self, step: int, parameters: Sequence[nn.Parameter]) -> None:
        """Called with the noisy sum, which is what the mechanism releases."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint's state."""


class PrivateStep:
    """Turns a step's number into a gradient estimate in ``.grad``.

    Guarantees:
        * In this order: Poisson draw; clipped gradients summed over all
          micro-batches; noise of ``plan.noise`` times ``effective_noise_scale``
          added once to every coordinate of the sum; division by the constant
          ``expected_batch_size``.
        * The noise depends on (noise key, step) only, never on the batch drawn.

    Edge cases:
        =========================  ==================================================
        nobody is drawn            the sum is zero, noise is added, the step counts
        example not finite         its share is zero (`ClippingEngine`), and counted
        ``plan.noise`` is None     no noise; nothing private is claimed
        =========================  ==================================================

    Args:
        keys: stream keys for "sampling", "dropout" and "noise".
        hooks: see `StepHook`.

    Raises:
        Unsupported: a trainable layer cannot be clipped per example, or the guard
            finds that an example's gradient is not its own (`clipping.guard`).
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        plan: Plan,
        examples: Examples,
        loss: Loss,
        settings: TrainingSettings,
        keys: dict[str, str],
        hooks: Sequence[StepHook] = (),
    ):
        self.plan, self.settings, self.keys, self.hooks = plan, settings, keys, hooks
        self.examples, self.loss = examples, in_precision(loss, settings.precision)
        self.engine: ClippingEngine | PlainEngine
        if plan.clipping == "none":
            self.engine = PlainEngine(model)
        else:
            self.engine = ClippingEngine(model, clip_norm=plan.clip_norm, clipping=plan.clipping)
            self._look(loss, self.engine)
        self.sampler = PoissonSampler(plan=plan, key=keys["sampling"])
        self.device = next(model.parameters()).device
        self.noise = None if plan.noise is None else DeviceNoise(plan.noise, self.device)
        self.meter = None if plan.noise is None else NoiseMeter(plan.noise)

    def _look(self, loss: Loss, engine: ClippingEngine) -> None:
        """Let the guard look at the first examples with a gradient, in training mode; in float32 where possible."""
        modes = {module: module.training for module in engine.model.modules()}
        chosen = loss if all(map(is_wide, engine.model.parameters())) else self.loss
        engine.model.train()
        for piece in micro_batches(np.arange(min(LOOKED_AT, len(self.examples))), MOST):
            if engine.check(chosen, lambda rows: self.examples.batch(np.asarray(rows)), piece.tolist()):
                break
        for module, training in modes.items():
            module.training = training

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The trainable parameters, in the model's order."""
        return self.engine.parameters

    def run(self, step: int) -> StepReport:
        """Leave the step's gradient estimate in ``.grad``; steps count from 0."""
        report = self.sum_clipped(step)
        for hook in self.hooks:
            hook.before_noise(step, self.parameters)
        self.add_noise(step)
        for hook in self.hooks:
            hook.after_noise(step, self.parameters)
        for parameter in self.parameters:
            assert parameter.grad is not None  # sum_clipped leaves one in every parameter
            parameter.grad.mul_(1 / self.plan.expected_batch_size)
        return report

    def sum_clipped(self, step: int) -> StepReport:
        """Leave the sum of the drawn examples' clipped gradients in ``.grad``."""
        drawn = self.sampler.draw(step)
        self.engine.zero_grad()
        seed_dropout(self.keys["dropout"], step)
        reports = [
            self.engine.accumulate(self.loss, self.examples.batch(piece), len(piece))
            for piece in micro_batches(arranged(self.examples, drawn), self.settings.micro_batch_size)
        ]
        self.engine.fill_missing()
        losses = sum(float(report.losses.sum()) for report in reports)
        return StepReport(
            batch_size=len(drawn),
            clipped=sum(report.clipped for report in reports),
            non_finite=sum(report.non_finite for report in reports),
            loss=losses / len(drawn) if len(drawn) and np.isfinite(losses) else None,
            silent=sum(report.silent for report in reports),
        )

    def add_noise(self, step: int) -> None:
        """Add the step's noise to every coordinate of ``.grad``."""
        if self.noise is None:
            return
        generator = device_generator(self.keys["noise"], "noise", step, self.device)
        scale = self.plan.effective_noise_scale
        for parameter in self.parameters:
            assert parameter.grad is not None and self.meter is not None
            self.noise.add_to(parameter.grad, scale=scale, generator=generator, meter=self.meter)


def in_precision(loss: Loss, precision: str) -> Loss:
    """Return the loss function under bfloat16 autocast, or as it is for float32."""
    if precision == "float32":
        return loss

    def autocast_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        with torch.autocast(next(iter(batch.values())).device.type, dtype=torch.bfloat16):
            return loss(model, batch)

    return autocast_loss
