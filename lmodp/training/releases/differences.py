"""What a step of a zeroth-order method sums up: clipped loss differences along public random directions."""

from collections.abc import Iterator
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from lmodp.errors import Unsupported
from lmodp.mechanisms.releases import Differences
from lmodp.plan import Plan
from lmodp.training.clipping.engine import ClippedBatch, GradientSums, clip_factors, require_wide
from lmodp.training.clipping.guard import MOST, look_at_losses, mixing_layers
from lmodp.training.examples import Examples, unlike
from lmodp.training.losses import Loss, in_precision
from lmodp.training.randomness import device_generator, seed_dropout
from lmodp.training.releases.sums import Batches, ClippedSums
from lmodp.training.settings import TrainingSettings

PIECE = 1 << 18  # numbers of a direction that are drawn at once: no second copy of the weights is held
TOLERANCE = 0.02  # of a difference, whose rounding is a loss's over 2 mu; float32 needs a tenth of it at mu = 1e-3


class DifferenceSums(ClippedSums):
    """Sums of clipped vectors of K loss differences, by 2K forward passes and no backward pass.

    Directions are drawn again whenever they are needed, from a stream that is not that of the noise; they may be
    public. The estimate of the gradient is sum_k v_k z_k / K, with v the noisy sums over the divisor; plain SGD
    without decay adds it to the weights piece by piece, so that nothing of the weights' size is held beside them.

    Float rounding of a loss counts 1/(2 mu) times in a difference, and changes with the batch. As all floating point,
    it is not part of the proof; 16 bits are refused, since there it is larger than any clip norm in use.

    Raises:
        Unsupported: a loss depends on the other examples of a batch, by a layer that mixes them or by rounding; losses
            or trained parameters have 16 bits; or nothing is clipped.
    """

    def __init__(
        self, model: nn.Module, *, plan: Plan, examples: Examples, loss: Loss, settings: TrainingSettings, key: str
    ):
        require_wide(model)
        wrong = ["clipping 'none' bounds nothing."] if plan.clipping == "none" else []
        if settings.precision != "float32":
            wrong.append(f"precision = {settings.precision!r} rounds losses by more than they differ. Use float32.")
        if wrong := [*mixing_layers(model), *wrong]:
            raise Unsupported("loss differences cannot be clipped per example:\n  " + "\n  ".join(wrong))
        self.part = cast(Differences, plan.releases.step)
        self.loss, self.key, self.clipping = in_precision(loss, settings.precision), key, plan.clipping
        self.plain = GradientSums(model)
        self.parameters, self.device = self.plain.parameters, self.plain.parameters[0].device
        self.released = [nn.Parameter(torch.zeros(self.part.directions, device=self.device))]
        self.step, training = 0, model.training
        model.train()
        look_at_losses(
            model,
            partial(self.plain.losses, self.loss),
            lambda rows: examples.batch(np.array(rows)),
            unlike(examples, MOST).tolist(),
            tolerance=2 * self.part.smoothing * TOLERANCE,
        )
        model.train(training)

    @torch.no_grad()
    def add_up(self, batches: Batches, *, step: int, clip_norm: float) -> list[ClippedBatch]:
        """Leave the sum of clipped vectors in ``released``, shape (K,); report on each micro-batch."""
        self.step, found = step, list[tuple[Tensor, Tensor]]()
        for number in range(self.part.directions):
            up = self._losses(batches, number, self.part.smoothing)
            down = self._losses(batches, number, -2 * self.part.smoothing)
            self._move(number, self.part.smoothing)
            found.append((up, (up - down) / (2 * self.part.smoothing)))
        losses = torch.stack([up for up, _ in found]).mean(0)
        vectors = torch.stack([difference for _, difference in found], dim=1).float()  # (n, K)
        norms = torch.linalg.vector_norm(vectors, dim=1)
        factors = clip_factors(norms, clip_norm=clip_norm, clipping=self.clipping)
        shares = torch.where(torch.isfinite(norms)[:, None], vectors, 0.0)
        self.released[0].grad = factors @ shares
        return [ClippedBatch(losses, norms, factors)]

    def _losses(self, batches: Batches, number: int, distance: float) -> Tensor:
        """Move the weights along a direction; return all examples' losses there, (n,)."""
        self._move(number, distance)
        seed_dropout(self.key, self.step)
        found = [self.plain.losses(self.loss, batch, size) for batch, size in batches]
        return torch.cat(found) if found else torch.zeros(0, device=self.device)

    def _directions(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pieces of the weights, each with its part of the step's direction."""
        generator = device_generator(self.key, f"direction {number}", self.step, self.device)
        for parameter in self.parameters:
            for piece in parameter.detach().view(-1).split(PIECE):
                yield piece, torch.randn(piece.shape, generator=generator, device=self.device, dtype=piece.dtype)

    def _move(self, number: int, distance: float) -> None:
        for piece, direction in self._directions(number):
            piece.add_(direction, alpha=distance)

    @torch.no_grad()
    def apply(self, optimizer: torch.optim.Optimizer) -> None:
        """Move the weights by the estimate: in place under plain SGD, else through ``.grad``."""
        assert self.released[0].grad is not None
        values = (self.released[0].grad / self.part.directions).tolist()
        group = optimizer.param_groups[0]
        if type(optimizer) is torch.optim.SGD and not group["weight_decay"] and not group["momentum"]:
            for number, value in enumerate(values):
                self._move(number, -group["lr"] * value)
            return
        gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        pieces = [piece for gradient in gradients for piece in gradient.view(-1).split(PIECE)]
        for number, value in enumerate(values):
            for piece, (_, direction) in zip(pieces, self._directions(number), strict=True):
                piece.add_(direction, alpha=value)
        optimizer.step()
