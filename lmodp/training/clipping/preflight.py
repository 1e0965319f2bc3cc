"""One look before training: the engine against plain backward passes on two examples.

Hooks cannot see everything a model may do: a weight used outside its layer, a
layer that mixes examples, a batch dimension that is not the first. So the norms
of two examples of one micro-batch are compared with one plain backward pass each.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lmodp.errors import Unsupported
from lmodp.training.clipping.engine import ClippingEngine
from lmodp.training.losses import Loss

TOLERANCE = 1e-2  # float32; a layer left out or counted twice is far outside


def check_engine(engine: ClippingEngine, loss: Loss, batch: Mapping[str, Tensor]) -> None:
    """Raise unless the engine's norms on a small batch are the true ones.

    Runs in evaluation mode, since two dropout masks would differ, and leaves no
    gradients behind. Nothing of the data leaves but the fact that it raised.

    Args:
        batch: one to a few examples.

    Raises:
        Unsupported: the norms differ; the largest difference and what to do are named.
    """
    training = engine.model.training
    engine.model.eval()
    size = len(next(iter(batch.values())))
    found = engine.accumulate(loss, batch, size).norms
    expected = torch.stack([_plain_norm(engine, loss, _example(batch, index)) for index in range(size)])
    engine.zero_grad()
    engine.model.train(training)
    usable = torch.isfinite(expected)
    scale = expected[usable].max().clamp_min(1e-6) if bool(usable.any()) else 1.0
    if bool((usable & ~((found - expected).abs() <= TOLERANCE * scale)).any()):
        raise Unsupported(_explanation(engine.model, found, expected))


def _example(batch: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    return {name: value[index : index + 1] for name, value in batch.items()}


def _plain_norm(engine: ClippingEngine, loss: Loss, batch: Mapping[str, Tensor]) -> Tensor:
    engine.zero_grad()
    losses = loss(engine.model, batch)
    gradients = torch.autograd.grad(losses.sum(), engine.parameters, allow_unused=True)
    return torch.stack([value.square().sum() for value in gradients if value is not None]).sum().sqrt()


def _explanation(model: nn.Module, found: Tensor, expected: Tensor) -> str:
    return (
        f"per-example gradient norms of {type(model).__name__} come out as {found.tolist()} but are "
        f"{expected.tolist()}: a trained weight is used outside its layer, or a layer mixes the examples "
        "of a batch. Freeze the layer at fault (halve the trainable part to find it)."
    )
