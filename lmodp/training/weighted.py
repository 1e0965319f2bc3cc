"""The clipped sum: one weighted product a contribution, added into a buffer.

``sum_b c_b * gradient_b`` with c the clip factors. The factors go onto the
narrower of the two operands, so that the fewest numbers are touched.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmodp.training.contributions import Contribution, Explicit, Outer, Rows, example_pieces


def add_weighted_sum(part: Contribution, factors: Tensor, total: Tensor, *, fresh: bool) -> None:
    """Add ``sum_b factors_b * gradient_b`` to a parameter's buffer.

    Args:
        part: the contribution, B examples.
        factors: (B,), finite.
        total: buffer of the parameter's shape, float32 or float64.
        fresh: the buffer holds nothing yet; it is then overwritten.
    """
    if isinstance(part, Outer):
        _add_outer(part, factors, total, fresh)
    elif isinstance(part, Rows):
        _add_rows(part, factors, total, fresh)
    else:
        flat = part.value.to(total.dtype).flatten(1)
        total.view(-1).addmv_(flat.t(), factors.to(total.dtype), beta=0 if fresh else 1)


def _add_outer(part: Outer, factors: Tensor, total: Tensor, fresh: bool) -> None:
    beta = 0 if fresh else 1
    for left, right, scale in example_pieces(part.left, part.right, factors.to(total.dtype)[:, None, None]):
        left, right = left.to(total.dtype), right.to(total.dtype)
        if left.shape[2] <= right.shape[2]:
            left = left * scale
        else:
            right = right * scale
        total.addmm_(left.flatten(0, 1).t(), right.flatten(0, 1), beta=beta)
        beta = 1


def _add_rows(part: Rows, factors: Tensor, total: Tensor, fresh: bool) -> None:
    if fresh:
        total.zero_()
    weight = factors.to(total.dtype)[:, None] * (part.ids >= 0)
    scaled = part.grad.to(total.dtype) * weight[..., None]
    total.index_add_(0, part.ids.clamp_min(0).flatten(), scaled.flatten(0, 1))


def select_examples(part: Contribution, keep: Tensor) -> Contribution:
    """Return the contribution of the kept examples only (index tensor ``keep``).

    A factor of zero does not silence an example that is not finite, since
    0 * nan = nan; such examples are taken out of the product instead.
    """
    if isinstance(part, Outer):
        return Outer(part.left[keep], part.right[keep])
    if isinstance(part, Rows):
        return Rows(part.ids[keep], part.grad[keep], part.rows)
    return Explicit(part.value[keep])
