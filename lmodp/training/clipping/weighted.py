"""The clipped sum: one weighted product a contribution, added into a buffer.

``sum_b c_b * gradient_b`` with c the clip factors. The factors go onto the
narrower of the two operands, so that the fewest numbers are touched.
"""

from __future__ import annotations

from torch import Tensor

from lmodp.training.clipping.contributions import Contribution, Explicit, Outer, Rows, example_pieces, memory_of


class WeightedSums:
    """Adds ``sum_b factors_b * gradient_b`` to parameters' buffers, for one micro-batch's factors.

    Args:
        factors: (B,), finite.
    """

    def __init__(self, factors: Tensor):
        self.factors = factors
        self._scaled: tuple[Tensor, Tensor] | None = None  # the last right factor, before and after scaling

    def add(self, part: Contribution, total: Tensor, *, fresh: bool) -> None:
        """Add one contribution's weighted sum.

        Args:
            part: the contribution, B examples.
            total: buffer of the parameter's shape, float32 or float64.
            fresh: the buffer holds nothing yet; it is then overwritten.
        """
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
            else:
                right = (
                    self._scaled_right(right, factors)
                    if part.right.dtype == total.dtype
                    else right * factors.to(total.dtype)[:, None, None]
                )
            total.addmm_(left.flatten(0, 1).t(), right.flatten(0, 1), beta=beta)
            beta = 1

    def forget(self) -> None:
        """Release what is kept for a next parameter that reads the same input."""
        self._scaled = None

    def _scaled_right(self, right: Tensor, factors: Tensor) -> Tensor:
        """Return a layer's scaled input: query, key and value come one after another and read the same."""
        held = self._scaled
        if held is not None and memory_of(held[0]) == memory_of(right):
            return held[1]
        self._scaled = None  # its memory serves for the next one
        scaled = right * factors.to(right.dtype)[:, None, None]
        self._scaled = (right, scaled)
        return scaled

    def _add_rows(self, part: Rows, total: Tensor, fresh: bool) -> None:
        if fresh:
            total.zero_()
        weight = self.factors.to(total.dtype)[:, None] * (part.ids >= 0)
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
