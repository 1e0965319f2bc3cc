"""One example's gradient in factored form, and the two questions asked of it.

A layer's per-example gradient is never needed as such. What is needed is its
squared norm and, later, a weighted sum over the batch. Both follow from factors
that the forward and backward pass hold anyway:

==========  =================================================  ===================
class       factors                                            gradient of example b
==========  =================================================  ===================
`Outer`     left (B, T, p), right (B, T, d)                    sum_t left_t right_t^T
`Rows`      ids (B, T), grad (B, T, d), V rows                 sum_t e(ids_t) grad_t^T
`Explicit`  value (B, *shape)                                  value
==========  =================================================  ===================

A parameter used at several places (tied embeddings, a module called twice) has
several contributions; its squared norm is the sum of all pairwise inner
products, cross terms included.

References:
    Goodfellow (2015), arXiv:1510.01799 (norms from factors); Li et al. (2022),
    arXiv:2110.05679, section 4 (Gram form); Bu et al. (2023), arXiv:2210.00038
    (one backward pass).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

WIDENED = 1 << 24  # numbers of a 16-bit tensor that are widened at once
ROUNDING = 1.0  # units of rounding allowed for in a Gram form, see `squared_norm`


class GramCache:
    """Gram matrices of tensors that several layers share, for one micro-batch.

    Query, key and value read one input, the embeddings receive one gradient: each
    Gram matrix is then computed once. Such uses follow closely on one another, so
    the last four are enough. An entry keeps its tensor, so that the address in
    the key cannot come to mean another tensor.
    """

    SIZE = 4

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple, tuple[Tensor, tuple[Tensor, Tensor]]] = OrderedDict()

    def gram(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``rows @ rows^T`` per example, (B, T, d) -> (B, T, T), and its trace (B,).

        The matrix is valid for the next two calls. The trace is the sum of the rows' squared lengths.
        """
        key = memory_of(rows)
        if key not in self._entries:
            spare = None if len(self._entries) < self.SIZE else self._entries.popitem(last=False)[1][1][0]
            gram = _gram(rows, spare)
            self._entries[key] = rows, (gram, torch.diagonal(gram, dim1=1, dim2=2).sum(1))
        self._entries.move_to_end(key)
        return self._entries[key][1]


def memory_of(tensor: Tensor) -> tuple:
    """Return a key that two views of the same numbers share, as long as one of them lives."""
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def _gram(rows: Tensor, spare: Tensor | None) -> Tensor:
    """Return a Gram matrix, in the memory of one no longer needed where it fits.

    New memory each time would split the holes that freed activations leave.
    """
    if rows.shape[1] == 1:
        return torch.linalg.vector_norm(wide_enough(rows), dim=-1, keepdim=True).square()
    if not is_wide(rows) or spare is None or (spare.shape[:2], spare.dtype) != (rows.shape[:2], rows.dtype):
        return cross(rows, rows)
    return torch.bmm(rows, rows.transpose(1, 2), out=spare)


def sum_positions(tensor: Tensor) -> Tensor:
    """Return the sum over positions: (B, T, d) -> (B, d)."""
    wide = wide_enough(tensor)
    return wide.squeeze(1) if wide.shape[1] == 1 else wide.sum(1)


def live_positions(inputs: Tensor | None, grad: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return a layer's input and output gradient without the positions that nobody's loss depends on.

    A classifier reads one position, so above its last attention all others have an
    output gradient of exactly zero; so has padding. They add nothing to a
    per-example gradient and cost as much as the rest. The positions between the
    first and the last that are not zero for some example are kept, where that is at
    most half of them, as copies: the whole tensors can then be released.

    Args:
        inputs: (B, T, ...) or None.
        grad: (B, T, p).

    Returns:
        (B, n, ...) and (B, n, p), 1 <= n <= T.
    """
    # A GPU would have to be waited for, at every layer.
    if grad.shape[1] == 1 or grad.device.type != "cpu":
        return inputs, grad
    # One feature tells of a dense gradient that it is dense, without reading all of it; of others it mostly has the range.
    start, end = _range_of(grad[:, :, 0] != 0)
    if 2 * (end - start) > grad.shape[1]:
        return inputs, grad
    if torch.count_nonzero(grad[:, :start]) or torch.count_nonzero(grad[:, end:]):
        start, end = _range_of((grad != 0).any(-1))
        if 2 * (end - start) > grad.shape[1]:
            return inputs, grad
    return (None if inputs is None else inputs[:, start:end].clone()), grad[:, start:end].clone()


def _range_of(live: Tensor) -> tuple[int, int]:
    """Return the first position where (B, T) holds for somebody and the one after the last; (0, 1) if nowhere."""
    found = live.any(0).nonzero()
    return (int(found[0]), int(found[-1]) + 1) if len(found) else (0, 1)


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


def is_wide(tensor: Tensor) -> bool:
    """Whether a tensor has 32 bits or more."""
    return tensor.dtype in (torch.float32, torch.float64)


def wide_enough(tensor: Tensor) -> Tensor:
    """Return the tensor in float32 at least: norms are never formed in 16 bits."""
    return tensor if is_wide(tensor) else tensor.float()


def outer_or_explicit(left: Tensor, right: Tensor) -> Outer | Explicit:
    """Return the cheaper form of ``sum_t left_t right_t^T``.

    The explicit form holds p*d numbers an example and costs T*p*d products, the
    factors hold T*(p + d) and their Gram form costs T*T*(p + d). Both comparisons
    are the same one, so the explicit form is taken exactly where it is smaller
    *and* cheaper: LoRA matrices, heads, long sequences on narrow layers.
    """
    length, width = left.shape[1], left.shape[2] * right.shape[2]
    if width > length * (left.shape[2] + right.shape[2]):
        return Outer(left, right)
    return Explicit(torch.bmm(wide_enough(left).transpose(1, 2), wide_enough(right)))


def rows_or_explicit(ids: Tensor, grad: Tensor, rows: int) -> Rows | Explicit:
    """Return the smaller form of an embedding's gradient (small tables: explicit)."""
    if rows > ids.shape[1]:
        return Rows(ids, grad, rows)
    return Explicit(dense_rows(Rows(ids, grad, rows)))


def dense_rows(part: Rows) -> Tensor:
    """Return a `Rows` gradient as (B, V, d), by one product with a 0-1 matrix (B, V, T)."""
    grad = wide_enough(part.grad)
    row = torch.arange(part.rows, device=part.ids.device)
    return torch.bmm((part.ids[:, None, :] == row[:, None]).to(grad.dtype), grad)


def squared_norm(parts: list[Contribution], grams: GramCache) -> Tensor:
    """Return the squared norms (B,) of the summed contributions to one parameter.

    Guarantees: floating-point cancellation does not make a norm too small. Where
    an example's positions nearly cancel, the Gram form subtracts large numbers;
    `ROUNDING` units of the square of the sum without cancellation are added. That
    raises the norm of T positions in random directions by T/2 units of rounding
    (float32, T = 64: a relative 4e-6), and hides what the Gram form cannot see.
    """
    terms = [_norm_and_size(part, grams) for part in parts]
    total, size = terms[0] if len(terms) == 1 else _joint(parts, terms)
    return torch.add(total, size, alpha=ROUNDING * torch.finfo(total.dtype).eps)


def _joint(parts: list[Contribution], terms: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return `_norm_and_size` of a sum of contributions, cross terms included."""
    total = sum(norm for norm, _ in terms)
    for position, first in enumerate(parts):
        for second in parts[position + 1 :]:
            total = total + 2 * inner(first, second)
    return total, sum(size.sqrt() for _, size in terms).square()


def _norm_and_size(part: Contribution, grams: GramCache) -> tuple[Tensor, Tensor]:
    """Return the squared norm (B,) of one contribution, and a bound (B,) of it if nothing cancelled.

    By Cauchy-Schwarz, (sum_t |left_t| |right_t|)^2 <= sum_t |left_t|^2 * sum_t |right_t|^2.
    """
    if isinstance(part, Explicit):
        norm = torch.linalg.vector_norm(part.value.flatten(1), dim=1).square()
        return norm, norm
    if isinstance(part, Outer):
        (left, left_size), (right, right_size) = grams.gram(part.left), grams.gram(part.right)
        return torch.linalg.vecdot(left.flatten(1), right.flatten(1)), left_size * right_size
    gram, size = grams.gram(part.grad)
    return torch.where(same_row(part.ids, part.ids), gram, 0).sum((1, 2)), gram.shape[1] * size


def same_row(first: Tensor, second: Tensor) -> Tensor:
    """Return where two positions address one row: (B, T), (B, S) -> (B, T, S)."""
    return (first[:, :, None] == second[:, None, :]) & (first >= 0)[:, :, None]


def cross(first: Tensor, second: Tensor) -> Tensor:
    """Return all inner products of positions: (B, T, d), (B, S, d) -> (B, T, S)."""
    pieces = [
        torch.bmm(wide_enough(left), wide_enough(right).transpose(1, 2))
        for left, right in example_pieces(first, second)
    ]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def example_pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield all examples at once, or few at a time where a 16-bit tensor is widened.

    The float32 copy of a language model's (B, T, V) gradient would be the largest
    tensor of the step.
    """
    narrow = [tensor.shape[1:].numel() for tensor in tensors if not is_wide(tensor)]
    if not narrow:
        yield tensors
        return
    yield from zip(*(tensor.split(max(1, WIDENED // max(narrow))) for tensor in tensors), strict=True)


def inner(first: Contribution, second: Contribution) -> Tensor:
    """Return the per-example inner product (B,) of two contributions to one parameter."""
    if isinstance(first, Explicit) and isinstance(second, Explicit):
        return (first.value * second.value).flatten(1).sum(1)
    if isinstance(first, Explicit):
        return inner(second, first)
    if isinstance(first, Rows) and isinstance(second, Outer):
        return inner(second, first)
    if isinstance(first, Outer):
        return _inner_outer(first, second)
    return _inner_rows(first, second)


def _inner_outer(first: Outer, second: Contribution) -> Tensor:
    if isinstance(second, Outer):
        return (cross(first.left, second.left) * cross(first.right, second.right)).sum((1, 2))
    if isinstance(second, Rows):
        # <sum_s left_s right_s^T, sum_t e_t grad_t^T> = sum_st left_s[ids_t] (right_s . grad_t)
        index = second.ids.clamp_min(0)[:, None, :].expand(-1, first.left.shape[1], -1)
        picked = torch.gather(first.left, 2, index) * (second.ids >= 0)[:, None, :]
        return (picked * cross(first.right, second.grad)).sum((1, 2))
    projected = torch.bmm(wide_enough(first.left), second.value.to(wide_enough(first.left).dtype))
    return (projected * first.right).sum((1, 2))


def _inner_rows(first: Rows, second: Rows | Explicit) -> Tensor:
    if isinstance(second, Rows):
        return torch.where(same_row(first.ids, second.ids), cross(first.grad, second.grad), 0).sum((1, 2))
    width = first.grad.shape[2]
    index = first.ids.clamp_min(0)[..., None].expand(-1, -1, width)
    picked = torch.gather(second.value, 1, index) * (first.ids >= 0)[..., None]
    return (picked * first.grad).sum((1, 2))
