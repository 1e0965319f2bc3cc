"""Gamma: the Gaussian variance that dominates every direction, as a function of the squared shift.

The coordinates of a direction are exchanged for Gaussian variance one after the other, the smallest first, beginning
with a gift c[0]. T_c(v) is the least C with N(c) x P_v <= N(C); T does not decrease in v, and T_c(v) - c does not
increase in c. So the entries T(v_j, c_i) of a finite table bound it everywhere.

Small coordinates, v^2 <= u[0] of the second stage: in any order, by a flow dc/dt = rate(c) with a rate that does not
increase: it adds at least T_c(v) - c in the time v^2. Large ones: in the order of their size, on a lattice of budgets,
by A_j[k] = max(A_{j-1}[k], T at v_j of A_j[k - m_j]), where m_j is the budget of the cell's *smallest* shift,
rounded down.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lmodp.accounting.domination.criterion import least_increase
from lmodp.accounting.domination.stick import small_sticks, sticks
from lmodp.errors import Unsupported
from lmodp.mechanisms import RateMixture
from lmodp.mechanisms.arrays import Floats

_GIFT = 5e-4  # of the Fisher information
_VARIANCE_RATIO = 1.06
SMALLEST = 0.05 * _GIFT  # squared shift; a flow of this time stays within the first cell of variances
FLOW_END = 2e-3  # squared shift from which coordinates are ordered
_LARGEST = 4.0  # of the Fisher information; more is useless
BUDGETS = 100_000  # steps of the lattice of budgets up to 1
_UP = 1 + 1e-12
_WEAKEST, _STRONGEST = 100.0, 0.02  # largest scores with which doubles are good enough
_ROUNDS, _LIFT = 20, 1 + 1e-9
_STEP = 2.5e-5  # table entries are whole multiples of this share of I v^2


@dataclass(frozen=True, eq=False)
class Domination:
    """A certificate: with it, every direction of squared length k / (n - 1) is dominated by N(gamma[k]).

    Args:
        variances: c, ascending from the gift, shape (m,).
        squares: v^2 at the ends of the cells of shifts, ascending, shape (r + 1,); smaller ones are in ``small``.
        small: rate of shifts up to squares[0] from each variance on, shape (m,).
        table: increases T_c(v) - c at the upper ends squares[1:] of the cells, shape (r, m).
        rates: of the flow in the cells that begin at ``variances``, shape (m,).
        unit: entries of a row of the table are multiples of it, shape (r,).
        gamma: on the lattice of budgets 0 ... 1, shape (n,).
    """

    variances: Floats
    squares: Floats
    small: Floats
    table: Floats
    rates: Floats
    unit: Floats
    gamma: Floats

    def at(self, budget: float) -> float:
        """Return Gamma for squared length ``budget`` <= 1."""
        last = len(self.gamma) - 1
        return float(self.gamma[min(int(np.ceil(budget * last * _UP)), last)])

    def up_to(self, square: float) -> Floats:
        """Return Gamma, on the lattice of budgets, of directions without a larger squared shift."""
        flowed = _flowed(self.variances, self.rates)
        return _ordered(self.variances, self.squares, self.table, flowed, largest=square)


@lru_cache(maxsize=16)
def dominate(noise: RateMixture) -> Domination:
    """Return the domination of every direction of length at most 1, in any number of dimensions.

    Raises:
        Unsupported: the noise does not pass; nothing is proven about it by this route.
    """
    largest = noise.score_maximum
    if not _STRONGEST <= largest <= _WEAKEST:
        raise Unsupported(f"largest score {largest:.4g}: the domination is computed from {_STRONGEST} to {_WEAKEST}")
    information = noise.fisher_information
    count = int(np.log(_LARGEST / _GIFT) / np.log(_VARIANCE_RATIO)) + 1
    variances = _GIFT * information * _VARIANCE_RATIO ** np.arange(count, dtype=np.float64)
    squares = _squares()
    small = small_rates(noise, variances)
    unit = _STEP * information * squares[1:]
    table = least_increase(sticks(noise, np.sqrt(squares[1:])), variances, unit)
    if not (np.isfinite(small).all() and np.isfinite(table[squares[1:] <= FLOW_END]).all()):
        raise Unsupported("small coordinates are not dominated by a Gaussian of a useful size: the noise does not pass")
    rates = _flow(variances, squares, small, table)
    gamma = _ordered(variances, squares, table, _flowed(variances, rates))
    if not np.isfinite(gamma[-1]):
        raise Unsupported("a coordinate is not dominated by a Gaussian of a useful size: the noise does not pass")
    return Domination(variances, squares, small, table, rates, unit, gamma)


def _squares() -> Floats:
    """Return ends of the cells of v^2: fine at small shifts, where almost nothing is gained by smoothing."""
    found = [SMALLEST]
    while found[-1] < 1:
        found.append(min(found[-1] * (1 + min(0.015, 0.001 + 0.2 * np.sqrt(found[-1]))), 1.0))
    return np.array(found)


def small_rates(noise: RateMixture, variances: Floats) -> Floats:
    """Return g with N(c) x P_v <= N(c + g v^2) for every v^2 <= `SMALLEST` and every c from the entry's on.

    With H of N(g v^2) >= exp(-g v^2/8) v E(sqrt(g) Z - t)_+ >= exp(-g w^2/8) (v/w) (H of N(g w^2) at w t), Z standard
    normal, the criterion for the two functions of `small_sticks`, times exp(g w^2/8), at the shift w is enough: a
    smaller v^2/c multiplies D by a factor that rises in t.
    """
    s, h = small_sticks(noise, np.sqrt(SMALLEST))
    g = 1.25 * noise.fisher_information
    unit = np.full(2, _STEP * noise.fisher_information * SMALLEST)
    increase = least_increase((s, h * np.exp(g * SMALLEST / 8)), variances, unit).max(axis=0)
    return np.where(increase <= g * SMALLEST, increase / SMALLEST, np.inf)


def _flow(variances: Floats, squares: Floats, small: Floats, table: Floats) -> Floats:
    """Return rates of the flow, which do not increase.

    From c in cell i, between variances[i] and the next, the flow adds at least what it adds from variances[i+1], and
    T_c(v) - c is at most that of variances[i]. Where the flow is too slow for an entry, all rates on its way are
    raised.
    """
    rows = squares[1:] <= FLOW_END
    times, increases = squares[:-1][rows], table[rows]
    before = np.concatenate([small[:1], small[:-1]])  # a cell's rate serves the cell before it
    rates = np.maximum.accumulate(np.maximum(before, small)[::-1])[::-1] * _UP
    for _ in range(_ROUNDS):
        factors = np.ones(len(rates))
        passed = _passed(variances, rates, variances)
        for cell, start in enumerate([*range(1, len(rates)), len(rates) - 1]):
            reached = variances[start] + increases[:, cell]
            slower = (_passed(variances, rates, reached) - passed[start]) / times * _UP
            slower = np.where(slower > 1, slower * _LIFT, 0.0)
            last = np.searchsorted(variances, reached) - 1
            raised = np.zeros(len(rates))
            np.maximum.at(raised, last, slower)
            factors[start:] = np.maximum(factors[start:], np.maximum.accumulate(raised[::-1])[::-1][start:])
        rates = np.maximum.accumulate((rates * factors)[::-1])[::-1]
        if not (factors > 1).any():
            break
    else:
        rates = np.full_like(rates, np.inf)
    return rates


def _passed(variances: Floats, rates: Floats, c: Floats) -> Floats:
    """Return the flow's time from the gift to ``c``."""
    starts = np.concatenate([[0.0], np.cumsum(np.diff(variances) / rates[:-1])])
    cell = np.searchsorted(variances, c, side="right") - 1
    found: Floats = starts[cell] + (c - variances[cell]) / rates[cell]
    return found


def _flowed(variances: Floats, rates: Floats) -> Floats:
    """Return where the flow from the gift is after each budget, rounded up."""
    starts = np.concatenate([[0.0], np.cumsum(np.diff(variances) / rates[:-1])])
    time = np.arange(BUDGETS + 1) / BUDGETS
    cell = np.searchsorted(starts, time, side="right") - 1
    found: Floats = (variances[cell] + rates[cell] * (time - starts[cell])) * _UP
    return found


def _ordered(variances: Floats, squares: Floats, table: Floats, flowed: Floats, largest: float = 1.0) -> Floats:
    """Return Gamma after the large coordinates, in ascending order, up to the cell with this squared shift."""
    gamma = flowed
    for row in np.flatnonzero((squares[1:] > FLOW_END) & (squares[:-1] < largest)):
        moved = int(squares[row] * BUDGETS / _UP)
        changed = np.arange(BUDGETS + 1 - moved)
        while len(changed):
            before = gamma[changed]
            cell = np.searchsorted(variances, before, side="right") - 1
            after = (before + table[row, cell]) * _UP
            larger = after > gamma[changed + moved]
            gamma[changed[larger] + moved] = after[larger]
            changed = changed[larger] + moved
            changed = changed[changed <= BUDGETS - moved]
    return np.maximum.accumulate(gamma)
