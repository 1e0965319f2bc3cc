"""Ghost norms: each example's joint gradient norm, from contributions alone.

A parameter used at several places (tied embeddings, a module called twice) has several contributions; its squared norm
is the sum of all pairwise inner products, cross terms included.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable, Sequence
from functools import reduce

import torch
from torch import Tensor

from lmodp.training.clipping.contributions import (
    Contribution,
    Explicit,
    Outer,
    Rows,
    example_pieces,
    memory_of,
    wide_enough,
)
from lmodp.training.clipping.weighted import VectorBank

ROUNDING = 1.0  # units of rounding allowed for in a Gram form, see `squared_norm`


def joint_squared_norms(parts: Collection[Sequence[Contribution]], vectors: VectorBank) -> Tensor | None:
    """Return the squared norm (B,) of each example's gradient with respect to all trained parameters together, or None.

    ``parts`` are the contributions to each parameter, without those in ``vectors``; without any, no trained layer took
    part. The order of the additions decides the last bits of a run: parameters used once, vectors, parameters used
    several times.
    """
    grams, of_vectors = GramCache(), vectors.squared_norms()
    terms = [squared_norm(uses, grams) for uses in parts if len(uses) == 1]
    terms += [] if of_vectors is None else [of_vectors]
    terms += [squared_norm(uses, grams) for uses in parts if len(uses) > 1]
    return reduce(torch.add, terms) if terms else None


def squared_norm(parts: Sequence[Contribution], grams: GramCache) -> Tensor:
    """Return the squared norms (B,) of the summed contributions to one parameter.

    Guarantees: floating-point cancellation does not make a norm too small. Where
    an example's positions nearly cancel, the Gram form subtracts large numbers; `ROUNDING` units of the square of the
    sum without cancellation are added. That raises the norm of T positions in random directions by T/2 units of
    rounding (float32, T = 64: a relative 4e-6), and covers what the Gram form cannot see.
    """
    terms = [_norm_and_bound(part, grams) for part in parts]
    total, bound = terms[0]
    if len(terms) > 1:
        total = reduce(torch.add, [norm for norm, _ in terms])
        for position, first in enumerate(parts):
            for second in parts[position + 1 :]:
                total = total + 2 * inner(first, second)
        bound = reduce(torch.add, [size.sqrt() for _, size in terms]).square()
    return torch.add(total, bound, alpha=ROUNDING * torch.finfo(total.dtype).eps)


def _norm_and_bound(part: Contribution, grams: GramCache) -> tuple[Tensor, Tensor]:
    """Return the squared norm (B,) of one contribution, and an upper bound (B,) for the case that nothing cancels.

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


class GramCache:
    """Gram matrices of tensors that several layers share, for one micro-batch.

    Query, key and value read one input, the embeddings receive one gradient: each Gram matrix is then computed once.
    Such uses follow closely on one another, so the last four are enough. An entry keeps its tensor alive, so that the
    address in the key cannot come to mean another tensor.
    """

    SIZE = 4

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, tuple[Tensor, Tensor, Tensor]] = OrderedDict()

    def gram(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``rows @ rows^T`` per example, (B, T, d) -> (B, T, T), and its trace (B,).

        The trace is the sum of the rows' squared lengths.
        """
        key = memory_of(rows)
        if key not in self._entries:
            if len(self._entries) == self.SIZE:
                self._entries.popitem(last=False)
            gram = _gram(rows)
            self._entries[key] = rows, gram, torch.diagonal(gram, dim1=1, dim2=2).sum(1)
        self._entries.move_to_end(key)
        _, gram, trace = self._entries[key]
        return gram, trace


def _gram(rows: Tensor) -> Tensor:
    if rows.shape[1] == 1:
        return torch.linalg.vector_norm(wide_enough(rows), dim=-1, keepdim=True).square()
    return cross(rows, rows)


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


def inner(first: Contribution, second: Contribution) -> Tensor:
    """Return the per-example inner product (B,) of two contributions to one parameter."""
    if isinstance(first, Outer):
        return _inner_outer(first, second)
    if isinstance(second, Outer):
        return _inner_outer(second, first)
    if isinstance(first, Rows):
        return _inner_rows(first, second)
    if isinstance(second, Rows):
        return _inner_rows(second, first)
    return (first.value * second.value).flatten(1).sum(1)


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
