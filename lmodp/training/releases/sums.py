"""What a step sums up: the clipped gradients of the examples drawn."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmodp.plan import Plan
from lmodp.training.clipping.contributions import is_wide
from lmodp.training.clipping.engine import ClippedBatch, ClippingEngine, PlainEngine
from lmodp.training.clipping.guard import MOST
from lmodp.training.examples import Examples, unlike
from lmodp.training.losses import Loss, in_precision
from lmodp.training.randomness import seed_dropout
from lmodp.training.sampling import micro_batches
from lmodp.training.settings import TrainingSettings

LOOKED_AT = 64  # examples among which the guard finds some with a gradient; later ones are looked at as they are drawn
Batches = Iterable[tuple[Mapping[str, Tensor], int]]  # micro-batches with their sizes; may be gone through repeatedly


class ClippedSums:
    """Sums of clipped gradients, in the trained parameters' ``.grad``.

    ``parameters`` are trained; ``released`` hold the sums that noise is added to, in their ``.grad``.

    Args:
        key: of the stream of dropout masks.

    Raises:
        Unsupported: a trainable layer cannot be clipped per example, or the guard finds that an example's
            gradient is not its own (`clipping.guard`).
    """

    def __init__(
        self, model: nn.Module, *, plan: Plan, examples: Examples, loss: Loss, settings: TrainingSettings, key: str
    ):
        self.examples, self.loss, self.key = examples, in_precision(loss, settings.precision), key
        self.engine: ClippingEngine | PlainEngine
        if plan.clipping == "none":
            self.engine = PlainEngine(model)
        else:
            self.engine = ClippingEngine(model, clip_norm=plan.clip_norm, clipping=plan.clipping)
            self._look(loss, self.engine)
        self.parameters = self.released = self.engine.parameters

    def _look(self, loss: Loss, engine: ClippingEngine) -> None:
        """Let the guard look at some examples with a gradient, in training mode; in float32 where possible.

        The shortest and the longest stand in one batch: what depends on padding shows there.
        """
        modes = {module: module.training for module in engine.model.modules()}
        chosen = loss if all(map(is_wide, engine.model.parameters())) else self.loss
        engine.model.train()
        for piece in micro_batches(unlike(self.examples, LOOKED_AT), MOST):
            if engine.check(chosen, lambda rows: self.examples.batch(np.asarray(rows)), piece.tolist()):
                break
        for module, training in modes.items():
            module.training = training

    def add_up(self, batches: Batches, *, step: int, clip_norm: float) -> list[ClippedBatch]:
        """Leave the sum of the clipped gradients of all micro-batches in ``released``; report on each micro-batch."""
        self.engine.zero_grad()
        if isinstance(self.engine, ClippingEngine):
            self.engine.clip_norm = clip_norm
        seed_dropout(self.key, step)
        reports = [self.engine.accumulate(self.loss, batch, size) for batch, size in batches]
        self.engine.fill_missing()
        return reports

    def divide(self, divisor: float) -> None:
        """Turn the noisy sums into an estimate of the mean."""
        for parameter in self.released:
            assert parameter.grad is not None  # add_up leaves one in every parameter
            parameter.grad.mul_(1 / divisor)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs beside the weights."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint's state."""

    def apply(self, optimizer: torch.optim.Optimizer) -> None:
        """Move the weights by the estimate."""
        optimizer.step()
