"""Privacy losses on a lattice: pairs of laws that a mechanism's pair dominates, or is dominated by.

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

import numpy as np

@dataclass(frozen=True, eq=False)
class LatticePair:
    """Q's masses at losses log(dQ/dP) = (first + j) * step.

    Args:
        masses: shape (n,), summing to at most 1. A lower bound may drop mass, which only lowers divergences.
        first: lattice index of the first mass.
        step: h, width of the lattice.
        infinite: Q's mass at infinite loss, in an upper bound.
    """

    masses: np.ndarray
    first: int
    step: float
    infinite: float = 0.0

    @property
    def losses(self) -> np.ndarray:
        """Losses of the masses, shape (n,)."""
        return (self.first + np.arange(len(self.masses))) * self.step

    @property
    def counterpart(self) -> np.ndarray:
        """P's masses, shape (n,)."""
        return self.masses * np.exp(-self.losses)


def connect_dots(p: np.ndarray, q: np.ndarray, *, first: int, step: float, infinite: float = 0.0) -> LatticePair:
    """Return a dominating pair from cell masses.

    Args:
        p, q: masses of the cells whose loss lies in [(first + j) step, (first + j + 1) step], shape (n,).
        infinite: Q's mass beyond the cells.
    """
    lower = np.exp((first + np.arange(len(q))) * step)
    up = np.clip((q - p * lower) / -math.expm1(-step), 0.0, q)
    masses = np.zeros(len(q) + 1)
    masses[:-1] += q - up
    masses[1:] += up
    return LatticePair(masses, first, step, infinite)


def merge(p: np.ndarray, q: np.ndarray, loss: np.ndarray, *, step: float) -> LatticePair:
    """Return a dominated pair: cells merged until each ratio is exactly a lattice value.

    On the curve of cumulative (P, Q) in the order of falling loss, the merged cells are chords with
    the lattice's slopes, each ending where it meets the curve again. Losses above 0 are merged from
    the highest down, losses below 0 from the lowest up (the mirror image); what is left of either
    half, usually around 0, becomes a cell whose Q mass is lowered to the next lattice value.

    Args:
        p, q: masses of cells with descending ``loss`` = log(q/p), shape (n,).
    """
    centre = int(np.searchsorted(-loss, 0.0))
    up = _chords(p[:centre], q[:centre], loss[:centre], step)
    down = _chords(q[centre:][::-1], p[centre:][::-1], -loss[centre:][::-1], step)
    rests = [(p[:centre].sum() - up.p.sum(), q[:centre].sum() - up.q.sum()),
             (p[centre:].sum() - down.q.sum(), q[centre:].sum() - down.p.sum())]
    index, mass = np.concatenate([up.index, -down.index]), np.concatenate([up.q, down.p])
    for k, lowered in _floored(rests, step):
        index, mass = np.append(index, k), np.append(mass, lowered)
    first = int(index.min())
    dense = np.zeros(int(index.max()) - first + 1)
    np.add.at(dense, index - first, mass)
    return LatticePair(dense, first, step)


def _floored(rests: list[tuple[float, float]], step: float) -> list[tuple[int, float]]:
    """Return (lattice index, lowered Q mass) of what is left; two cells next to 0 become one."""
    there = [(p, q, math.floor(math.log(q / p) / step)) for p, q in rests if min(p, q) > 0]
    if [k for *_, k in there] == [0, -1]:
        p, q = (sum(column) for column in list(zip(*there, strict=True))[:2])
        there = [(p, q, math.floor(math.log(q / p) / step + 1e-9))]
    return [(k, min(q, p * math.exp(k * step))) for p, q, k in there]


@dataclass(frozen=True, eq=False)
class _Chords:
    """Merged cells: lattice indices and masses, shape (m,)."""

    index: np.ndarray
    p: np.ndarray
    q: np.ndarray


def _chords(p: np.ndarray, q: np.ndarray, loss: np.ndarray, step: float) -> _Chords:
    """Merge cells of descending loss >= 0 from the highest down; the last of them are left over."""
    curve_p, curve_q = np.concatenate([[0.0], np.cumsum(p)]), np.concatenate([[0.0], np.cumsum(q)])
    ends, index = [(0.0, 0.0)], []
    for k in range(math.floor(loss[0] / step) if len(loss) else 0, 0, -1):
        end = _chord_end(curve_p, curve_q, loss, ends[-1], k * step)
        if end is None:
            continue
        if math.isinf(end[0]):
            break
        ends.append(end)
        index.append(k)
    masses = np.diff(np.array(ends), axis=0)
    return _Chords(np.array(index, dtype=np.int64), masses[:, 0], masses[:, 1])


def _chord_end(
    curve_p: np.ndarray, curve_q: np.ndarray, loss: np.ndarray, start: tuple[float, float], slope: float
) -> tuple[float, float] | None:
    """Return where the chord from ``start`` meets the curve again; None if it never leaves it,
    infinity if it never meets it."""
    (at_p, at_q), ratio = start, math.exp(slope)
    low = int(np.searchsorted(-loss, -slope))  # cells before `low` are steeper than the chord

    def above(i: int) -> float:
        return (curve_q[i] - at_q) - ratio * (curve_p[i] - at_p)

    if above(low) <= 0 or curve_p[low] <= at_p:
        return None
    high = len(loss)
    if above(high) > 0:
        return math.inf, math.inf
    while high - low > 1:
        centre = (low + high) // 2
        low, high = (centre, high) if above(centre) > 0 else (low, centre)
    share = above(low) / (above(low) - above(high))
    return (curve_p[low] + share * (curve_p[high] - curve_p[low]),
            curve_q[low] + share * (curve_q[high] - curve_q[low]))
