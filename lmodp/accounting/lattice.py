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
        masses: shape (n,), summing to at most 1. Missing mass counts as infinite loss in an upper
            bound; in a lower bound it is dropped, which only lowers divergences.
        first: lattice index of the first mass.
        step: h, width of the lattice.
    """

    masses: np.ndarray
    first: int
    step: float

    @property
    def losses(self) -> np.ndarray:
        """Losses of the masses, shape (n,)."""
        return (self.first + np.arange(len(self.masses))) * self.step

    @property
    def counterpart(self) -> np.ndarray:
        """P's masses, shape (n,)."""
        return self.masses * np.exp(-self.losses)


def connect_dots(p: np.ndarray, q: np.ndarray, *, first: int, step: float) -> LatticePair:
    """Return a dominating pair from cell masses.

    Args:
        p, q: masses of the cells whose loss lies in [(first + j) step, (first + j + 1) step], shape (n,).
    """
    lower = np.exp((first + np.arange(len(q))) * step)
    up = np.clip((q - p * lower) / -math.expm1(-step), 0.0, q)
    masses = np.zeros(len(q) + 1)
    masses[:-1] += q - up
    masses[1:] += up
    return LatticePair(masses, first, step)


def merge(p: np.ndarray, q: np.ndarray, loss: np.ndarray, *, step: float) -> LatticePair:
    """Return a dominated pair: cells merged until each ratio is exactly a lattice value.

    On the curve of cumulative (P, Q) in the order of falling loss, the merged cells are chords with
    the lattice's slopes, each ending where it meets the curve again. Losses above 0 are merged from
    the highest down, losses below 0 from the lowest up (the mirror image), and what is left around 0
    becomes one cell whose Q mass is lowered to the next lattice value.

    Args:
        p, q: masses of cells with descending ``loss`` = log(q/p), shape (n,).
    """
    centre = int(np.searchsorted(-loss, 0.0))
    up = _chords(p[:centre], q[:centre], loss[:centre], step)
    down = _chords(q[centre:][::-1], p[centre:][::-1], -loss[centre:][::-1], step)
    rest_p = p.sum() - up.p.sum() - down.q.sum()
    rest_q = q.sum() - up.q.sum() - down.p.sum()
    index, mass = np.concatenate([up.index, -down.index]), np.concatenate([up.q, down.p])
    if min(rest_p, rest_q) > 0:
        k = math.floor(math.log(rest_q / rest_p) / step + 1e-9)
        index, mass = np.append(index, k), np.append(mass, min(rest_q, rest_p * math.exp(k * step)))
    first = int(index.min())
    dense = np.zeros(int(index.max()) - first + 1)
    np.add.at(dense, index - first, mass)
    return LatticePair(dense, first, step)


@dataclass(frozen=True, eq=False)
class _Chords:
    """Merged cells: lattice indices and masses, shape (m,)."""

    index: np.ndarray
    p: np.ndarray
    q: np.ndarray


def _chords(p: np.ndarray, q: np.ndarray, loss: np.ndarray, step: float) -> _Chords:
    """Merge cells of descending loss >= 0 from the highest down; the last of them may be left over."""
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
