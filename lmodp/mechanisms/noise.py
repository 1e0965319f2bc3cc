"""The interface of every noise law: data for accountants, samplers and tables.

A `Noise` is the law of one coordinate: symmetric about 0, unimodal, immutable and
hashable. It knows nothing of privacy. Infinite moments are ``math.inf``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from lmodp.errors import require
from lmodp.mechanisms.arrays import FloatLike, Floats


class Noise(ABC):
    """A symmetric unimodal law of noise in one coordinate.

    Vectorised methods take numbers or arrays and return float64 arrays of the
    same shape.
    """

    family: ClassVar[str]

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the law as plain JSON values that `noise_from_dict` reads."""

    @abstractmethod
    def scaled(self, factor: float) -> Self:
        """Return the law of ``factor * X``; ``factor`` in (0, inf)."""

    @abstractmethod
    def log_survival(self, x: FloatLike) -> Floats:
        """Return log P(|X| > x), 0 where ``x <= 0``."""

    @abstractmethod
    def log_density(self, x: FloatLike) -> Floats:
        """Return log p(x)."""

    @abstractmethod
    def score(self, x: FloatLike) -> Floats:
        """Return s(x) = -p'(x)/p(x), odd in x; at 0 the limit from the right."""

    @abstractmethod
    def inverse_log_survival(self, exponent: FloatLike) -> Floats:
        """Return the x >= 0 with -log P(|X| > x) = ``exponent`` >= 0; ``inf`` beyond 1e300.

        With ``exponent`` a standard exponential draw this is a draw of |X|.
        """

    @property
    @abstractmethod
    def variance(self) -> float:
        """Var X, ``inf`` where it does not exist."""

    @property
    @abstractmethod
    def mean_abs(self) -> float:
        """E|X|, ``inf`` where it does not exist."""

    @property
    @abstractmethod
    def entropy(self) -> float:
        """Differential entropy -E[log p(X)] in nats."""

    @property
    @abstractmethod
    def fisher_information(self) -> float:
        """I = E[s(X)^2], Fisher information of the location."""

    @property
    @abstractmethod
    def score_maximum(self) -> float:
        """L = sup |s|, the slope of the privacy loss of an infinitesimal shift; ``inf`` for a Gaussian."""

    def survival(self, x: FloatLike) -> Floats:
        """Return P(|X| > x)."""
        found: Floats = np.exp(self.log_survival(x))
        return found

    def density(self, x: FloatLike) -> Floats:
        """Return p(x)."""
        found: Floats = np.exp(self.log_density(x))
        return found

    def quantile(self, probability: FloatLike) -> Floats:
        """Return the x with P(X <= x) = ``probability`` in (0, 1)."""
        p = np.asarray(probability, dtype=np.float64)
        require(bool(np.all((p > 0) & (p < 1))), "probability", probability, "must be in (0, 1)")
        tail = np.minimum(p, 1 - p)
        found: Floats = np.sign(p - 0.5) * self.inverse_log_survival(-np.log(2 * tail))
        return found

    def usefulness(self, gamma: float) -> float:
        """Return P(|X| <= gamma), the metric of the published search; ``gamma`` >= 0."""
        require(gamma >= 0, "gamma", gamma, "must be at least 0")
        return float(-np.expm1(self.log_survival(gamma)))

    @property
    def std(self) -> float:
        """Standard deviation, ``inf`` where the variance does not exist."""
        return math.sqrt(self.variance)

    @property
    def sigma_effective(self) -> float:
        """1/sqrt(I): std of the Gaussian that gives the same protection in many dimensions."""
        return 1 / math.sqrt(self.fisher_information)

    @property
    def efficiency(self) -> float:
        """1/(I Var X): 1 for a Gaussian, at most 1/2 for a Laplace mixture, 0 without a variance."""
        return 1 / (self.fisher_information * self.variance)


def require_factor(factor: float) -> None:
    """Refuse a scale factor that is not in (0, inf)."""
    require(0 < factor < math.inf, "factor", factor, "must be finite and above 0")
