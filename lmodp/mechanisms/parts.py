"""The four parts of a random rate: Gamma, truncated normal, exponential, uniform.

Each part is immutable, validates itself and gives the logarithm of its moment
generating function with two derivatives at ``weight * t``. From these three
numbers everything else about the noise follows: K = log M, K' is the mean and
K'' the variance of the rate under the law tilted by exp(tU).

References:
    Yang et al., LMO-DP, arXiv 2405.18776 (Gamma, truncated normal, exponential, uniform).
"""

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from lmodp.errors import require
from lmodp.mechanisms.arrays import Derivatives, Floats
from lmodp.mechanisms.noise import LARGEST, number, positive
from lmodp.mechanisms.special import (
    far_inside,
    half_normal_moments,
    log_uniform_mgf,
    uniform_tilted_mean,
    uniform_tilted_variance,
)

_WEIGHTS = 1e-90, 1e90
_FARTHEST = 1e300  # |t| of a part; at -inf a minimum of 0 would give 0 times infinity
_LARGEST_SLOPE = 1e302  # beyond it a law on the half line is at 0, for doubles


@dataclass(frozen=True, kw_only=True)
class RatePart(ABC):
    """One non-negative random summand of the rate, times ``weight``.

    Subclasses give the unweighted law through `_log_mgf`; this class applies the
    weight, validates and serialises.
    """

    key: ClassVar[str]
    weight: float

    def __post_init__(self) -> None:
        for field in fields(self):
            name, infinite = self._name(field.name), field.default == math.inf
            object.__setattr__(self, field.name, number(name, getattr(self, field.name), infinite=infinite))
        remedy = "Leave the part out to switch it off."
        require(self.weight >= 0, self._name("weight"), self.weight, "must be finite and at least 0", remedy)
        if self.active:
            positive(self._name("weight"), self.weight, *_WEIGHTS)
        self._validate()

    def _name(self, field: str) -> str:
        return f"rate.{self.key}.{field}"

    def _positive(self, *names: str) -> None:
        for name in names:
            positive(self._name(name), getattr(self, name))

    def _interval(self, low: float, high: float, *, bounded: bool) -> None:
        require(low >= 0, self._name("low"), low, "must be finite and at least 0", "A rate is never negative.")
        require(low < high, self._name("high"), high, f"must be above low = {low!r}")
        if bounded or high < math.inf:
            positive(self._name("high"), high)
        require(low <= LARGEST, self._name("low"), low, f"must be at most {LARGEST:g}")

    @abstractmethod
    def _validate(self) -> None:
        """Raise an error if a parameter is outside its range."""

    @abstractmethod
    def _log_mgf(self, t: Floats) -> Derivatives:
        """Return K, K', K'' of the unweighted part."""

    @property
    def active(self) -> bool:
        """Whether the part contributes anything (weight above 0)."""
        return self.weight > 0

    @property
    def bound(self) -> float:
        """Supremum of the t at which the unweighted MGF is finite."""
        return math.inf

    @property
    def minimum(self) -> float:
        """Smallest value the unweighted part takes."""
        return 0.0

    @property
    def exponent(self) -> float:
        """e such that P(part <= u) behaves as u**e near 0; ``inf`` if bounded away from 0."""
        return math.inf if self.minimum > 0 else 1.0

    @property
    def domain(self) -> float:
        """Supremum of the t at which the weighted part's MGF is finite."""
        return self.bound / self.weight if self.active else math.inf

    def log_mgf(self, t: Floats) -> Derivatives:
        """Return K, K', K'' of ``weight * part`` at ``t`` (inside the domain), each of t's shape."""
        value, first, second = self._log_mgf(np.maximum(self.weight * t, -_FARTHEST))
        return value, self.weight * first, self.weight**2 * second

    def scaled(self, factor: float) -> Self:
        """Return the part times ``factor``."""
        return replace(self, weight=self.weight * factor)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values, infinite ones left out."""
        return {name: value for name, value in asdict(self).items() if math.isfinite(value)}


@dataclass(frozen=True, kw_only=True)
class GammaPart(RatePart):
    """Gamma(shape k, scale theta): K(t) = -k log(1 - theta t) for t < 1/theta."""

    key: ClassVar[str] = "gamma"
    shape: float
    scale: float

    def _validate(self) -> None:
        self._positive("shape", "scale")

    @property
    def bound(self) -> float:
        """1/theta."""
        return 1 / self.scale

    @property
    def exponent(self) -> float:
        """The shape k."""
        return self.shape

    def _log_mgf(self, t: Floats) -> Derivatives:
        ratio = self.scale / (1 - self.scale * t)
        return -self.shape * np.log1p(-self.scale * t), self.shape * ratio, self.shape * ratio**2


@dataclass(frozen=True, kw_only=True)
class ExponentialPart(RatePart):
    """Exponential with the given *rate* lambda (mean 1/lambda): K(t) = -log(1 - t/lambda)."""

    key: ClassVar[str] = "exponential"
    rate: float

    def _validate(self) -> None:
        self._positive("rate")

    @property
    def bound(self) -> float:
        """The rate lambda."""
        return self.rate

    def _log_mgf(self, t: Floats) -> Derivatives:
        ratio = 1 / (self.rate - t)
        return -np.log1p(-t / self.rate), ratio, ratio**2


@dataclass(frozen=True, kw_only=True)
class UniformPart(RatePart):
    """Uniform on [low, high]: M(t) = (exp(high t) - exp(low t)) / ((high - low) t)."""

    key: ClassVar[str] = "uniform"
    low: float
    high: float

    def _validate(self) -> None:
        self._interval(self.low, self.high, bounded=True)

    @property
    def minimum(self) -> float:
        """The lower end."""
        return self.low

    def _log_mgf(self, t: Floats) -> Derivatives:
        width = self.high - self.low
        y = width * np.abs(t)  # measured from the end towards which the law is tilted
        down, tilted = t < 0, width * uniform_tilted_mean(y)
        value = np.where(down, self.low, self.high) * t + log_uniform_mgf(y)
        first = np.where(down, self.low + tilted, self.high - tilted)
        return value, first, width**2 * uniform_tilted_variance(y)


@dataclass(frozen=True, kw_only=True)
class TruncatedNormalPart(RatePart):
    """Normal(mean, std) restricted to [low, high]; ``high`` may be infinite (left out in JSON).

    With y = (U - low)/std the law tilted by exp(tU) has the density
    exp(-a y - y^2/2) on [0, (high - low)/std] with a = (low - mean)/std - std t,
    so M(t) = exp(low t) J0(a(t)) / J0(a(0)).
    """

    key: ClassVar[str] = "truncated_normal"
    mean: float
    std: float
    low: float = 0.0
    high: float = math.inf

    def _validate(self) -> None:
        require(abs(self.mean) <= LARGEST, self._name("mean"), self.mean, f"must be at most {LARGEST:g} in size")
        self._positive("std")
        self._interval(self.low, self.high, bounded=False)

    @property
    def minimum(self) -> float:
        """The lower end."""
        return self.low

    def _log_mgf(self, t: Floats) -> Derivatives:
        t = np.asarray(t, dtype=np.float64)
        width, start = (self.high - self.low) / self.std, (self.low - self.mean) / self.std
        log_mass, mean, variance = half_normal_moments(np.minimum(start - self.std * t, _LARGEST_SLOPE), width)
        base, base_mean, base_variance = half_normal_moments(np.array(start), width)
        value = self.low * t + log_mass - base
        # Near t = 0 the difference of logarithms cancels; two exact cumulants and the mean
        # of both ends (Hermite quadrature of K') keep the relative accuracy.
        # So they do for a whole normal law, of which K' is linear.
        near = np.abs(self.std * t) * np.sqrt(base_variance) < 1e-3
        near |= far_inside(np.asarray(start), width) & far_inside(start - self.std * t, width)
        tilt = np.where(near, self.std * t, 0.0)
        hermite = tilt * ((base_mean + mean) / 2 + tilt * (base_variance - variance) / 12)
        value = np.where(near, self.low * t + hermite, value)
        return value, self.low + self.std * mean, self.std**2 * variance


PARTS: dict[str, type[RatePart]] = {
    part.key: part for part in (GammaPart, TruncatedNormalPart, ExponentialPart, UniformPart)
}
