"""A table that turns exponential draws into draws of |X|.

With E a standard exponential, |X| = x(E), the inverse of Lambda(x) = -log P(|X| > x),
has the right law, and a fair coin gives the sign. x(E)/E is smooth and, by concavity of
Lambda, non-decreasing from 1/Lambda'(0). It is stored as cubic Hermite pieces of equal
width, so that drawing costs one index and four multiply-adds and no logarithm:

    u = E * inverse_step            # inverse_step is a power of two: exact
    i = floor(u);  d = u - i        # exact
    c = coefficients[i]             # shape (4,)
    x = E * (c[0] + d*(c[1] + d*(c[2] + d*c[3])))

for 0 <= E <= limit, with i capped at pieces - 1. In float32 the same formula in float32
arithmetic adds a few units in the last place.

E must cover its far tail: draw it from an exponential sampler or as -log of a float64
uniform in (0, 1]. A float32 uniform is 0 with probability 2**-24, which cuts E at 16.6;
among hundreds of millions of coordinates this happens at every step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from lmodp.errors import Unsupported
from lmodp.mechanisms.arrays import Floats
from lmodp.mechanisms.noise import Noise
from lmodp.mechanisms.soundness import require_one_law

LARGEST_EXPONENT = 40.0  # -log of the smallest uniform of 52 bits is 36.04
_ROOM = 745.0  # times a coefficient must be below the largest number of a floating type
TARGET_ERROR = 2.0**-26  # a quarter of a float32 unit in the last place
_COARSEST, _FINEST = 2, 10  # pieces of width 2**-2 ... 2**-10
_GAIN = 32.0  # the error falls by 16 where pieces are half as wide, and a little faster where they are too wide
_PROBES = np.array([0.02, 0.25, 0.5, 0.75, 0.98])
# Draws beyond a dtype's largest number may be no likelier than this.
_UNREPRESENTABLE = -50 * math.log(2)


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplerTable:
    """Piecewise cubic inverse of Lambda.

    Args:
        coefficients: float64, shape (pieces, 4), ascending powers of d; see the module's formula.
        inverse_step: pieces per unit of E, a power of two.
        limit: largest E the table holds; x is ``inf`` (not representable) beyond it.
        relative_error: largest relative error of x found at the probes between the knots.
    """

    coefficients: Floats
    inverse_step: float
    limit: float
    relative_error: float

    def invert(self, exponent: Floats) -> Floats:
        """Return x(E) for E in [0, limit], ``inf`` beyond; the oracle of implementations on a device.

        Args:
            exponent: E, any shape.
        """
        exponent = np.asarray(exponent, dtype=np.float64)
        position = np.minimum(exponent, self.limit) * self.inverse_step
        index = np.minimum(position.astype(np.int64), len(self.coefficients) - 1)
        c, d = self.coefficients[index], position - index
        ratio = c[..., 0] + d * (c[..., 1] + d * (c[..., 2] + d * c[..., 3]))
        return np.where(exponent <= self.limit, exponent * ratio, np.inf)

    def restricted(self, largest: float) -> SamplerTable:
        """Return the table cut where x or a coefficient leaves a floating type.

        Args:
            largest: the type's largest finite number, 3.4028e38 for float32.

        Raises:
            Unsupported: draws beyond ``largest`` have a probability above 2**-50.
        """
        inside = np.all(np.abs(self.coefficients) * _ROOM < largest, axis=1)
        count = len(inside) if inside.all() else int(np.argmin(inside))
        limit = min(self.limit, count / self.inverse_step)
        if -limit > _UNREPRESENTABLE:
            raise Unsupported(
                f"noise exceeds {largest:.3g} with probability {math.exp(-limit):.3g} "
                "per coordinate: its tail is too heavy for this floating type"
            )
        return replace(self, coefficients=self.coefficients[:count], limit=limit)


def sampler_table(noise: Noise) -> SamplerTable:
    """Return the coarsest table whose relative error is at most 2**-26, or else that of x over the larger of x and
    the median: where a density has a kink at 0, the smallest draws are good to 2**-26 of the median only.

    Raises:
        Unsupported: the law's functions are not of one law, or pieces of 1/1024 are not fine enough.
    """
    require_one_law(noise)
    near: SamplerTable | None = None
    for level in range(_COARSEST, _FINEST + 1):
        table, beside = _build(noise, 2.0**level)
        if table.relative_error <= TARGET_ERROR:
            return table
        near = near or (table if beside <= TARGET_ERROR else None)
        within_reach = TARGET_ERROR * _GAIN ** (_FINEST - level)
        if (table.relative_error if near else beside) > within_reach:  # no finer one will do
            break
    if near:
        return near
    raise Unsupported(
        f"no sampler table of {_FINEST} bits a unit reaches a relative error of {TARGET_ERROR:.1e} for "
        f"{noise.to_dict()}: its tail is too heavy, or its density is not smooth"
    )


def _build(noise: Noise, inverse_step: float) -> tuple[SamplerTable, float]:
    """Return a table, and its largest error over the larger of x and the median."""
    knots = np.arange(math.ceil(LARGEST_EXPONENT * inverse_step) + 1) / inverse_step
    ratio, slope = _ratio_and_slope(noise, knots)
    finite = np.isfinite(ratio) & np.isfinite(slope)
    count = len(knots) if finite.all() else int(np.argmin(finite))
    coefficients, limit = _hermite(ratio[:count], slope[:count] / inverse_step), (count - 1) / inverse_step
    table = SamplerTable(coefficients=coefficients, inverse_step=inverse_step, limit=limit, relative_error=math.nan)
    probes = np.minimum((np.arange(len(coefficients))[:, None] + _PROBES) / inverse_step, limit)
    exact = noise.inverse_log_survival(probes)
    apart, median = np.abs(table.invert(probes) - exact), noise.inverse_log_survival(math.log(2))
    relative = replace(table, relative_error=float(np.max(apart / exact)))
    return relative, float(np.max(apart / np.maximum(exact, median)))


def _ratio_and_slope(noise: Noise, exponent: Floats) -> tuple[Floats, Floats]:
    """Return x(E)/E and its derivative, at E = 0 their limits.

    With the hazard h = 2p/S: dx/dE = 1/h, and x''(0) = (s(0) - h(0)) / h(0)**2.
    """
    x = noise.inverse_log_survival(exponent)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        hazard = np.exp(math.log(2) + noise.log_density(x) - noise.log_survival(x))
        ratio, slope = x / exponent, (1 / hazard - x / exponent) / exponent
    ratio[0], slope[0] = 1 / hazard[0], (float(noise.score(0.0)) - hazard[0]) / (2 * hazard[0] ** 2)
    return ratio, slope


def _hermite(value: Floats, slope: Floats) -> Floats:
    """Return the ascending coefficients of the cubics through values and slopes at unit knots."""
    rise = np.diff(value)
    left, right = slope[:-1], slope[1:]
    return np.stack([value[:-1], left, 3 * rise - 2 * left - right, left + right - 2 * rise], axis=1)
