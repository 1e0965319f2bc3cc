"""Laplace noise with a random rate: X = Z / U, Z standard Laplace, U > 0 independent.

Idea: for x >= 0 every quantity is a derivative of the rate's moment generating
function at -x. With K = log M and K', K'' its derivatives at -x,

    P(|X| > x) = exp(K),  p(x) = exp(K) K' / 2,  s(x) = K' + K''/K',

all sums of positive terms, so that nothing cancels. p is a mixture of decreasing
exponentials, hence log-convex on x > 0: s is positive and non-increasing there.

References:
    Mohammady et al., R2DP, CCS 2020; Yang et al., LMO-DP, arXiv 2405.18776.
    Dong, Su, Zhang, NeurIPS 2021 (Fisher information as the measure of privacy).
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from lmodp.errors import require
from lmodp.mechanisms import moments
from lmodp.mechanisms.arrays import Derivatives, FloatLike, Floats
from lmodp.mechanisms.noise import FACTORS, Noise, positive
from lmodp.mechanisms.parts import (
    ExponentialPart,
    GammaPart,
    RatePart,
    TruncatedNormalPart,
    UniformPart,
)

_NEWTON_LIMIT = 500
_RANGE = 1e-90, 1e90  # of a Laplace scale; its square is a double
_LARGEST = 1e300
_FOLLOW = ("log_survival", "log_density", "score", "log_density_and_score", "score_maximum", "fisher_information")
_TINY = float(np.finfo(np.float64).tiny)


class RateMixture(Noise):
    """A Laplace law whose rate is random; subclasses give the rate's log MGF."""

    follows: ClassVar[tuple[str, ...]] = _FOLLOW

    @abstractmethod
    def log_mgf(self, t: FloatLike) -> Derivatives:
        """Return K, K', K'' at ``t`` below `mgf_domain`, each of t's shape."""

    @property
    @abstractmethod
    def mgf_domain(self) -> float:
        """Supremum of the t at which M(t) is finite; M is infinite at that t itself."""

    @property
    @abstractmethod
    def tail_exponent(self) -> float:
        """kappa with P(|X| > x) of order x**-kappa; ``inf`` where the tail is exponential."""

    def _tilted(self, x: FloatLike) -> Derivatives:
        return self.log_mgf(-np.abs(np.asarray(x, dtype=np.float64)))

    def log_survival(self, x: FloatLike) -> Floats:
        """Return K(-x)."""
        return self.log_mgf(-np.maximum(np.asarray(x, dtype=np.float64), 0))[0]

    def log_density(self, x: FloatLike) -> Floats:
        """Return K + log(K'/2) at -``|x|``."""
        value, first, _ = self._tilted(x)
        return value + _log_half(first)

    def score(self, x: FloatLike) -> Floats:
        """Return K' + K''/K' at -``|x|``, with the sign of x."""
        return np.where(np.asarray(x) < 0, -1.0, 1.0) * self.log_density_and_score(x)[1]

    def log_density_and_score(self, x: FloatLike) -> tuple[Floats, Floats]:
        """Return log p(|x|) and s(|x|), which share their work."""
        value, first, second = self._tilted(x)
        return value + _log_half(first), _score(first, second)

    def inverse_log_survival(self, exponent: FloatLike) -> Floats:
        """Newton's method from the left: -K(-x) is concave, so every tangent lies above it
        and each iterate stays at or below the root and grows towards it. It starts at the
        larger of the tangent's root at 0 and the last point of `_log_grid` below the root."""
        target = np.asarray(exponent, dtype=np.float64)
        require(bool(np.all(target >= 0)), "exponent", exponent, "must be at least 0")
        below = np.searchsorted(-self._on_grid[0], target, side="right") - 1
        start = np.where(below >= 0, np.exp(self._log_grid[below]), 0.0)
        x = np.maximum(target / self._tilted(0.0)[1], start)
        for _ in range(_NEWTON_LIMIT):
            value, slope, _ = self._tilted(x)
            step = (target + value) / slope
            x = np.minimum(x + np.maximum(step, 0), _LARGEST)
            if np.all((step <= 4e-16 * x) | (x == _LARGEST)):
                break
        return np.where(x == _LARGEST, np.inf, x)

    @cached_property
    def score_maximum(self) -> float:
        """s(0) = K'(0) + K''(0)/K'(0), since the score falls away from 0."""
        _, first, second = self._tilted(0.0)
        return float(_score(first, second))

    @cached_property
    def _log_grid(self) -> Floats:
        return moments.log_grid(1 / self.score_maximum)

    @cached_property
    def _on_grid(self) -> Derivatives:
        return self._tilted(np.exp(self._log_grid))

    def _tail_moment(self, power: int) -> float:
        """E[|X|**(power+1)] / (power+1): the integral of x**power P(|X| > x)."""
        if self.tail_exponent <= power + 1:
            return math.inf
        log_x, value = self._log_grid, self._on_grid[0]
        body = moments.integrate(log_x, np.exp((power + 1) * log_x + value))
        return body + moments.tail_integral(log_x[-1], float(value[-1]), power, self.tail_exponent)

    @cached_property
    def mean_abs(self) -> float:
        """The integral of P(``|X|`` > x), by quadrature in log x."""
        return self._tail_moment(0)

    @cached_property
    def variance(self) -> float:
        """Twice the integral of x P(``|X|`` > x), by quadrature in log x."""
        return 2 * self._tail_moment(1)

    @cached_property
    def entropy(self) -> float:
        """By quadrature in log x."""
        log_x, (value, first, _) = self._log_grid, self._on_grid
        log_p = value + _log_half(first)
        body = moments.integrate(log_x, -2 * np.maximum(log_p, -_LARGEST) * np.exp(log_p + log_x))
        return body + moments.entropy_tail(log_x[-1], float(value[-1]), self.tail_exponent)

    @cached_property
    def fisher_information(self) -> float:
        """The integral of p s^2, by quadrature in log x."""
        log_x, (value, first, second) = self._log_grid, self._on_grid
        return moments.integrate(log_x, np.exp(value + log_x) * first * _score(first, second) ** 2)


def _log_half(mean: Floats) -> Floats:
    """Return log(K'/2); far out, K' may be below the smallest double."""
    with np.errstate(divide="ignore"):
        found: Floats = np.log(mean / 2)
    return found


def _score(first: Floats, second: Floats) -> Floats:
    """Return K' + K''/K'; far out, both may be below the smallest double."""
    return first + second / np.maximum(first, _TINY)


@dataclass(frozen=True, kw_only=True)
class Laplace(RateMixture):
    """Laplace law: the rate is the constant 1/``scale``.

    Args:
        scale: b, finite and above 0; the standard deviation is b * sqrt(2).
    """

    family: ClassVar[str] = "laplace"
    scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", positive("scale", self.scale, *_RANGE))

    def log_mgf(self, t: FloatLike) -> Derivatives:
        """Return t/scale, 1/scale and 0: the rate is constant."""
        t = np.asarray(t, dtype=np.float64)
        with np.errstate(over="ignore"):  # far out, the survival is 0
            return t / self.scale, np.full_like(t, 1 / self.scale), np.zeros_like(t)

    @property
    def mgf_domain(self) -> float:
        """``inf``: a constant rate has every exponential moment."""
        return math.inf

    @property
    def tail_exponent(self) -> float:
        """``inf``: the tail is exponential."""
        return math.inf

    @property
    def mean_abs(self) -> float:
        """The scale b."""
        return self.scale

    @property
    def variance(self) -> float:
        """2 b^2."""
        return 2 * self.scale**2

    @property
    def entropy(self) -> float:
        """log(2 b e)."""
        return math.log(2 * self.scale * math.e)

    @property
    def fisher_information(self) -> float:
        """1/b^2."""
        return self.scale**-2


@dataclass(frozen=True, kw_only=True)
class LaplaceMixture(RateMixture):
    """The LMO family: the rate is a weighted sum of independent parts, each optional.

    The rate's MGF is the product of the parts' MGFs at weight * t, so its
    logarithm and the derivatives of that are sums. A part of weight 0 is kept in
    the record and adds nothing.
    """

    family: ClassVar[str] = "laplace_mixture"
    gamma: GammaPart | None = None
    truncated_normal: TruncatedNormalPart | None = None
    exponential: ExponentialPart | None = None
    uniform: UniformPart | None = None

    def __post_init__(self) -> None:
        require(bool(self.active), "rate", self.to_dict()["rate"], "needs at least one part of weight above 0")

    @property
    def parts(self) -> tuple[RatePart, ...]:
        """The existing parts, in the order gamma, truncated_normal, exponential, uniform."""
        all_parts = (self.gamma, self.truncated_normal, self.exponential, self.uniform)
        return tuple(part for part in all_parts if part is not None)

    @property
    def active(self) -> tuple[RatePart, ...]:
        """The parts of weight above 0."""
        return tuple(part for part in self.parts if part.active)

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"family": "laplace_mixture", "rate": {part: {...}}}``."""
        return {"family": self.family, "rate": {part.key: part.to_dict() for part in self.parts}}

    def scaled(self, factor: float) -> Self:
        """Return the law whose rate is 1/``factor`` times this one's."""
        positive("factor", factor, *FACTORS)
        parts: dict[str, Any] = {part.key: part.scaled(1 / factor) for part in self.parts}
        return type(self)(**parts)

    def log_mgf(self, t: FloatLike) -> Derivatives:
        """Return the sums of the parts' K, K', K'' at ``t``."""
        t = np.asarray(t, dtype=np.float64)
        with np.errstate(over="ignore", divide="ignore"):  # far out, the survival is 0
            terms = [part.log_mgf(t) for part in self.active]
        return tuple(sum(column) for column in zip(*terms, strict=True))

    @property
    def mgf_domain(self) -> float:
        """The smallest domain of the active parts."""
        return min(part.domain for part in self.active)

    @property
    def tail_exponent(self) -> float:
        """The sum of the active parts' exponents near 0."""
        return sum(part.exponent for part in self.active)
