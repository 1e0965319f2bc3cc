"""Gaussian noise, the family every other is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from lmodp.errors import require
from lmodp.mechanisms.noise import ArrayLike, Noise, require_factor


@dataclass(frozen=True, kw_only=True)
class Gaussian(Noise):
    """Centred normal law.

    Args:
        std: standard deviation, finite and above 0, in units of the released sum.
    """

    family: ClassVar[str] = "gaussian"
    std: float = math.nan  # a default that is refused; without one the base's property would be it

    def __post_init__(self) -> None:
        valid = isinstance(self.std, (int, float)) and 0 < self.std < math.inf
        require(valid, "std", self.std, "must be finite and above 0")
        object.__setattr__(self, "std", float(self.std))

    def to_dict(self) -> dict[str, Any]:
        return {"family": self.family, "std": self.std}

    def scaled(self, factor: float) -> Self:
        require_factor(factor)
        return type(self)(std=self.std * factor)

    def log_survival(self, x: ArrayLike) -> np.ndarray:
        return math.log(2) + log_ndtr(-np.maximum(np.asarray(x, dtype=np.float64), 0) / self.std)

    def log_density(self, x: ArrayLike) -> np.ndarray:
        z = np.asarray(x, dtype=np.float64) / self.std
        return -z * z / 2 - math.log(self.std * math.sqrt(2 * math.pi))

    def score(self, x: ArrayLike) -> np.ndarray:
        return np.asarray(x, dtype=np.float64) / self.std**2

    def inverse_log_survival(self, exponent: ArrayLike) -> np.ndarray:
        return -self.std * ndtri_exp(-np.asarray(exponent, dtype=np.float64) - math.log(2))

    @property
    def variance(self) -> float:
        return self.std**2

    @property
    def mean_abs(self) -> float:
        return self.std * math.sqrt(2 / math.pi)

    @property
    def entropy(self) -> float:
        return math.log(self.std * math.sqrt(2 * math.pi * math.e))

    @property
    def fisher_information(self) -> float:
        return self.std**-2

    @property
    def score_maximum(self) -> float:
        return math.inf
