"""Noise on the device: any law of the suite by inverting one table.

Of 64 random bits R, the low 52 make U = (k + 1) / 2^52, uniform on (0, 1]; E = -log U (in float64) is a standard
exponential; |X| = x(E) by the law's `SamplerTable`; the top bit of R is the sign.

Accuracy: the table is within 2^-26 of the exact inverse, straight pieces within `LINE_ERROR` of the table; E is rounded
once to float32, and the arithmetic adds a few float32 roundings. Together, a draw lies within a relative (`ROUNDINGS` +
kappa) * 2^-24 of the exact inverse at its U; where the density has a kink at 0, a draw below the median lies within so
much of the median. Here kappa = E x'(E) / x(E) is the effect of rounding E: 1 for a Laplace, below 2 for all published
laws except one, 12 at the end of that one's polynomial tail. The tail is complete down to P(|X| > x) = 2^-52, where E =
36.04. (A float32 uniform would end at 2^-24, which a model of 10^8 parameters exceeds six times per step.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lmodp.errors import Unsupported, require
from lmodp.mechanisms import Noise, SamplerTable, Spherical, sampler_table

ROUNDINGS = 4.0  # of 2^-24, in addition to those of E; the most observed is 3.5
CHUNK = 1 << 16  # numbers drawn at once on a CPU: every temporary stays in a core's cache
CUDA_CHUNK = 1 << 23  # on a GPU, few launches of large kernels
UNIFORM_BITS = 52
LINE_ERROR = 2.0**-25  # relative error of a straight piece at its middle: half a float32 unit in the last place
MOST_PIECES = 1 << 17
LARGEST_EXPONENT = UNIFORM_BITS * math.log(2)
_FRACTION = (1 << UNIFORM_BITS) - 1
_SIGN = -(1 << 31)  # the top bit of the high half of a word, and of a float32
_ONE = 0x3FF << UNIFORM_BITS  # the bits of 1.0: with a fraction they make a float64 in [1, 2)


@lru_cache(maxsize=64)
def _float32_table(noise: Noise) -> SamplerTable:
    return sampler_table(noise).restricted(torch.finfo(torch.float32).max)


class DeviceNoise:
    """Draws of one law on one device; its `SamplerTable` is made once and cached.

    Guarantees:
        * Draws are independent, symmetric and of the law ``noise``, to the accuracy stated above; sign and magnitude
          come from different bits.
        * A generator in a given state gives the same draws, on one device and torch version, however a request is cut
          at multiples of ``chunk``.

    Edge cases: a law whose tail exceeds the range of float32 is cut where its table ends (`SamplerTable.restricted`),
    with a probability below 2^-50 per draw.

    Raises:
        Unsupported: no table reaches float32 accuracy for this law.
    """

    def __init__(self, noise: Noise, device: torch.device | str = "cpu"):
        table = _float32_table(noise)
        self.noise, self.device = noise, torch.device(device)
        self.limit = min(float(table.limit), LARGEST_EXPONENT)
        columns, self.step = _columns(table, self.limit)
        self.columns = [torch.tensor(column, dtype=torch.float32, device=device) for column in columns]
        self.chunk = CHUNK if self.device.type == "cpu" else CUDA_CHUNK
        self.work = _Workspace(self.chunk, self.device)

    def draw_chunk(self, size: int, generator: torch.Generator) -> Tensor:
        """Return ``size`` <= ``chunk`` fresh draws, valid until the next call."""
        if size == 0:
            return self.work.ratio[:0]
        if self.device.type == "cpu":
            return self.from_words(_cpu_words(size, generator))
        words = self.work.words[:size]
        words.random_(-(1 << 63), None, generator=generator)
        return self.from_words(words)

    def from_words(self, words: Tensor) -> Tensor:
        """Return the draws (n), float32, that random int64 words (n) stand for, valid until the next call.

        The words are overwritten; there are at most ``chunk``.
        """
        work, size = self.work, len(words)
        position, offset, index = work.position[:size], work.offset[:size], work.index[:size]
        ratio, column, signs = work.ratio[:size], work.column[:size], work.signs[:size]
        torch.bitwise_and(words.view(torch.int32)[1::2], _SIGN, out=signs)
        # 1 + k/2^52 becomes (k + 1)/2^52, exactly.
        uniform = words.bitwise_and_(_FRACTION).bitwise_or_(_ONE).view(torch.float64).sub_(1 - 2.0**-UNIFORM_BITS)
        position.copy_(uniform.log_()).mul_(-self.step)
        if self.limit < LARGEST_EXPONENT:
            position.clamp_(max=self.limit * self.step)
        torch.frac(position, out=offset)
        index.copy_(position)
        torch.index_select(self.columns[-1], 0, index, out=ratio)
        for coefficients in reversed(self.columns[:-1]):
            torch.index_select(coefficients, 0, index, out=column)
            torch.addcmul(column, ratio, offset, out=ratio)
        ratio.mul_(position).view(torch.int32).bitwise_xor_(signs)
        return ratio

    def add_to_all(
        self, sums: Sequence[Tensor], *, scale: float, generator: torch.Generator, meter: NoiseMeter
    ) -> None:
        """Add ``scale`` times one draw of the law's vector to the coordinates of contiguous tensors."""
        for total in sums:
            self.add_to(total, scale=scale, generator=generator, meter=meter)

    def add_to(self, total: Tensor, *, scale: float, generator: torch.Generator, meter: NoiseMeter) -> None:
        """Add ``scale`` times fresh draws to every coordinate of a contiguous tensor."""
        for piece in total.view(-1).split(self.chunk):
            values = self.draw_chunk(piece.numel(), generator)
            piece.add_(values, alpha=scale)
            meter.take(values)


class SphericalDeviceNoise:
    """Draws of a spherical law: a normal vector, scaled to a norm of the law's own.

    The vector is drawn twice from the same state of the generator, for its norm and to be added, so that no second
    copy of the sums is held. In float64: a direction of few coordinates shows the end of float32's normal draws.

    Raises:
        InvalidValue: the sums have another number of coordinates than the law.
    """

    def __init__(self, noise: Spherical, device: torch.device | str = "cpu"):
        self.noise, self.device = noise, torch.device(device)
        self.chunk = CHUNK if self.device.type == "cpu" else CUDA_CHUNK

    def add_to_all(
        self, sums: Sequence[Tensor], *, scale: float, generator: torch.Generator, meter: NoiseMeter
    ) -> None:
        """Add ``scale`` times one draw of the law's vector to the coordinates of contiguous tensors."""
        coordinates = sum(total.numel() for total in sums)
        rule = f"is that of the noise, and {coordinates} coordinates are released"
        require(coordinates == self.noise.dimension, "dimension", self.noise.dimension, rule)
        uniform = float(torch.rand((), generator=generator, device=self.device, dtype=torch.float64))
        norm, state = float(self.noise.norm_quantile(1 - uniform)), generator.get_state()
        square = sum(float(values.square().sum()) for _, values in self._normals(sums, generator))
        generator.set_state(state)
        for piece, values in self._normals(sums, generator):
            drawn = values.mul_(norm / math.sqrt(square)).to(piece.dtype)
            piece.add_(drawn, alpha=scale)
            meter.take(drawn)

    def _normals(self, sums: Sequence[Tensor], generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for piece in (piece for total in sums for piece in total.view(-1).split(self.chunk)):
            yield piece, torch.randn(piece.shape, generator=generator, device=self.device, dtype=torch.float64)


def device_noise(noise: Noise, device: torch.device | str = "cpu") -> DeviceNoise | SphericalDeviceNoise:
    """Return what draws a law on a device."""
    return SphericalDeviceNoise(noise, device) if isinstance(noise, Spherical) else DeviceNoise(noise, device)


def _cpu_words(size: int, generator: torch.Generator) -> Tensor:
    """Return random 64-bit words (int64) of a stream whose seed is 256 bits of the generator.

    SFC64 makes a word in half the time of torch's Mersenne Twister.
    """
    seed = torch.empty(4, dtype=torch.int64).random_(-(1 << 63), None, generator=generator)
    sequence = np.random.SeedSequence(seed.numpy().view(np.uint32).tolist(), pool_size=8)  # 8 words of 32 bits
    return torch.from_numpy(np.random.SFC64(sequence).random_raw(size).view(np.int64))


def _line_table(table: SamplerTable, limit: float) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Return x(E)/E as straight pieces: each piece's value and rise, and the number of pieces per unit of E.

    Two look-ups and one multiply-add instead of four and three: on a CPU the look-ups dominate the cost of a draw. The
    table is the coarsest one whose midpoints agree with the cubics to `LINE_ERROR`; None if that takes too many pieces.
    """
    for level in range(4, 13):
        step = 2.0**level
        knots = np.arange(math.ceil(limit * step) + 1) / step
        if len(knots) > MOST_PIECES:
            return None
        values, middles = _ratio(table, knots), _ratio(table, knots[:-1] + 0.5 / step)
        if np.max(np.abs((values[1:] + values[:-1]) / (2 * middles) - 1)) <= LINE_ERROR:
            return values, np.append(np.diff(values), 0.0), step
    return None


def _ratio(table: SamplerTable, exponent: np.ndarray) -> np.ndarray:
    """Return x(E)/E, also at E = 0."""
    position = np.minimum(exponent * table.inverse_step, len(table.coefficients))
    index = np.minimum(position.astype(np.int64), len(table.coefficients) - 1)
    c, d = table.coefficients[index].T, position - index
    return c[0] + d * (c[1] + d * (c[2] + d * c[3]))


def _columns(table: SamplerTable, limit: float) -> tuple[list[np.ndarray], float]:
    """Return the coefficients of the pieces up to ``limit``, one array per power, and the pieces per unit of E.

    The coefficients are divided by that number, since the position step*E is used in
    place of E. One more piece continues the last one, for a position equal to the limit.
    """
    line = _line_table(table, limit)
    if line is not None:
        values, rises, step = line
        return [values / step, rises / step], step
    step = table.inverse_step
    found = table.coefficients[: math.ceil(limit * step)] / step
    beyond = [[found[-1].sum(), found[-1] @ [0, 1, 2, 3], 0.0, 0.0]]
    return list(np.concatenate([found, beyond]).T), step


class _Workspace:
    """Buffers of one chunk, allocated once."""

    def __init__(self, chunk: int, device: torch.device):
        self.words = torch.empty(0 if device.type == "cpu" else chunk, dtype=torch.int64, device=device)
        self.index, self.signs = torch.empty(2, chunk, dtype=torch.int32, device=device)
        self.position, self.offset, self.ratio, self.column = torch.empty(4, chunk, device=device)


def draw(
    noise: Noise, shape: tuple[int, ...], generator: torch.Generator, device: torch.device | str = "cpu"
) -> Tensor:
    """Return independent float32 draws of the law of one coordinate, in a shape; the generator lives on ``device``."""
    if not noise.independent:
        raise Unsupported(f"noise = {noise.family!r}: its coordinates are no independent draws")
    source, found = DeviceNoise(noise, device), torch.empty(shape, device=device)
    for piece in found.view(-1).split(source.chunk):
        piece.copy_(source.draw_chunk(piece.numel(), generator))
    return found


class NoiseMeter:
    """Measures the noise as it is added: a run's own evidence of the scale it used.

    Two statistics of |X| in units of the law. The mean over all draws is compared with E|X| if the variance is finite.
    The share of draws below the law's median, over the first `SAMPLE` draws of every chunk, is compared with one half;
    this works for every law. Both tolerances are six standard deviations of an honest run; where all coordinates of a
    vector have one norm, its part of the variance falls with the number of vectors only.
    """

    TOLERANCE = 6.0
    SAMPLE = 4096
    _COUNTS = ("draws", "sum_abs", "sampled", "below_median")

    def __init__(self, noise: Noise):
        self.noise = noise
        self.median = float(noise.inverse_log_survival(math.log(2)))
        self.draws, self.sum_abs, self.sampled, self.below_median = 0, 0.0, 0, 0

    def take(self, values: Tensor) -> None:
        """Take the draws of one chunk, in place: afterwards they are absolute values."""
        self.draws += values.numel()
        self.sum_abs += float(values.abs_().sum())
        sample = values[: self.SAMPLE]
        self.sampled += sample.numel()
        self.below_median += int((sample <= self.median).sum())

    def state(self) -> dict[str, float]:
        """Return what a checkpoint needs."""
        return {name: getattr(self, name) for name in self._COUNTS}

    def restore(self, state: dict[str, float]) -> None:
        """Take up a checkpoint's state."""
        for name in self._COUNTS:
            setattr(self, name, state[name])

    def report(self, *, scale: float) -> dict[str, float | bool | None]:
        """Return the measured noise and what the plan expects, times ``scale``, for the conformance record."""
        require(self.draws > 0, "draws", self.draws, "no noise was measured")
        of_mean, of_share = 0.0, 0.0
        if isinstance(self.noise, Spherical):
            vectors = self.draws / self.noise.dimension
            of_mean, of_share = (variance / vectors for variance in self.noise.between_vectors(self.median))
        share = self.below_median / self.sampled
        share_tolerance = self.TOLERANCE * math.sqrt(0.25 / self.sampled + of_share)
        mean, deviation = self.noise.mean_abs, math.inf
        if math.isfinite(self.noise.variance):
            deviation = math.sqrt(max(self.noise.variance - mean**2, 0.0))
        measured = self.sum_abs / self.draws
        bounded = math.isfinite(deviation)
        tolerance = self.TOLERANCE * math.sqrt(deviation**2 / self.draws + of_mean) / mean if bounded else None
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
