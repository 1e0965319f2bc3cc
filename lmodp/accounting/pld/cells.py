"""Both ends of epsilon for pairs known by cells: one number with noise of any law, and spherical noise.

The outcomes of a pair (P, Q) are cut into cells of known masses, and log(Q/P) is known to lie in a range within each.
Moving each cell's masses to the two ends of its range gives a pair that dominates; taking each cell as one outcome
gives one that is dominated (docs/verified_bounds.md, "Cells"). For more than one release the ends are rounded outwards
to a lattice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from lmodp.accounting.pld.lattice import LatticePair
from lmodp.accounting.pld.profile import mass_between, sampled_loss
from lmodp.accounting.pld.spherical import RELATIVE_ERROR, largest_spherical_loss, spherical_cells
from lmodp.errors import Unsupported
from lmodp.mechanisms import Histogram, Noise, Spherical
from lmodp.mechanisms.arrays import Floats

_LARGEST_LOSS = 500.0
_LEVELS, _SINGLE, _LARGEST_LATTICE = (
    48,
    4096,
    2**16,
)  # lattice values a deviation of many releases, and of few times their number
_COARSE, _FINEST, _PER_DEVIATION = 2**11, 2**18, 64  # cells of any law: those tried first, the most, and how fine
_PER_SPREAD, _MOST_SPHERICAL = 20, 2**13  # cells a standard deviation of the loss, about, and the most
_BARE = 1e-40  # masses of P below it are not known: then Q's mass and the range of the loss say what they can be
LEAST_OUTSIDE = 1e-290, 1e-41  # mass that may be left out, at the least: of one number, and of spherical noise
_OUTWARDS = 1e-13  # rounding of a loss
_APART = 1e-9  # a cell's losses that are nearer to each other all count as the larger one
_UNEVEN, _UNSEEN = 1e-6, 1e-12  # relative and absolute error of a cell's mass and of its density's bounds
_NARROW = 1e-13  # width of a cell between two jumps, relatively, that is nothing but rounding
_BESIDE = 1e-9  # the largest loss lies so far, relatively, below a lattice value


@dataclass(frozen=True, eq=False)
class Cells:
    """A pair (P, Q) in cells.

    Args:
        p, q: masses, shape (n,), each within a relative ``error``.
        low, high: log(q/p) of every part of a cell lies between them, shape (n,).
        lost: largest mass of either law outside the cells.
    """

    p: Floats
    q: Floats
    low: Floats
    high: Floats
    lost: float
    error: float = 0.0

    def half(self) -> Cells:
        """Return the cells of positive loss of a whole pair made by `mirrored`."""
        n = len(self.p) // 2
        return replace(self, p=self.p[:n], q=self.q[:n], low=self.low[:n], high=self.high[:n])

    def mirrored(self) -> Cells:
        """Return the whole pair of a law symmetric about its centre from its half of positive loss."""
        other = self.swapped()
        return replace(
            self,
            p=np.concatenate([self.p, other.p]),
            q=np.concatenate([self.q, other.q]),
            low=np.concatenate([self.low, other.low]),
            high=np.concatenate([self.high, other.high]),
        )

    def sampled(self, rate: float) -> Cells:
        """Return (P, (1-q)P + qQ)."""
        low, high = sampled_loss(self.low, rate), sampled_loss(self.high, rate)
        return replace(self, q=(1 - rate) * self.p + rate * self.q, low=low, high=high)

    def swapped(self) -> Cells:
        """Return (Q, P)."""
        return replace(self, p=self.q, q=self.p, low=-self.high, high=-self.low)

    def deviation(self) -> float:
        """Return the root mean square of the loss, under the mean of P and Q."""
        middle = np.clip((self.low + self.high) / 2, -_LARGEST_LOSS, _LARGEST_LOSS)
        return math.sqrt(float((self.p + self.q) @ middle**2) / 2)

    def width(self, largest: float, steps: int) -> float:
        """Return a lattice width for the loss, of which ``largest`` is a multiple: mass may lie there."""
        width = max(self.deviation() / max(_LEVELS, _SINGLE // steps), largest / _LARGEST_LATTICE)
        return largest / math.ceil(largest / width) if width > 0 and largest > 0 else 1.0

    def dominating(self, steps: int) -> LatticePair:
        """Return a pair on a lattice that dominates; losses above 500, or of a mass below `lost`, count as infinite."""
        falling = np.argsort(-self.high, kind="stable")
        noticed = self.high[falling[np.cumsum(self.q[falling]) > self.lost]]
        largest = float(noticed[noticed <= _LARGEST_LOSS].max(initial=0.0))
        step = self.width(largest, steps) * (1 + _BESIDE)
        top = math.ceil(largest / step)
        p, q, low, high = self._outwards()
        down = np.floor(np.clip(low / step, -top, top + 1)).astype(np.int64)
        above = np.maximum(np.ceil(np.clip(high / step, -top, top + 1)).astype(np.int64), down + 1)
        beyond = above > top
        share = np.where(beyond, 1.0, -np.expm1((down - above) * step))
        up = np.clip((q - p * np.exp(down * step)) / share, 0.0, q)
        up = np.where(down >= top, q, up)
        masses = np.zeros(2 * top + 2)
        np.add.at(masses, np.minimum(down, top) + top, q - up)
        np.add.at(masses, above[~beyond] + top, up[~beyond])
        return LatticePair(masses, -top, step, self.lost + float(up[beyond].sum()))

    def ends(self) -> tuple[Floats, Floats, float]:
        """Return (masses of Q, losses, infinite mass) that dominate: a cell's mass is at the ends of its losses."""
        p, q, low, high = self._outwards()
        apart = high - low > _APART
        share = np.where(apart, -np.expm1(low - high), 1.0)
        up = np.where(apart, np.clip((q - p * np.exp(np.minimum(low, _LARGEST_LOSS))) / share, 0.0, q), q)
        beyond = high > _LARGEST_LOSS
        infinite = self.lost + float(up[beyond].sum())
        return np.concatenate([q - up, up[~beyond]]), np.concatenate([low, high[~beyond]]), infinite

    def _outwards(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return (p, q, low, high), each moved by its error to the side of a dominating pair."""
        q, p = self.q * (1 + self.error), np.where(self.p < _BARE, 0.0, self.p * (1 - self.error))
        ends = (np.clip(end, -2 * _LARGEST_LOSS, 2 * _LARGEST_LOSS) for end in (self.low, self.high))
        low, high = (end + sign * _OUTWARDS * (1 + np.abs(end)) for end, sign in zip(ends, (-1, 1), strict=True))
        return p, q, low, high

    def dominated(self) -> tuple[Floats, Floats, Floats]:
        """Return (p, q, loss) of one outcome a cell, losses falling: a pair that is dominated.

        Losses above 500 count as 500, and outcomes below -500 are left out.
        """
        there = (self.q > 0) & (self.high > -_LARGEST_LOSS)
        q, p = self.q[there] * (1 - self.error), self.p[there] * (1 + self.error)
        low, high = self.low[there], self.high[there]
        with np.errstate(divide="ignore"):
            loss = np.where(p < _BARE, low, np.clip(np.log(q) - np.log(p), low, high))
        loss = np.clip(loss, -_LARGEST_LOSS, _LARGEST_LOSS)
        loss = np.maximum(loss - _OUTWARDS * (1 + np.abs(loss)), -_LARGEST_LOSS)
        order = np.argsort(-loss, kind="stable")
        q, loss = q[order], loss[order]
        return q * np.exp(-loss), q, loss


@lru_cache(maxsize=16)
def cells_of(noise: Noise, *, outside: float) -> Cells:
    """Return the pair of a law and its shift by 1: of one number, or of a vector with spherical noise.

    Args:
        noise: density symmetric about 0 and not rising on x > 0, or falling with the norm.
        outside: mass that may be left out; it counts as infinite loss in the upper end.
    """
    return _spherical(noise, outside) if isinstance(noise, Spherical) else _one_number(noise, outside)


def _spherical(noise: Spherical, outside: float) -> Cells:
    top = largest_spherical_loss(noise, 1.0, outside)
    count = min(math.ceil(_PER_SPREAD * max(1.0, top * noise.sigma_effective)), _MOST_SPHERICAL)
    bounds = np.linspace(0, top, count + 1)
    p, q = spherical_cells(noise, 1.0, bounds)
    half = Cells(np.maximum(p, 0), np.maximum(q, 0), bounds[:-1], bounds[1:], outside, RELATIVE_ERROR)
    return half.mirrored()


def _one_number(noise: Noise, outside: float) -> Cells:
    coarse = _cut(noise, outside, _COARSE)
    low, high = (np.clip(end, -_LARGEST_LOSS, _LARGEST_LOSS) for end in (coarse.low, coarse.high))
    width = float((high - low) @ (coarse.p + coarse.q)) / 2
    if not coarse.deviation() > 0:
        return coarse
    finer = width / coarse.deviation() * _PER_DEVIATION * _COARSE
    return coarse if finer <= _COARSE else _cut(noise, outside, min(math.ceil(finer), _FINEST))


def _require_one_law(width: Floats, mass: Floats, low: Floats, high: Floats) -> None:
    """Refuse a law whose cells' masses are not within the bounds of its log density: the loss's range rests on them."""
    with np.errstate(over="ignore", invalid="ignore"):
        least, most = width * np.exp(low), width * np.exp(high)
        falls = low <= high + _UNEVEN
        sound = (mass <= most * (1 + _UNEVEN) + _UNSEEN) & (mass >= least * (1 - _UNEVEN) - _UNSEEN)
    if np.isnan([mass, low, high]).any():
        told = "log_survival" if np.isnan(mass).any() else "log_density"
        raise Unsupported(f"{told} is NaN at some noise: no bound on epsilon is proven. The logarithm of 0 is -inf.")
    known = ~np.isnan(least) & ~np.isnan(most)  # no width times an infinite density
    for holds, rule in ((falls, "the density rises on x > 0"), (sound, "density and survival are not of one law")):
        if not holds[known].all():
            raise Unsupported(f"{rule}: no bound on epsilon is proven. The contract's tests compare them.")


def _cut(noise: Noise, outside: float, count: int) -> Cells:
    """Cut the half line x >= 1/2, on which the loss log p(x - 1) - log p(x) is not negative.

    Beyond x = 1, cells lie between points that divide -log P(|X| > x - 1) evenly; below, there are such from
    either centre. Within a cell both densities are monotone, so their values at its ends give the loss's range.
    """
    y = noise.inverse_log_survival(np.linspace(0, -math.log(outside), count + 1))
    if np.isnan(y).any():
        raise Unsupported("inverse_log_survival is NaN: no bound on epsilon is proven")
    y, knots = y[np.isfinite(y)], np.asarray(noise.knots, dtype=np.float64)
    beyond = math.exp(noise.log_survival(y[-1]))  # of an inverse that is infinite too early
    outside = beyond if beyond > outside * (1 + _UNEVEN) else outside
    y = np.unique(np.concatenate([[0.0], y, knots[knots < y[-1]]]))
    right = np.unique(np.concatenate([y, knots[(knots > 1) & (knots < 1 + y[-1])] - 1]))
    jumps = knots[knots < 1]  # also those beyond y
    near = np.concatenate([[0.5], y, 1 - y, jumps, 1 - jumps, np.linspace(0, 0.5, _LEVELS)])
    left = np.unique(near[(near >= 0) & (near <= 0.5)])
    near_low, near_high = np.concatenate([right[:-1], left[:-1]]), np.concatenate([right[1:], left[1:]])
    far_low = np.concatenate([right[:-1] + 1, 1 - left[1:]])
    far_high = np.concatenate([right[1:] + 1, 1 - left[:-1]])
    q, p = mass_between(noise, near_low, near_high), mass_between(noise, far_low, far_high)
    (q_low, q_high), (p_low, p_high) = (
        noise.log_density_bounds(a, b) for a, b in ((near_low, near_high), (far_low, far_high))
    )
    _require_one_law(near_high - near_low, q, q_low, q_high)
    _require_one_law(far_high - far_low, p, p_low, p_high)
    with np.errstate(invalid="ignore"):  # -inf less -inf where neither law has mass
        least, most = q_low - p_high, q_high - p_low
    low, high = np.fmax(least, 0.0), np.fmax(most, 0.0)
    if (np.isnan(most) & (q + p > 0)).any():
        raise Unsupported("log_density is -inf where noise has mass: no bound on epsilon is proven")
    if isinstance(noise, Histogram):
        low, high = (np.minimum(end, noise.largest_loss(1.0)) for end in (low, high))
    if len(knots):  # between a jump and a jump that is moved by 1 nothing may be left but rounding: any loss up to high
        narrow = near_high - near_low < _NARROW * (1 + far_high)
        outside += float(p[narrow].sum())
        p, low = np.where(narrow, 0.0, p), np.where(narrow, 0.0, low)
    there = (q > 0) | (p > 0)
    return Cells(p[there], q[there], low[there], high[there], outside).mirrored()
