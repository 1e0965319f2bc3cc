"""Privacy losses on a lattice: pairs of laws that a mechanism's pair dominates or that dominate it.

A pair (P, Q) on cells with Q_j / P_j = exp(loss_j), loss_j a multiple of h, is described by
Q's masses alone. Merging outcomes into cells, in whole or in part, is post-processing: a pair
made by merging is dominated by the mechanism's and gives a lower bound. Splitting a cell's masses
on the two ends of the interval in which its loss lies, both masses kept, spreads the ratio and
gives a dominating pair, an upper bound ("connecting the dots").

References:
    Doroshenko et al., Connect the Dots, PoPETs 2022. Zhu, Dong, Wang, AISTATS 2022 (dominating pairs).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmodp.mechanisms.arrays import Floats, Integers

_LARGEST_EXPONENT = 700.0  # exp of it is still a double
BARE = 1e-295  # masses below it have lost their digits
_COVERED = 1e-6  # cells below this share of Q are merged by sums whose rounding error is 1e-16
_KEPT = 1e-10  # cells below this share of P are merged by sums from above, which keep their digits
_CLOSINGS = 4  # so many chords on either side are given up to close the gap between both
_ON_LATTICE = 1e-7  # lattice cells; a ratio this close below a lattice value is on it, up to rounding


@dataclass(frozen=True, eq=False)
class LatticePair:
    """Q's masses at losses log(dQ/dP) = (first + j) * step.

    Args:
        masses: shape (n,), summing to at most 1. A lower bound may drop mass, which only lowers divergences.
        first: lattice index of the first mass.
        step: h, width of the lattice.
        infinite: Q's mass at infinite loss, in an upper bound.
    """

    masses: Floats
    first: int
    step: float
    infinite: float = 0.0

    @cached_property
    def losses(self) -> Floats:
        """Losses of the masses, shape (n,)."""
        return (self.first + np.arange(len(self.masses), dtype=np.float64)) * self.step

    @cached_property
    def support(self) -> tuple[Floats, Floats]:
        """Log masses and losses where there is mass, shape (m,) each."""
        there = self.masses > 0
        return np.log(self.masses[there]), self.losses[there]

    @property
    def counterpart(self) -> Floats:
        """P's masses, shape (n,)."""
        return self.masses * np.exp(-self.losses)


def connect_dots(p: Floats, q: Floats, *, first: int, step: float, infinite: float = 0.0) -> LatticePair:
    """Return a dominating pair from cell masses.

    Args:
        p, q: masses of the cells whose loss lies in [(first + j) step, (first + j + 1) step], shape (n,).
        infinite: Q's mass beyond the cells.
    """
    # Capped, a larger share goes up, which dominates too. So it does where P's mass has lost its digits.
    p = np.where(p < BARE, 0.0, p)
    lower = np.exp(np.minimum((first + np.arange(len(q))) * step, _LARGEST_EXPONENT))
    up = np.clip((q - p * lower) / -math.expm1(-step), 0.0, q)
    masses = np.zeros(len(q) + 1)
    masses[:-1] += q - up
    masses[1:] += up
    return LatticePair(masses, first, step, infinite)


def merge(p: Floats, q: Floats, loss: Floats, *, step: float) -> LatticePair:
    """Return a pair dominated in the direction of Q from P: cells merged until each ratio is a lattice value.

    On the curve of cumulative (P, Q) in the order of falling loss, the merged cells are chords with
    the lattice's slopes, each ending where it meets the curve again. Cells are merged from the highest
    loss down to a sparse place and from the lowest loss up to it (the mirror image). Two more chords close the
    gap between them (`_closed`). Masses are differences of sums from their own end, so that those of the highest
    losses keep their digits.

    Args:
        p, q: masses of cells with descending ``loss`` = log(q/p), shape (n,).
    """
    if not len(p):
        return LatticePair(np.zeros(1), 0, step)
    cut = _sparse_place(p, q, loss, step)
    up = _chords(p[:cut], q[:cut], loss[:cut], step)
    down = _chords(q[cut:][::-1], p[cut:][::-1], -loss[cut:][::-1], step)
    curve = np.concatenate([[0.0], np.cumsum(p)]), np.concatenate([[0.0], np.cumsum(q)])
    for dropped in range(_CLOSINGS):
        one, two = up.without(dropped), down.without(dropped)
        middle = _closed(one, two, curve, step)
        if middle is not None:
            break
    else:
        one, two = up, down
        middle = _lowered([up.rest, down.rest[::-1]], step)
    index = np.concatenate([one.index, -two.index, [k for k, _ in middle]]).astype(np.int64)
    return _dense(index, np.concatenate([one.q, two.p, [mass for _, mass in middle]]), step)


def _closed(up: _Chords, down: _Chords, curve: tuple[Floats, Floats], step: float) -> list[tuple[int, float]] | None:
    """Return the two cells (lattice index, Q mass) between the chords from above and those from below, which lose no
    mass: the steeper first, then the flatter. None if their corner does not lie below the curve."""
    rest_p, rest_q = up.rest[0] + down.rest[1], up.rest[1] + down.rest[0]
    if min(rest_p, rest_q) <= 0:
        return None
    log_ratio = math.log(rest_q) - math.log(rest_p)
    k = math.floor(log_ratio / step)
    above = log_ratio - k * step
    share = math.exp(above - step) * math.expm1(-above) / math.expm1(-step)  # of the P mass, in the steeper
    first = share * rest_p
    if not 0 < first < rest_p:
        return None
    steep, flat = (math.exp(math.log(mass) + j * step) for mass, j in ((first, k + 1), (rest_p - first, k)))
    at_p, at_q = float(up.p.sum()) + first, float(up.q.sum()) + steep
    rounding = 2e-16 * len(curve[1]) * curve[1][-1]  # of the sums
    return [(k + 1, steep), (k, flat)] if at_q + rounding <= np.interp(at_p, *curve) else None


def _lowered(rests: list[tuple[float, float]], step: float) -> list[tuple[int, float]]:
    """Return a cell (lattice index, Q mass) for each rest, its Q mass lowered to the next lattice value."""
    full = [(math.log(p), math.log(q)) for p, q in rests if min(p, q) > 0]
    indices = [math.floor((log_q - log_p) / step) for log_p, log_q in full]
    return [(k, math.exp(log_p + k * step)) for (log_p, _), k in zip(full, indices, strict=True)]


def lower_losses(p: Floats, q: Floats, loss: Floats, *, step: float) -> LatticePair:
    """Return a pair dominated in the direction of Q from P: Q masses lowered until each loss is on the lattice.

    Better than `merge` for one release of a law with few losses, far apart; of first order in ``step``.
    """
    return _dense(np.floor(loss / step).astype(np.int64), q * np.exp(np.floor(loss / step) * step - loss), step)


def merge_mirrored(p: Floats, q: Floats, loss: Floats, *, step: float) -> LatticePair:
    """Return a dominated pair of a pair that is its own mirror image, in both directions: nothing is lowered.

    Chords are laid over the half of positive loss and reflected. What is left of that half is mixed with
    its mirror image until its ratio is a lattice value too, usually 1.

    Args:
        p, q: masses of the cells of positive loss, ``loss`` descending, shape (n,).
    """
    up = _chords(p, q, loss, step)
    index, mass = [up.index, -up.index], [up.q, up.p]
    rest_p, rest_q = up.rest
    if rest_p > 0:
        k = max(math.floor(math.log(rest_q / rest_p) / step + _ON_LATTICE), 0)
        total = rest_p + rest_q  # a cell of ratio e^k and its mirror image share it
        index.append(np.array([k, -k]))
        mass.append(total / (1 + math.exp(-k * step)) * np.array([1.0, math.exp(-k * step)]))
    return _dense(np.concatenate(index), np.concatenate(mass), step)


def _sparse_place(p: Floats, q: Floats, loss: Floats, step: float) -> int:
    """Return the cell before which losses are cut: where three lattice cells together hold the least mass,
    at least `_COVERED` of Q and a share of P lying above: where P has less, its digits are lost from below."""
    bins = np.floor((loss[0] - loss) / step).astype(np.int64)
    held = np.concatenate([[0.0], np.bincount(bins, weights=p + q), [0.0]])
    around = held[:-2] + held[1:-1] + held[2:]
    above_q, above_p = (np.cumsum(np.bincount(bins, weights=masses)) for masses in (q, p))
    enough = (above_q >= min(_COVERED, above_q[-1])) & (above_p >= min(_KEPT, above_p[-1]))
    first = int(np.argmax(enough))
    return int(np.searchsorted(bins, first + int(np.argmin(around[first:])) + 1))


def _dense(index: Integers, mass: Floats, step: float) -> LatticePair:
    first = int(index.min())
    masses = np.zeros(int(index.max()) - first + 1)
    np.add.at(masses, index - first, mass)
    return LatticePair(masses, first, step)


@dataclass(frozen=True, eq=False)
class _Chords:
    """Merged cells: lattice indices and masses, shape (m,), and the (P, Q) masses left over."""

    index: Integers
    p: Floats
    q: Floats
    rest: tuple[float, float]

    def without(self, last: int) -> _Chords:
        """Return the chords without the ``last`` ones, whose masses are left over."""
        keep = max(len(self.index) - last, 0)
        rest = self.rest[0] + float(self.p[keep:].sum()), self.rest[1] + float(self.q[keep:].sum())
        return _Chords(self.index[:keep], self.p[:keep], self.q[:keep], rest)


def _chords(p: Floats, q: Floats, loss: Floats, step: float) -> _Chords:
    """Merge cells from the highest loss down, to lattice values between the losses; the last are left over."""
    # Lists, because the loop reads single elements, for which arrays are slow.
    curve = [0.0, *np.cumsum(p).tolist()], [0.0, *np.cumsum(q).tolist()]
    largest, smallest = (math.floor(loss[0] / step), math.ceil(loss[-1] / step)) if len(loss) else (0, 1)
    slopes = range(largest, smallest - 1, -1)
    steeper = np.searchsorted(-loss, -np.array(slopes) * step).tolist()  # cells that are steeper than the chord
    ends, index, place = [(0.0, 0.0)], [], 0.0
    for k, low in zip(slopes, steeper, strict=True):
        end = _chord_end(*curve, low, ends[-1], math.exp(k * step))
        if end is None:
            continue
        if math.isinf(end[0]):
            break
        place = end[2]
        ends.append(end[:2])
        index.append(k)
    masses = np.maximum(np.diff(np.array(ends), axis=0), 0.0)
    return _Chords(np.array(index, dtype=np.int64), masses[:, 0], masses[:, 1], (_beyond(p, place), _beyond(q, place)))


def _beyond(masses: Floats, place: float) -> float:
    """Return the mass of the cells beyond ``place``, a number of cells with its fraction."""
    whole = min(int(place), len(masses))
    share = place - whole
    return float(masses[whole:].sum() - share * masses[whole]) if whole < len(masses) else 0.0


def _chord_end(
    curve_p: list[float], curve_q: list[float], low: int, start: tuple[float, float], ratio: float
) -> tuple[float, float, float] | None:
    """Return where the chord of slope ``ratio`` from ``start`` meets the curve again, with the number of cells up
    to there; None if it never leaves it, infinity if it never meets it."""
    (at_p, at_q), last = start, len(curve_p) - 1

    def above(i: int) -> float:
        return (curve_q[i] - at_q) - ratio * (curve_p[i] - at_p)  # in this order the digits of small masses are kept

    if curve_p[low] <= at_p or above(low) <= 0:
        return None
    high = low + 1
    while high <= last and above(high) > 0:
        low, high = high, high + 2 * (high - low)  # the end is usually near
    if high > last and above(last) > 0:
        return math.inf, math.inf, math.inf
    high = min(high, last)
    while high - low > 1:
        centre = (low + high) // 2
        low, high = (centre, high) if above(centre) > 0 else (low, centre)
    share = above(low) / (above(low) - above(high))
    return (
        curve_p[low] + share * (curve_p[high] - curve_p[low]),
        curve_q[low] + share * (curve_q[high] - curve_q[low]),
        low + share,
    )
