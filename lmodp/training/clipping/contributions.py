"""One example's gradient in factored form: what ghost clipping keeps of a layer.

A layer's per-example gradient is never needed as such. What is needed is its squared norm (`norms`) and, once the clip
factors are known, a weighted sum over the batch (`weighted`). Both follow from factors that the forward and the
backward pass hold anyway:

==========  =================================================  ===================
class       factors                                            gradient of example b
==========  =================================================  ===================
`Outer`     left (B, T, p), right (B, T, d)                    sum_t left_t right_t^T
`Rows`      ids (B, T), grad (B, T, d), V rows                 sum_t e(ids_t) grad_t^T
`Explicit`  value (B, *shape)                                  value
==========  =================================================  ===================

References:
    Goodfellow (2015), arXiv:1510.01799 (norms from factors); Li et al. (2022),
    arXiv:2110.05679, section 4 (ghost clipping); Bu et al. (2023), arXiv:2210.00038
    (book-keeping: norms and sums from one backward pass).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

WIDENED = 1 << 24  # numbers of a 16-bit tensor that are converted to float32 at once


@dataclass(frozen=True)
class Outer:
    """``sum_t left_t right_t^T``: left (B, T, p), right (B, T, d)."""

    left: Tensor
    right: Tensor


@dataclass(frozen=True)
class Rows:
    """``sum_t e(ids_t) grad_t^T``: ids (B, T) with -1 for no row, grad (B, T, d)."""

    ids: Tensor
    grad: Tensor
    rows: int


@dataclass(frozen=True)
class Explicit:
    """The gradient itself: value (B, *shape)."""

    value: Tensor


Contribution = Outer | Rows | Explicit


def select(part: Contribution, keep: Tensor) -> Contribution:
    """Return the contribution of the examples with these indices only."""
    if isinstance(part, Outer):
        return Outer(part.left[keep], part.right[keep])
    return Rows(part.ids[keep], part.grad[keep], part.rows) if isinstance(part, Rows) else Explicit(part.value[keep])


def outer_or_explicit(left: Tensor, right: Tensor) -> Outer | Explicit:
    """Return the cheaper form of ``sum_t left_t right_t^T``.

    The explicit form holds p*d numbers per example and costs T*p*d products; the factors hold T*(p + d) and their Gram
    form costs T*T*(p + d). Divided by T, both comparisons are the same one, so the explicit form is taken exactly where
    it is smaller *and* cheaper: LoRA matrices, heads, long sequences on narrow layers.
    """
    length, width = left.shape[1], left.shape[2] * right.shape[2]
    if width > length * (left.shape[2] + right.shape[2]):
        return Outer(left, right)
    return Explicit(torch.bmm(wide_enough(left).transpose(1, 2), wide_enough(right)))


def rows_or_explicit(ids: Tensor, grad: Tensor, rows: int) -> Rows | Explicit:
    """Return the smaller form of an embedding's gradient: explicit where the table is short."""
    if rows > ids.shape[1]:
        return Rows(ids, grad, rows)
    return Explicit(dense_rows(Rows(ids, grad, rows)))


def dense_rows(part: Rows) -> Tensor:
    """Return a `Rows` gradient as (B, V, d), by one product with a 0-1 matrix (B, V, T)."""
    grad = wide_enough(part.grad)
    row = torch.arange(part.rows, device=part.ids.device)
    return torch.bmm((part.ids[:, None, :] == row[:, None]).to(grad.dtype), grad)


def live_positions(inputs: Tensor | None, grad: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return a layer's input (B, T, ...), if any, and output gradient (B, T, p) without positions of no loss.

    A classifier reads one position, so above its last attention layer every other position has an output gradient of
    exactly zero; so has padding. Such positions add nothing to a per-example gradient and cost as much as the rest. If
    at most half of the positions lie between the first and the last with a gradient of any example, copies of that
    range (n >= 1) are returned, so that the whole tensors can be released. Otherwise the tensors are returned as they
    are.
    """
    # On a GPU every layer would have to wait for the device.
    if grad.shape[1] == 1 or grad.device.type != "cpu":
        return inputs, grad
    # Look at one feature first: if it is non-zero nearly everywhere, the gradient is dense and we stop; otherwise it
    # usually gives the range already.
    start, end = _range_of(grad[:, :, 0] != 0)
    if 2 * (end - start) > grad.shape[1]:
        return inputs, grad
    if torch.count_nonzero(grad[:, :start]) or torch.count_nonzero(grad[:, end:]):
        start, end = _range_of((grad != 0).any(-1))
        if 2 * (end - start) > grad.shape[1]:
            return inputs, grad
    return (None if inputs is None else inputs[:, start:end].clone()), grad[:, start:end].clone()


def _range_of(live: Tensor) -> tuple[int, int]:
    """Return the first position where (B, T) is true for any example and the one after the last; (0, 1) if none is."""
    found = live.any(0).nonzero()
    return (int(found[0]), int(found[-1]) + 1) if len(found) else (0, 1)


def sum_positions(tensor: Tensor) -> Tensor:
    """Return the sum over positions: (B, T, d) -> (B, d)."""
    wide = wide_enough(tensor)
    return wide.squeeze(1) if wide.shape[1] == 1 else wide.sum(1)


def is_wide(tensor: Tensor) -> bool:
    """Whether a tensor has 32 bits or more."""
    return tensor.dtype in (torch.float32, torch.float64)


def wide_enough(tensor: Tensor) -> Tensor:
    """Return the tensor in float32 at least: norms are never formed in 16 bits."""
    return tensor if is_wide(tensor) else tensor.float()


def example_pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield all examples at once, or a few at a time if a 16-bit tensor has to be converted.

    The float32 copy of a language model's (B, T, V) gradient would be the largest tensor of the step.
    """
    narrow = [tensor.shape[1:].numel() for tensor in tensors if not is_wide(tensor)]
    if not narrow:
        yield tensors
        return
    yield from zip(*(tensor.split(max(1, WIDENED // max(narrow))) for tensor in tensors), strict=True)


def memory_of(tensor: Tensor) -> tuple[int, torch.Size, tuple[int, ...], torch.dtype]:
    """Return a key that two views of the same numbers share, as long as one of them is alive."""
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
