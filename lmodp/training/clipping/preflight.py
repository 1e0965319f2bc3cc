"""One look before training: the engine's norms against plain backward passes, on two examples.

Hooks cannot see everything a model may do: a weight used outside its layer, a
layer that mixes examples, a batch dimension that is not the first. So the norms
of two examples of one micro-batch are compared with one plain backward pass each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lmodp.errors import Unsupported
from lmodp.training.losses import Loss

TOLERANCE = 1e-2  # float32; a layer left out or counted twice is far outside


def plain_norms(
    model: nn.Module, parameters: Sequence[nn.Parameter], loss: Loss, batch: Mapping[str, Tensor]
) -> Tensor:
    """Return the gradient norms (B,) of the examples, by one plain backward pass each."""
    norms = []
    for index in range(len(next(iter(batch.values())))):
        losses = loss(model, {name: value[index : index + 1] for name, value in batch.items()})
        gradients = torch.autograd.grad(losses.sum(), parameters, allow_unused=True)
        norms.append(torch.stack([value.square().sum() for value in gradients if value is not None]).sum().sqrt())
    return torch.stack(norms)


def require_equal_norms(found: Tensor, expected: Tensor, model: nn.Module) -> None:
    """Raise `Unsupported`, which gives both and says what to do, unless the norms (B,) agree.

    Examples whose true norm is not finite are left out of the comparison.
    """
    usable = torch.isfinite(expected)
    scale = expected[usable].max().clamp_min(1e-6) if bool(usable.any()) else 1.0
    if bool((usable & ~((found - expected).abs() <= TOLERANCE * scale)).any()):
        raise Unsupported(
            f"per-example gradient norms of {type(model).__name__} come out as {found.tolist()} but are "
            f"{expected.tolist()}: a trained weight is used outside its layer, or a layer mixes the examples "
            "of a batch. Freeze the layer at fault (halve the trainable part to find it)."
        )
