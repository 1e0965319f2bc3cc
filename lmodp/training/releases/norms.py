"""How the clip norm of a step is set."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from lmodp.errors import require
from lmodp.mechanisms.releases import Fixed, Quantile
from lmodp.training.clipping.engine import ClippedBatch

_LARGEST = 700.0  # exponent of a double


class FixedNorm:
    """The same clip norm at every step; nothing is released beside the sum."""

    def __init__(self, part: Fixed, *, clip_norm: float, device: torch.device):
        self.part, self.value, self.released = part, clip_norm, list[nn.Parameter]()

    def count(self, reports: Sequence[ClippedBatch], clip_norm: float) -> None:
        """Leave what is released beside the sum in ``released``, given the clip norm that was used."""

    def update(self, expected_batch_size: float, clip_norm: float) -> None:
        """Choose the next clip norm from what was released."""


class QuantileNorm(FixedNorm):
    """A clip norm that follows a noisy quantile of the norms, see `lmodp.mechanisms.releases.Quantile`."""

    part: Quantile

    def __init__(self, part: Fixed, *, clip_norm: float, device: torch.device):
        super().__init__(part, clip_norm=clip_norm, device=device)
        self.released = [nn.Parameter(torch.zeros(1, device=device))]

    def count(self, reports: Sequence[ClippedBatch], clip_norm: float) -> None:
        """Leave the count of norms within the clip norm, less that of the others, times the share.

        A norm that is not finite counts as one of the others.
        """
        signed = sum(2 * int((report.norms <= clip_norm).sum()) - len(report.norms) for report in reports)
        self.released[0].grad = torch.full_like(self.released[0], self.part.share * clip_norm * signed)

    def update(self, expected_batch_size: float, clip_norm: float) -> None:
        """Move the clip norm towards the quantile; what this reads is noisy already.

        Raises:
            InvalidValue: the clip norm is 0 or infinite in doubles.
        """
        assert self.released[0].grad is not None
        noisy = float(self.released[0].grad) / (self.part.share * clip_norm)
        fraction = (noisy / expected_batch_size + 1) / 2
        power = -self.part.rate * (fraction - self.part.quantile)
        self.value *= math.exp(power) if power < _LARGEST else math.inf
        rule = f"left the range of numbers by Quantile(rate={self.part.rate:g})"
        require(0 < self.value < math.inf, "clip_norm", self.value, rule, "Lower the rate, or raise the batch size.")
