"""The non-private counterpart of the clipping engine: one ordinary backward pass."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lmodp.plan import Plan
from lmodp.training.clipping.engine import ClippedBatch, ClippingEngine, require_per_example
from lmodp.training.losses import Loss


class PlainEngine:
    """Adds sums of gradients to ``.grad``, as `ClippingEngine` without clipping.

    An example whose loss is not finite is counted, not left out: a plain backward
    pass cannot separate the examples.
    """

    def __init__(self, model: nn.Module):
        self.model = model
        self.parameters = [value for value in model.parameters() if value.requires_grad]

    zero_grad = ClippingEngine.zero_grad
    fill_missing = ClippingEngine.fill_missing

    def accumulate(self, loss: Loss, batch: Mapping[str, Tensor], batch_size: int) -> ClippedBatch:
        """Add one micro-batch's gradient sum to ``.grad``; norms stand for losses' finiteness only."""
        if batch_size == 0:
            empty = torch.zeros(0)
            return ClippedBatch(empty, empty, empty)
        losses = loss(self.model, batch)
        require_per_example(losses, batch_size)
        losses.sum().backward()
        losses = losses.detach()
        return ClippedBatch(losses, losses, torch.ones_like(losses))


def build_engine(model: nn.Module, plan: Plan) -> ClippingEngine | PlainEngine:
    """Return the engine that the plan asks for."""
    if plan.clipping == "none":
        return PlainEngine(model)
    return ClippingEngine(model, clip_norm=plan.clip_norm, clipping=plan.clipping)
