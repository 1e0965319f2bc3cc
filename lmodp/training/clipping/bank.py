"""Per-example gradients of all one-dimensional parameters, in one buffer.

Biases and the weights of norms are formed explicitly, (B, p), and live until the
clip factors are known. As tensors of their own they would lie scattered between
the activations that the backward pass frees, and keep that memory from being
used again; in one buffer made before the forward pass they cost one norm and one
product together.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lmodp.training.clipping.contributions import is_wide


class VectorBank:
    """A (B, total) buffer with a slice for every one-dimensional parameter it holds.

    Args:
        parameters: the trainable parameters; those of one dimension, of 32 bits or
            more, and of the first such one's dtype and device are held.
        batch_size: B.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], batch_size: int):
        vectors = [value for value in parameters if value.dim() == 1 and is_wide(value)]
        same = [value for value in vectors if (value.dtype, value.device) == (vectors[0].dtype, vectors[0].device)]
        self.places: dict[nn.Parameter, tuple[int, int]] = {}
        total = 0
        for value in same:
            self.places[value] = (total, total + value.numel())
            total += value.numel()
        self.values = same[0].new_empty(batch_size, total) if same else None
        self._unset = set(same)

    def holds(self, parameter: nn.Parameter) -> bool:
        """Whether the parameter has a slice here."""
        return parameter in self.places

    def add(self, parameter: nn.Parameter, gradients: Tensor) -> None:
        """Add per-example gradients (B, p); several uses of a parameter add up."""
        start, end = self.places[parameter]
        if parameter in self._unset:
            self._unset.discard(parameter)
            self.values[:, start:end] = gradients
        else:
            self.values[:, start:end] += gradients

    def squared_norms(self) -> Tensor | None:
        """Return the squared norms (B,) over all held parameters, None where there are none."""
        if self.values is None:
            return None
        for start, end in map(self.places.get, self._unset):
            self.values[:, start:end] = 0
        self._unset = set()
        return torch.linalg.vector_norm(self.values, dim=1).square()

    def add_weighted_sums(self, factors: Tensor, keep: Tensor | None) -> None:
        """Add ``sum_b factors_b * gradient_b`` to the parameters' ``.grad``.

        Args:
            factors: (B,), or as many as are kept.
            keep: indices of the examples to use; None for all.
        """
        if self.values is None:
            return
        values = self.values if keep is None else self.values[keep]
        total = factors.to(values.dtype) @ values
        for parameter, (start, end) in self.places.items():
            if parameter.grad is None:
                parameter.grad = total[start:end]
            else:
                parameter.grad.add_(total[start:end])
