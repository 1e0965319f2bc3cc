"""Clipped sums of per-example gradients from one forward and one backward pass.

`ClippingEngine.accumulate` is ghost clipping in its one-pass form, book-keeping
(Bu et al. 2023); the README in this folder explains it on one page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmodp.errors import InvalidValue, require
from lmodp.training.clipping.norms import joint_squared_norms
from lmodp.training.clipping.preflight import plain_norms, require_equal_norms
from lmodp.training.clipping.recording import recording, tapped_layers
from lmodp.training.clipping.weighted import WeightedSums
from lmodp.training.losses import Loss

AUTOMATIC_OFFSET = 0.01  # gamma of Bu et al. 2022, equation 3: keeps the factor finite at norm 0


@dataclass(frozen=True)
class ClippedBatch:
    """What a micro-batch of B examples yielded beside its clipped sum, each (B,).

    ``norms`` before clipping, ``factors`` as applied (0 where not finite).
    """

    losses: Tensor
    norms: Tensor
    factors: Tensor

    @property
    def non_finite(self) -> int:
        """Number of examples whose gradient was not finite and was left out."""
        return int((~torch.isfinite(self.norms)).sum())

    @property
    def clipped(self) -> int:
        """Number of examples whose gradient was shortened (or left out)."""
        return int((self.factors < 1).sum())


def clip_factors(norms: Tensor, *, clip_norm: float, clipping: str) -> Tensor:
    """Return the factor of each example's gradient.

    flat: min(1, C / norm). automatic: C / (norm + 0.01). none: 1.

    Guarantees:
        Every gradient times its factor has an L2 norm of at most ``clip_norm``
        (automatic: strictly less), so adding or removing one example moves the sum
        by at most ``clip_norm``; this is the sensitivity of both rules.

    Edge cases:
        =====================  ==================================================
        norm 0                 flat 1, automatic C/0.01; the product is 0 in both
        norm inf or nan        0, the example contributes nothing
        clip_norm inf, none    1 (not private)
        =====================  ==================================================

    Args:
        norms: (B,), L2 norms before clipping.
        clip_norm: C > 0.
        clipping: "flat", "automatic" or "none".

    References:
        Abadi et al. (2016); Bu et al. (2022), arXiv:2206.07136, equation 3.
    """
    if clipping == "automatic":
        factors = clip_norm / (norms + AUTOMATIC_OFFSET)
    elif clipping == "flat":
        factors = (clip_norm / norms).clamp_max(1)
    else:
        require(clipping == "none", "clipping", clipping, "must be flat, automatic or none")
        factors = torch.ones_like(norms)
    return torch.where(torch.isfinite(norms), factors, 0.0)


class GradientSums:
    """The trained parameters of a model and the sums in their ``.grad``."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.parameters = [value for value in model.parameters() if value.requires_grad]

    def zero_grad(self) -> None:
        """Forget the sums; their memory is released."""
        for parameter in self.parameters:
            parameter.grad = None

    def fill_missing(self) -> None:
        """Give parameters that no example reached a zero gradient."""
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)


class ClippingEngine(GradientSums):
    """Adds clipped sums of per-example gradients to the parameters' ``.grad``.

    Guarantees:
        * After `accumulate`, ``.grad`` of every trainable parameter has grown by
          ``sum_b factors_b * gradient_b``, the gradient being that of example b's
          loss with respect to all trainable parameters together (one joint norm).
        * An example's share depends on that example alone.

    Edge cases:
        ==========================  ============================================
        empty micro-batch           nothing is added
        gradient not finite         left out and counted, the others unharmed
        parameter not used          receives a zero gradient
        tied or reused parameter    one gradient, cross terms included
        ==========================  ============================================

    Args:
        model: its trainable parameters are those that require gradients now.
        clip_norm: C; ``inf`` only with ``clipping`` "none".
        clipping: see `clip_factors`.

    Raises:
        Unsupported: a trainable layer has no rule; raised here, before training.
    """

    def __init__(self, model: nn.Module, *, clip_norm: float, clipping: str):
        super().__init__(model)
        self.clip_norm, self.clipping = clip_norm, clipping
        self.layers = tapped_layers(model)
        for value in self.parameters:  # torch's fused optimisers misread a gradient of another layout
            value.data = value.data.contiguous()

    def accumulate(self, loss: Loss, batch: Mapping[str, Tensor], batch_size: int) -> ClippedBatch:
        """Add one micro-batch's clipped sum to ``.grad``.

        Args:
            loss: ``loss(model, batch)`` returns B losses, the b-th a function of
                example b alone.
            batch: tensors whose first dimension is B.
            batch_size: B >= 0.
        """
        if batch_size == 0:
            return nothing_drawn()
        with recording(self.layers, batch_size) as recorded:
            losses = loss(self.model, batch)
            require_per_example(losses, batch_size)
            if losses.requires_grad:  # else no trained layer took part
                losses.sum().backward()  # each layer's rule leaves its contributions in `recorded`
            losses = losses.detach()
        squared = joint_squared_norms(recorded.parts.values(), recorded.vectors)
        norms = torch.zeros_like(losses) if squared is None else squared.clamp_min(0).sqrt()
        factors = clip_factors(norms, clip_norm=self.clip_norm, clipping=self.clipping)
        sums = WeightedSums(factors, torch.isfinite(norms))
        recorded.vectors.add_weighted_sums(sums.factors, sums.keep)
        for parameter, part in recorded.take_parts():
            sums.add(part, parameter)
        return ClippedBatch(losses, norms, factors)

    def check(self, loss: Loss, batch: Mapping[str, Tensor]) -> None:
        """Raise unless the norms of a small batch are those of plain backward passes (`preflight`).

        Runs in evaluation mode, since two dropout masks would differ, and leaves no
        gradients behind. Of the data, nothing gets out except whether this raised.

        Args:
            loss: as for `accumulate`.
            batch: one to a few examples.

        Raises:
            Unsupported: the norms differ; they and what to do are named.
        """
        training = self.model.training
        self.model.eval()
        found = self.accumulate(loss, batch, len(next(iter(batch.values())))).norms
        self.zero_grad()
        expected = plain_norms(self.model, self.parameters, loss, batch)
        self.model.train(training)
        require_equal_norms(found, expected, self.model)


class PlainEngine(GradientSums):
    """The non-private counterpart: adds sums of gradients by one ordinary backward pass.

    An example whose loss is not finite is counted, not left out: a plain backward
    pass cannot separate the examples.
    """

    def accumulate(self, loss: Loss, batch: Mapping[str, Tensor], batch_size: int) -> ClippedBatch:
        """Add one micro-batch's gradient sum to ``.grad``.

        In the answer the losses stand in for the norms, which are not known: they
        say which examples are not finite.
        """
        if batch_size == 0:
            return nothing_drawn()
        losses = loss(self.model, batch)
        require_per_example(losses, batch_size)
        losses.sum().backward()
        losses = losses.detach()
        return ClippedBatch(losses, losses, torch.ones_like(losses))


def nothing_drawn() -> ClippedBatch:
    """Return the answer for a micro-batch without examples."""
    empty = torch.zeros(0)
    return ClippedBatch(empty, empty, empty)


def require_per_example(losses: Tensor, batch_size: int) -> None:
    """Raise `InvalidValue` unless the loss function returned one loss per example."""
    if losses.shape != (batch_size,):
        raise InvalidValue(
            f"loss = shape {tuple(losses.shape)}: must be one loss an example, "
            f"shape ({batch_size},). Use reduction='none' and average per example."
        )
