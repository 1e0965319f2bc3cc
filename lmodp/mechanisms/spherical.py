"""Noise whose density is a function of the norm: exp(-(|x|/scale)^power), for a vector of a fixed dimension.

A power of 2 is the Gaussian, 1 the l2 mechanism (the best under pure epsilon of this family). With R = |X|,
(R/scale)^power is a Gamma variable of shape dimension/power, and the direction is uniform. Methods that
`Noise` states for one coordinate are those of X_1 = R t, t a coordinate of the uniform direction.

References:
    Joseph, Ribero, Yu, ICML 2025 (the l2 mechanism); arXiv 2606.08681 (generalised Gamma norms). Here the norm's
    law is the one without a pole or a hole at the centre: the density then falls with the norm, which the
    proof in docs/verified_bounds.md needs.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import betainc, betaln, gammaincc, gammainccinv, gammaincinv, gammaln

from lmodp.errors import Unsupported
from lmodp.mechanisms.arrays import FloatLike, Floats
from lmodp.mechanisms.noise import Noise, positive, whole

_RANGE, _POWERS, _LARGEST_DIMENSION = (1e-60, 1e60), (0.2, 20.0), 10**6
_NODES, _OUTSIDE = 801, 1e-18
_KNOTS, _SMOOTH, _DEVIATIONS = 4096, 6, 64  # an audit asks for 65,536 values; splines leave 1e-10 from dimension 6 on


@dataclass(frozen=True, kw_only=True)
class Spherical(Noise):
    """Spherical law of a vector.

    Args:
        dimension: number of coordinates, at least 2.
        power: of the norm in the exponent, 0.2 to 20.
        scale: norm at which the exponent is 1, in units of the released sum.
    """

    family: ClassVar[str] = "spherical"
    independent: ClassVar[bool] = False
    dimension: int
    power: float
    scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimension", whole("dimension", self.dimension, 2, _LARGEST_DIMENSION))
        object.__setattr__(self, "power", positive("power", self.power, *_POWERS))
        object.__setattr__(self, "scale", positive("scale", self.scale, *_RANGE))

    def norm_quantile(self, probability: FloatLike, *, upper: bool = False) -> Floats:
        """Return the r with P(R <= r) = ``probability``, or with P(R > r) if ``upper``; R is the norm."""
        inverse = gammainccinv if upper else gammaincinv
        found: Floats = self.scale * inverse(self.dimension / self.power, probability) ** (1 / self.power)
        return found

    def norm_moment(self, order: float) -> float:
        """Return E[R^order]."""
        shape = self.dimension / self.power
        return math.exp(gammaln(shape + order / self.power) - gammaln(shape) + order * math.log(self.scale))

    def vectors(self, count: int, generator: np.random.Generator) -> Floats:
        """Return independent draws, (count, dimension)."""
        direction = generator.standard_normal((count, self.dimension))
        norms = self.scale * generator.standard_gamma(self.dimension / self.power, (count, 1)) ** (1 / self.power)
        found: Floats = norms * direction / np.linalg.norm(direction, axis=1, keepdims=True)
        return found

    @cached_property
    def _norms(self) -> tuple[Floats, Floats]:
        """Values of R and their weights, for the laws of one coordinate (to about 1e-6)."""
        ends = self.norm_quantile(_OUTSIDE), self.norm_quantile(_OUTSIDE, upper=True)
        r = np.geomspace(*ends, _NODES)
        tail = gammaincc(self.dimension / self.power, (r / self.scale) ** self.power)
        return np.sqrt(r[1:] * r[:-1]), -np.diff(tail)

    def log_survival(self, x: FloatLike) -> Floats:
        """Return log P(|X_1| > x)."""
        (r, weight), at = self._norms, np.maximum(np.asarray(x, dtype=np.float64), 0.0)
        if at.size > _KNOTS and self.dimension >= _SMOOTH and at.max() < min(_DEVIATIONS * self.std, r[-1] / 2):
            knots = np.linspace(at.min(), at.max(), _KNOTS)
            between: Floats = CubicSpline(knots, self.log_survival(knots))(at)
            return between
        inside = 1 - np.minimum(at[..., None] / r, 1.0) ** 2
        with np.errstate(divide="ignore"):
            found: Floats = np.log(np.minimum(betainc((self.dimension - 1) / 2, 0.5, inside) @ weight, 1.0))
        return found

    def log_density(self, x: FloatLike) -> Floats:
        """Return the log density of one coordinate."""
        r, weight = self._norms
        inside = 1 - np.minimum(np.abs(np.asarray(x, dtype=np.float64))[..., None] / r, 1.0) ** 2
        with np.errstate(divide="ignore"):
            terms = np.where(inside > 0, np.exp((self.dimension - 3) / 2 * np.log(inside)), 0.0) / r
            found: Floats = np.log(terms @ weight) - betaln((self.dimension - 1) / 2, 0.5)
        return found

    def between_vectors(self, x: float) -> tuple[float, float]:
        """Return the variances of E[|X_1| | R] and of P(|X_1| <= x | R): what one norm for all coordinates adds."""
        mean, (r, weight) = self.norm_moment(1), self._norms
        inside = betainc(0.5, (self.dimension - 1) / 2, np.minimum(x / r, 1.0) ** 2)
        spread = max(self.norm_moment(2) - mean**2, 0.0) * (self.mean_abs / mean) ** 2
        return spread, float(weight @ (inside - weight @ inside) ** 2)

    @property
    def variance(self) -> float:
        """E[R^2] / dimension, of one coordinate."""
        return self.norm_moment(2) / self.dimension

    @property
    def mean_abs(self) -> float:
        """E[R] E|t|."""
        half = self.dimension / 2
        return self.norm_moment(1) * math.exp(gammaln(half) - gammaln(half + 0.5)) / math.sqrt(math.pi)

    @property
    def entropy(self) -> float:
        """Not a fact of one coordinate."""
        raise Unsupported("entropy: spherical noise is not independent from coordinate to coordinate")

    @property
    def fisher_information(self) -> float:
        """Of a move of the whole vector: E[(power R^(power-1) / scale^power)^2] / dimension.

        Raises:
            Unsupported: it is infinite (power at most 1 - dimension/2).
        """
        order = 2 * self.power - 2
        if self.dimension + order <= 0:
            raise Unsupported("fisher_information: is infinite for this power")
        slope: float = self.power / self.scale**self.power
        return slope * slope * self.norm_moment(order) / self.dimension

    @property
    def score_maximum(self) -> float:
        """Largest slope of the log density: 1/scale at power 1, else ``inf``."""
        return 1 / self.scale if self.power == 1 else math.inf
