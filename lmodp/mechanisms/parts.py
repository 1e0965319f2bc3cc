"""The four parts of a random rate: Gamma, truncated normal, exponential, uniform.

Each part is immutable, validates itself and gives the logarithm of its moment
generating function with two derivatives at ``weight * t``. From these three
numbers everything else about the noise follows: K = log M, K' is the mean and
K'' the variance of the rate under the law tilted by exp(tU).

References:
    Yang et al., LMO-DP, arXiv 2405.18776 (Gamma, truncated normal, exponential, uniform).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from lmodp.errors import require
from lmodp.mechanisms.arrays import Derivatives, Floats
from lmodp.mechanisms.special import (
    half_normal_moments,
    log_uniform_mgf,
    uniform_tilted_mean,
    uniform_tilted_variance,
)


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
            value = getattr(self, field.name)
            require(
                isinstance(value, (int, float)) and not isinstance(value, bool),
                self._name(field.name),
                value,
                "must be a number",
            )
            object.__setattr__(self, field.name, float(value))
            require(not math.isnan(value), self._name(field.name), value, "must not be NaN")
        require(
            0 <= self.weight < math.inf,
            self._name("weight"),
            self.weight,
            "must be finite and at least 0",
            "Leave the part out to switch it off.",
        )
        self._validate()

    def _name(self, field: str) -> str:
        return f"rate.{self.key}.{field}"

    def _positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            require(0 < value < math.inf, self._name(name), value, "must be finite and above 0")

    def _interval(self, low: float, high: float, *, bounded: bool) -> None:
        allowed = 0 <= low < math.inf
        require(allowed, self._name("low"), low, "must be finite and at least 0", "A rate is never negative.")
        require(low < high, self._name("high"), high, f"must be above low = {low!r}")
        require(not bounded or high < math.inf, self._name("high"), high, "must be finite")

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
        value, first, second = self._log_mgf(self.weight * t)
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
        require(math.isfinite(self.mean), self._name("mean"), self.mean, "must be finite")
        self._positive("std")
        self._interval(self.low, self.high, bounded=False)

    @property
    def minimum(self) -> float:
        """The lower end."""
        return self.low

    def _log_mgf(self, t: Floats) -> Derivatives:
        t = np.asarray(t, dtype=np.float64)
        width, start = (self.high - self.low) / self.std, (self.low - self.mean) / self.std
        log_mass, mean, variance = half_normal_moments(start - self.std * t, width)
        base, base_mean, base_variance = half_normal_moments(np.array(start), width)
        value = self.low * t + log_mass - base
        # Near t = 0 the difference of logarithms cancels; two exact cumulants and the mean
        # of both ends (Hermite quadrature of K') keep the relative accuracy.
        near = np.abs(self.std * t) * np.sqrt(base_variance) < 1e-3
        tilt = np.where(near, self.std * t, 0.0)
        hermite = tilt * ((base_mean + mean) / 2 + tilt * (base_variance - variance) / 12)
        value = np.where(near, self.low * t + hermite, value)
        return value, self.low + self.std * mean, self.std**2 * variance


PARTS: dict[str, type[RatePart]] = {
    part.key: part for part in (GammaPart, TruncatedNormalPart, ExponentialPart, UniformPart)
}
