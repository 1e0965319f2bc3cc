"""Gaussian noise, the family every other is compared with."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from lmodp.mechanisms.arrays import FloatLike, Floats
from lmodp.mechanisms.noise import Noise, positive

_RANGE = 1e-90, 1e90  # its square is a double


@dataclass(frozen=True, kw_only=True)
class Gaussian(Noise):
    """Centred normal law.

    Args:
        std: standard deviation, finite and above 0, in units of the released sum.
    """

    family: ClassVar[str] = "gaussian"
    lengths: ClassVar[tuple[str, ...]] = ("std",)
    std: float = math.nan  # a default that is refused; without one the base's property would be it

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", positive("std", self.std, *_RANGE))

    def log_survival(self, x: FloatLike) -> Floats:
        """Return log(2 Phi(-x/std)), accurate far into the tail."""
        log_tail: Floats = log_ndtr(-np.maximum(np.asarray(x, dtype=np.float64), 0) / self.std)
        return math.log(2) + log_tail

    def log_density(self, x: FloatLike) -> Floats:
        """Return -x^2/(2 std^2) - log(std sqrt(2 pi))."""
        z = np.asarray(x, dtype=np.float64) / self.std
        return -z * z / 2 - math.log(self.std * math.sqrt(2 * math.pi))

    def score(self, x: FloatLike) -> Floats:
        """Return x/std^2."""
        return np.asarray(x, dtype=np.float64) / self.std**2

    def inverse_log_survival(self, exponent: FloatLike) -> Floats:
        """Return the x with 2 Phi(-x/std) = exp(-``exponent``)."""
        lower: Floats = ndtri_exp(-np.asarray(exponent, dtype=np.float64) - math.log(2))
        return -self.std * lower

    @property
    def variance(self) -> float:
        """std^2."""
        return self.std**2

    @property
    def mean_abs(self) -> float:
        """std sqrt(2/pi)."""
        return self.std * math.sqrt(2 / math.pi)

    @property
    def entropy(self) -> float:
        """log(std sqrt(2 pi e))."""
        return math.log(self.std * math.sqrt(2 * math.pi * math.e))

    @property
    def fisher_information(self) -> float:
        """1/std^2."""
        return self.std**-2
