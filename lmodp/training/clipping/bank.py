"""Per-example gradients of all one-dimensional parameters, in one buffer.

Biases and the weights of norms are formed explicitly, (B, p), and live until the clip factors are known. As tensors of
their own they would lie scattered between the activations that the backward pass frees, and keep that memory from being
used again; in one buffer made before the forward pass they cost one norm and one product together.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lmodp.training.clipping.contributions import is_wide


class VectorBank:
    """A (B, total) buffer with a slice for every one-dimensional parameter it holds.

    Held are those of 32 bits or more which have the dtype and device of the first such one.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], batch_size: int):
        vectors = [value for value in parameters if value.dim() == 1 and is_wide(value)]
        same = [value for value in vectors if (value.dtype, value.device) == (vectors[0].dtype, vectors[0].device)]
        self.slices: dict[nn.Parameter, slice] = {}
        total = 0
        for value in same:
            self.slices[value] = slice(total, total + value.numel())
            total += value.numel()
        self.values = same[0].new_empty(batch_size, total) if same else torch.empty(batch_size, 0)
        self._unset = set(same)  # their slices hold whatever was in the memory

    def holds(self, parameter: nn.Parameter) -> bool:
        """Whether the parameter has a slice here."""
        return parameter in self.slices

    def add(self, parameter: nn.Parameter, gradients: Tensor) -> None:
        """Add per-example gradients (B, p); several uses of a parameter add up."""
        place = self.slices[parameter]
        if parameter in self._unset:
            self._unset.discard(parameter)
            self.values[:, place] = gradients
        else:
            self.values[:, place] += gradients

    def gradients(self) -> Tensor:
        """Return the per-example gradients (B, total), zero for parameters that took no part."""
        while self._unset:
            self.values[:, self.slices[self._unset.pop()]] = 0
        return self.values

    def squared_norms(self) -> Tensor | None:
        """Return the squared norms (B,) over all held parameters; None if none is held."""
        return torch.linalg.vector_norm(self.gradients(), dim=1).square() if self.slices else None

    def add_weighted_sums(self, factors: Tensor, keep: Tensor | None, *, only: nn.Parameter | None = None) -> None:
        """Add ``sum_b factors_b * gradient_b`` to the parameters' ``.grad``, or to that of ``only`` one.

        ``keep`` are the indices of the examples to use, None for all; there is a factor for each.
        """
        chosen = self.slices if only is None else {only: self.slices[only]} if only in self.slices else {}
        if not chosen:
            return
        gradients = self.gradients()
        total = factors.to(gradients.dtype) @ (gradients if keep is None else gradients[keep])
        for parameter, place in chosen.items():
            if parameter.grad is None:
                parameter.grad = total[place]
            else:
                parameter.grad.add_(total[place])
