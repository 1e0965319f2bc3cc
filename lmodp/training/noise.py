"""Noise on the device: any law of the suite by inverting one table.

With R a word of 64 random bits, U = (low 53 bits + 1) / 2^53 is uniform on (0, 1],
E = -log U (in float64) is a standard exponential, |X| = x(E) by the law's
`SamplerTable`, and the top bit of R is the sign.

Accuracy: x is within 2^-26 of the exact inverse by the table, E is rounded once
to float32 and the cubic costs four float32 roundings; together a draw lies within
`RELATIVE_ERROR` of the exact inverse at its U. The tail is complete down to
P(|X| > x) = 2^-53, where E = 36.7: with 10^9 coordinates and 10^4 steps one draw
beyond it is expected in 900 runs. (A float32 uniform would end at 2^-24, which
such a run passes at every step.)
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from lmodp.errors import require
from lmodp.mechanisms import Noise, SamplerTable, sampler_table

RELATIVE_ERROR = 6e-7  # ten float32 roundings; the largest seen is below half of it
CHUNK = 1 << 16  # numbers drawn at once: every temporary stays in a core's cache
_LOW_BITS = (1 << 53) - 1


@lru_cache(maxsize=64)
def _float32_table(noise: Noise) -> SamplerTable:
    return sampler_table(noise).restricted(torch.finfo(torch.float32).max)


class DeviceNoise:
    """Draws of one law on one device.

    Guarantees:
        * Draws are independent, symmetric and of the law ``noise``, to the accuracy
          stated above; sign and magnitude come from different bits.
        * A generator in a given state gives the same draws, on one device and
          torch version, however the calls are cut into shapes at multiples of
          ``CHUNK``.

    Args:
        noise: the law; its `SamplerTable` is made once and cached.
        device: where draws are made; generators must live there.

    Raises:
        Unsupported: no table reaches float32 accuracy for this law.
    """

    def __init__(self, noise: Noise, device: torch.device | str = "cpu"):
        table = _float32_table(noise)
        self.noise = noise
        self.device = torch.device(device)
        self.inverse_step, self.limit = float(table.inverse_step), float(table.limit)
        reached = min(len(table.coefficients), math.ceil(53 * math.log(2) * table.inverse_step) + 1)
        columns = torch.tensor(table.coefficients[:reached].T, dtype=torch.float32, device=device)
        self.columns = [column.contiguous() for column in columns]

    def magnitudes(self, words: Tensor) -> Tensor:
        """Return |X| in float32 for random 64-bit words (int64), same shape."""
        uniform = torch.bitwise_and(words, _LOW_BITS).to(torch.float64).add_(1).mul_(2.0**-53)
        exponent = uniform.log_().neg_().to(torch.float32).clamp_(max=self.limit)
        position = exponent * self.inverse_step
        index = position.to(torch.int32).clamp_(max=len(self.columns[0]) - 1)
        offset = position.sub_(index)
        ratio = self.columns[3].index_select(0, index)
        for column in reversed(self.columns[:3]):
            ratio = torch.addcmul(column.index_select(0, index), ratio, offset)
        return ratio.mul_(exponent)

    def draw_chunk(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return (|X|, X) for ``size`` fresh draws."""
        words = torch.empty(size, dtype=torch.int64, device=self.device)
        words.random_(-(1 << 63), None, generator=generator)
        magnitude = self.magnitudes(words)
        return magnitude, torch.where(words < 0, -magnitude, magnitude)

    def add_to(self, total: Tensor, *, scale: float, generator: torch.Generator, meter: NoiseMeter) -> None:
        """Add ``scale`` times fresh draws to every coordinate of a contiguous tensor."""
        flat = total.view(-1)
        for start in range(0, flat.numel(), CHUNK):
            piece = flat[start:start + CHUNK]
            magnitude, value = self.draw_chunk(piece.numel(), generator)
            meter.take(magnitude)
            piece.add_(value.to(piece.dtype), alpha=scale)


def draw(noise: Noise, shape: tuple[int, ...], generator: torch.Generator, device: torch.device | str = "cpu") -> Tensor:
    """Return independent float32 draws of a law.

    Args:
        noise: the law of one coordinate.
        shape: of the result.
        generator: a torch generator on ``device``.
    """
    source, found = DeviceNoise(noise, device), torch.empty(shape, device=device)
    flat = found.view(-1)
    for start in range(0, flat.numel(), CHUNK):
        piece = flat[start:start + CHUNK]
        piece.copy_(source.draw_chunk(piece.numel(), generator)[1])
    return found


class NoiseMeter:
    """Measures the noise as it is added: a run's own evidence of the scale it used.

    Two statistics of |X| in units of the law: the mean, compared with E|X| where
    the variance is finite, and the share of draws below the law's median, compared
    with one half, which works for every law. Both tolerances are six standard
    deviations of an honest run.
    """

    TOLERANCE = 6.0

    def __init__(self, noise: Noise):
        self.noise = noise
        self.median = float(noise.inverse_log_survival(math.log(2)))
        self.draws, self.sum_abs, self.below_median = 0, 0.0, 0

    def take(self, magnitude: Tensor) -> None:
        """Take the magnitudes of one chunk."""
        self.draws += magnitude.numel()
        self.sum_abs += float(magnitude.sum(dtype=torch.float64))
        self.below_median += int((magnitude <= self.median).sum())

    def state(self) -> dict[str, float]:
        """Return what a checkpoint needs."""
        return {"draws": self.draws, "sum_abs": self.sum_abs, "below_median": self.below_median}

    def restore(self, state: dict[str, float]) -> None:
        """Take up a checkpoint's state."""
        self.draws, self.sum_abs, self.below_median = state["draws"], state["sum_abs"], state["below_median"]

    def report(self, *, scale: float) -> dict[str, float | bool | None]:
        """Return the measured noise beside the plan's, for the conformance record.

        Args:
            scale: the factor that multiplied the draws; absolute values are times it.
        """
        require(self.draws > 0, "draws", self.draws, "no noise was measured")
        share, share_tolerance = self.below_median / self.draws, self.TOLERANCE * 0.5 / math.sqrt(self.draws)
        mean, deviation = self.noise.mean_abs, math.inf
        if math.isfinite(self.noise.variance):
            deviation = math.sqrt(max(self.noise.variance - mean**2, 0.0))
        measured = self.sum_abs / self.draws
        bounded = math.isfinite(deviation)
        tolerance = self.TOLERANCE * deviation / mean / math.sqrt(self.draws) if bounded else None
        return {
            "draws": self.draws,
            "mean_abs_measured": measured * scale,
            "mean_abs_expected": mean * scale if bounded else None,
            "mean_abs_ratio": measured / mean if bounded else None,
            "mean_abs_ratio_tolerance": tolerance,
            "share_below_median": share,
            "share_below_median_tolerance": share_tolerance,
            "within_tolerance": abs(share - 0.5) <= share_tolerance
            and (tolerance is None or abs(measured / mean - 1) <= tolerance),
        }
