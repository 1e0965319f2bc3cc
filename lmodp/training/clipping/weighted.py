"""The clipped sum, the second half of book-keeping: one weighted product per contribution.

``sum_b c_b * gradient_b`` with c the clip factors, from the factors that the backward pass left. The clip factors are
multiplied onto the narrower of the two operands, so that the fewest numbers are touched.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lmodp.training.clipping.contributions import Contribution, Outer, Rows, example_pieces, is_wide, memory_of, select


class WeightedSums:
    """Adds ``sum_b factors_b * gradient_b`` to parameters' ``.grad``, for one micro-batch's finite clip factors (B,).

    A factor of zero does not silence an example whose gradient is not finite, since 0 * nan = nan. So examples that are
    not ``usable`` (bool, (B,)) are taken out of the products.
    """

    def __init__(self, factors: Tensor, usable: Tensor | None = None):
        self.keep = None if usable is None or bool(usable.all()) else usable.nonzero().squeeze(1)
        self.factors = factors if self.keep is None else factors[self.keep]
        self._scaled: tuple[Tensor, Tensor] | None = None  # the last right factor, before and after scaling

    def add(self, part: Contribution, parameter: nn.Parameter) -> None:
        """Add one contribution's weighted sum to its parameter's ``.grad``, which is made if there is none."""
        if self.keep is not None:
            part = select(part, self.keep)
        fresh = parameter.grad is None  # new memory may hold anything: the first product overwrites it
        total = torch.empty_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = total
        if isinstance(part, Outer):
            self._add_outer(part, total, fresh)
        elif isinstance(part, Rows):
            self._add_rows(part, total, fresh)
        else:
            flat = part.value.to(total.dtype).flatten(1)
            total.view(-1).addmv_(flat.t(), self.factors.to(total.dtype), beta=0 if fresh else 1)

    def _add_outer(self, part: Outer, total: Tensor, fresh: bool) -> None:
        beta = 0 if fresh else 1
        for left, right, factors in example_pieces(part.left, part.right, self.factors):
            left, right = left.to(total.dtype), right.to(total.dtype)
            if left.shape[2] < right.shape[2]:
                left = left * factors.to(total.dtype)[:, None, None]
            elif part.right.dtype == total.dtype:
                right = self._scaled_right(right, factors)
            else:
                right = right * factors.to(total.dtype)[:, None, None]
            total.addmm_(left.flatten(0, 1).t(), right.flatten(0, 1), beta=beta)
            beta = 1

    def _scaled_right(self, right: Tensor, factors: Tensor) -> Tensor:
        """Return a layer's scaled input: query, key and value come one after another and read the same one."""
        if self._scaled is None or memory_of(self._scaled[0]) != memory_of(right):
            self._scaled = None  # its memory serves for the next one
            self._scaled = right, right * factors.to(right.dtype)[:, None, None]
        return self._scaled[1]

    def _add_rows(self, part: Rows, total: Tensor, fresh: bool) -> None:
        if fresh:
            total.zero_()
        weight = self.factors.to(total.dtype)[:, None] * (part.ids >= 0)
        scaled = part.grad.to(total.dtype) * weight[..., None]
        total.index_add_(0, part.ids.clamp_min(0).flatten(), scaled.flatten(0, 1))


class VectorBank:
    """A (B, total) buffer with a slice for every one-dimensional parameter it holds.

    Biases and the weights of norms are formed explicitly, and live until the clip factors are known. As tensors of
    their own they would lie scattered between the activations that the backward pass frees, and keep that memory from
    being used again; in one buffer made before the forward pass they cost one norm and one product together.
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
