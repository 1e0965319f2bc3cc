"""How the noise of the steps hangs together."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lmodp.mechanisms.releases import Banded, Independent
from lmodp.training.noise import DeviceNoise, NoiseMeter, SphericalDeviceNoise


class IndependentNoise:
    """Fresh noise at every step.

    Args:
        source: draws the law.
        meter: measures what is drawn.
    """

    def __init__(self, part: Independent, *, source: DeviceNoise | SphericalDeviceNoise, meter: NoiseMeter):
        self.part, self.source, self.meter = part, source, meter

    def add(self, sums: Sequence[Tensor], *, scale: float, generator: torch.Generator) -> None:
        """Add a step's noise, ``scale`` times the law, to every coordinate of contiguous tensors."""
        self.source.add_to_all(sums, scale=scale, generator=generator, meter=self.meter)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs beside the step's number."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint's state."""


class BandedNoise(IndependentNoise):
    """Rows of C^-1 Z as a stream: w_t = (z_t - c_1 w_(t-1) - ... - c_(b-1) w_(t-b+1)) / c_0; b - 1 rows are kept."""

    part: Banded

    def __init__(self, part: Independent, *, source: DeviceNoise | SphericalDeviceNoise, meter: NoiseMeter):
        super().__init__(part, source=source, meter=meter)
        self.past: deque[list[Tensor]] = deque(maxlen=part.bands - 1)

    def add(self, sums: Sequence[Tensor], *, scale: float, generator: torch.Generator) -> None:
        """Add the step's row to the sums."""
        row = [torch.zeros_like(total) for total in sums]
        super().add(row, scale=scale, generator=generator)
        first, *others = self.part.coefficients
        for coefficient, past in zip(others, self.past, strict=False):
            for value, before in zip(row, past, strict=True):
                value.sub_(before, alpha=coefficient)
        for total, value in zip(sums, row, strict=True):
            total.add_(value.div_(first))
        self.past.appendleft(row)

    def state(self) -> dict[str, Any]:
        """Return the rows that are kept, the last one first."""
        return {"past": list(self.past)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the rows."""
        device = self.source.device
        self.past.extend([value.to(device) for value in row] for row in state["past"])
