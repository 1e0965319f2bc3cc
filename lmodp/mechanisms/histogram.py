"""Noise with a piecewise constant density, as a convex programme finds it; the staircase mechanism is one."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from lmodp.errors import require
from lmodp.mechanisms.arrays import FloatLike, Floats, Integers
from lmodp.mechanisms.noise import Noise, number, positive

_SMALLEST = 1e-300  # of the tail's masses
_MOST = 10**6  # bins of the tail


@dataclass(frozen=True, kw_only=True)
class Histogram(Noise):
    """A law whose density is constant on bins of equal width, and falls by a constant factor a bin beyond them.

    Args:
        width: of a bin, finite and above 0.
        masses: P(|X| in bin) of the first bins, not rising, shape (n,); with the tail they sum to 1.
        ratio: of each bin's mass in the tail to the one before, from 0 to about 0.9993.
    """

    family: ClassVar[str] = "histogram"
    lengths: ClassVar[tuple[str, ...]] = ("width",)
    width: float
    masses: tuple[float, ...]
    ratio: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", positive("width", self.width))
        object.__setattr__(self, "masses", tuple(number("masses", each) for each in self.masses))
        object.__setattr__(self, "ratio", number("ratio", self.ratio))
        require(0 <= self.ratio < 1, "ratio", self.ratio, "must be in [0, 1)")
        falls = len(self.masses) > 0 and min(self.masses) > 0 and bool(np.all(np.diff(self.masses) <= 0))
        require(falls, "masses", self.masses, "must be above 0 and not rise")
        slow = self.ratio > 0 and math.log(self.ratio) > math.log(_SMALLEST / self.masses[-1]) / _MOST
        rule = f"leaves mass beyond {_MOST:,} bins, which doubles would not hold"
        require(not slow, "ratio", self.ratio, rule, "Use wider bins.")
        total = sum(self.masses) + self.masses[-1] * self.ratio / (1 - self.ratio)
        require(math.isclose(total, 1, rel_tol=1e-9), "masses", self.masses, "must sum to 1 with the tail")

    @cached_property
    def _bins(self) -> tuple[Floats, Floats]:
        """Masses of all bins down to 1e-300, normalised, and P(|X| > lower end), which is summed from the tail."""
        count = 0
        if self.ratio > 0:
            count = int(math.log(_SMALLEST / self.masses[-1]) / math.log(self.ratio))
        tail = self.masses[-1] * self.ratio ** np.arange(1.0, max(count, 0) + 1)
        masses = np.concatenate([self.masses, tail])
        beyond = np.cumsum(masses[::-1])[::-1]
        return masses / beyond[0], beyond / beyond[0]

    def _at(self, x: FloatLike) -> tuple[Integers, Floats]:
        """Return the bin of |x|, as an index, and the place in it."""
        place = np.abs(np.asarray(x, dtype=np.float64)) / self.width
        index = np.minimum(place, len(self._bins[0])).astype(np.int64)
        return index, place - index

    def log_survival(self, x: FloatLike) -> Floats:
        """Return log P(|X| > x); ``-inf`` beyond the last bin."""
        index, within = self._at(np.maximum(np.asarray(x, dtype=np.float64), 0.0))
        beyond, masses = np.append(self._bins[1], 0.0), np.append(self._bins[0], 0.0)
        with np.errstate(divide="ignore"):
            found: Floats = np.log(np.maximum(beyond[index] - within * masses[index], 0.0))
        return found

    def log_density(self, x: FloatLike) -> Floats:
        """Return log p(x), at a bin's end that of the bin beyond; ``-inf`` beyond the last bin."""
        with np.errstate(divide="ignore"):
            found: Floats = np.log(np.append(self._bins[0], 0.0) / (2 * self.width))[self._at(x)[0]]
        return found

    def log_density_bounds(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """The density between two knots is constant."""
        value = self.log_density((low + high) / 2)
        return value, value

    @property
    def knots(self) -> tuple[float, ...]:
        """The ends of the bins."""
        return tuple(self.width * np.arange(1.0, len(self._bins[0]) + 1))

    def score(self, x: FloatLike) -> Floats:
        """0 within a bin; the density's jumps have none."""
        return np.zeros_like(np.asarray(x, dtype=np.float64))

    def largest_loss(self, shift: float) -> float:
        """Return the largest log p(x - shift) - log p(x): the largest fall over as many bins as the shift meets."""
        bins = math.ceil(shift / self.width)
        extended = np.append(self.masses, self.masses[-1] * self.ratio ** np.arange(1.0, bins + 1))
        with np.errstate(divide="ignore"):
            logs = np.log(extended)
        return float(np.max(logs[:-bins] - logs[bins:]))

    def inverse_log_survival(self, exponent: FloatLike) -> Floats:
        """Return the x >= 0 with -log P(|X| > x) = ``exponent``."""
        masses, beyond = self._bins
        target = np.exp(-np.asarray(exponent, dtype=np.float64))
        index = np.clip(np.searchsorted(-beyond, -target, side="right") - 1, 0, len(masses) - 1)
        within = np.clip((beyond[index] - target) / masses[index], 0.0, 1.0)
        found: Floats = self.width * (index + within)
        return found

    @property
    def variance(self) -> float:
        """Of a uniform law in each bin: (k^2 + k + 1/3) width^2."""
        k = np.arange(float(len(self._bins[0])))
        return self.width**2 * float(self._bins[0] @ (k * k + k + 1 / 3))

    @property
    def mean_abs(self) -> float:
        """The mean of the bins' middles."""
        return self.width * float(self._bins[0] @ (np.arange(float(len(self._bins[0]))) + 0.5))

    @property
    def fisher_information(self) -> float:
        """``inf``: the density jumps."""
        return math.inf

    @property
    def sigma_effective(self) -> float:
        """0: spread over many coordinates, this noise hides nothing."""
        return 0.0
