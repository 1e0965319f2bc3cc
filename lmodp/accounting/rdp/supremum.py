"""The Renyi curve of a vector release: the least upper bound over all shifts, by branch and bound.

For a shift (v_1 ... v_d) with sum v_i^2 <= 1 the log moment is sum_i log F_a(v_i), at most
G_a = sup_{0 < v <= 1} log F_a(v)/v^2 for every d. As v -> 0 the ratio tends to a(a-1) I/2.
G_a is convex in a, a supremum of cumulant functions, so chords between computed orders bound it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lmodp.accounting.rdp.divergence import Quadrature, quadrature, ratio_bound
from lmodp.mechanisms import Gaussian, GaussianMixture, Noise, RateMixture, mixture_of
from lmodp.mechanisms.arrays import Floats, Integers, Orders

# Relative slack of the bound: the limit v -> 0 is the supremum; it lies inside; finite dimension.
_AT_LIMIT, _INSIDE, _FINITE = 1e-4, 2e-3, 1e-3
# Most halvings, and most intervals at once; intervals still open then keep their bound (valid, less tight).
_LEVELS, _MOST_INTERVALS = 40, 2**15
# Orders between the whole ones: 1.014 ... 1.9 and quarters up to 6. Weak noise needs them.
FRACTIONS = np.concatenate([1 + 0.9 * 2.0 ** (-np.arange(30, -1, -1) / 5), 2 + np.arange(16) / 4])
FRACTIONS = FRACTIONS[FRACTIONS % 1 > 0]
_CHUNK = 1024
CLOSED = (Gaussian, GaussianMixture)  # curves in closed form; the worst shift of a mixture is in one coordinate


@dataclass(frozen=True, eq=False)
class RenyiCurve:
    """Upper bounds G_a of the log moments of a vector release of sensitivity 1.

    Args:
        orders: computed orders, ascending, shape (n,): whole ones from 2, and some between those up to 6.
        log_moments: G_a, shape (n,).
        worst_shift: the s = v^2 at which the largest value was found, 0 for the limit, shape (n,).
    """

    orders: Floats
    log_moments: Floats
    worst_shift: Floats

    def dense(self) -> Floats:
        """Return bounds for k = 0 ... largest order, shape (largest + 1,); 0 at k = 0 and 1."""
        return self.at(np.arange(self.orders[-1] + 1))

    def at(self, orders: Orders) -> Floats:
        """Return bounds at any orders from 0 to the largest: chords, as the true moments are convex in the order."""
        known = np.concatenate([[0, 1], self.orders]), np.concatenate([[0, 0], self.log_moments])
        bounds: Floats = np.interp(orders, *known)
        return bounds


def renyi_orders(largest: int) -> Floats:
    """Return `FRACTIONS`, all of 2 ... 32, and then whole orders about 4 % apart up to ``largest`` >= 64."""
    steps = np.geomspace(32, largest, int(np.ceil(np.log(largest / 32) / np.log(1.04))) + 1)
    return np.unique(np.concatenate([FRACTIONS, np.arange(2.0, 33), np.round(steps)]))


@lru_cache(maxsize=64)
def vector_curve(noise: Noise, *, largest_order: int) -> RenyiCurve:
    """Return the bound for any number of dimensions, at sensitivity 1."""
    if isinstance(noise, CLOSED):
        orders = np.unique(np.concatenate([FRACTIONS, np.arange(2.0, largest_order + 1)]))
        half, single = orders * (orders - 1) / 2, isinstance(noise, GaussianMixture)
        moments = noise.log_precision_mgf(half) if isinstance(noise, GaussianMixture) else half / noise.variance
        return RenyiCurve(orders, moments, np.full(len(orders), float(single)))
    return _search(mixture_of(noise), renyi_orders(largest_order))


def _search(noise: RateMixture, orders: Floats) -> RenyiCurve:
    """Return the supremum of log F_a(v)/v^2 for every order, from its limit at v = 0 on."""
    nodes = quadrature(noise)
    upper, best, where = _branch_and_bound(
        lambda index, v0, v1: _chunked(noise, nodes, orders[index], v0, v1),
        _first_intervals(orders, noise.score_maximum),
        best=orders * (orders - 1) * noise.fisher_information / 2,
        where=np.zeros(len(orders)),
        worth=lambda best, where: (1 + _AT_LIMIT) * best,
        enough=lambda best, where: (1 + np.where(where > 0, _INSIDE, _AT_LIMIT)) * best,
    )
    return RenyiCurve(orders, np.maximum(upper, best), where)


Intervals = tuple[Integers, Floats, Floats]  # index of the order, v0, v1
Bound = Callable[[Integers, Floats, Floats], Floats]
Level = Callable[[Floats, Floats], Floats]


def _branch_and_bound(
    bound: Bound, intervals: Intervals, *, best: Floats, where: Floats, worth: Level, enough: Level
) -> tuple[Floats, Floats, Floats]:
    """Bound the supremum over v in (0, 1] of one function per order, by halving intervals until each is settled.

    Intervals that are still open after `_LEVELS` halvings, or when there are more than `_MOST_INTERVALS`, keep
    their current upper bound, which is valid and less tight.

    Args:
        bound: (index of the order, v0, v1) -> upper bound of the function on [v0, v1]; its value if v0 = v1.
        intervals: they cover (0, 1] for every order.
        best, where: a value of each function, and the s = v^2 at which it is reached.
        worth: (best, where) -> level above which an interval's upper bound is reason to look for a larger value.
        enough: (best, where) -> level up to which an interval's upper bound is accepted.

    Returns:
        An upper bound for every order, and the largest values found with their s.
    """
    upper = np.full(len(best), -np.inf)
    index, v0, v1 = intervals
    for level in range(_LEVELS):
        bounds = bound(index, v0, v1)
        best, where = _improved(bound, (index, v0, v1), bounds, best, where, worth(best, where))
        settled = bounds <= enough(best, where)[index]
        done = settled | (level == _LEVELS - 1 or len(index) > _MOST_INTERVALS)
        np.maximum.at(upper, index[done], bounds[done])
        index, v0, v1 = index[~done], v0[~done], v1[~done]
        if not len(index):
            break
        middle = _middle_of(v0, v1)
        index = np.concatenate([index, index])
        v0, v1 = np.concatenate([v0, middle]), np.concatenate([middle, v1])
    return upper, best, where


def _middle_of(v0: Floats, v1: Floats) -> Floats:
    return np.where(v0 > 0, np.sqrt(v0 * v1), v1 / 4)


def _improved(
    bound: Bound, intervals: Intervals, bounds: Floats, best: Floats, where: Floats, level: Floats
) -> tuple[Floats, Floats]:
    """Return ``best`` and ``where`` with the value in each order's most promising interval, if that is larger.

    Only intervals whose upper bound is above the order's ``level`` are looked at.
    """
    index, v0, v1 = intervals
    promising = bounds > level[index]
    index, v0, v1 = index[promising], v0[promising], v1[promising]
    ranked = np.lexsort((bounds[promising], index))
    top = ranked[np.flatnonzero(np.diff(index[ranked], append=-1))]
    middle = _middle_of(v0[top], v1[top])
    found = bound(index[top], middle, middle)
    better = found > best[index[top]]
    best, where = best.copy(), where.copy()
    best[index[top[better]]], where[index[top[better]]] = found[better], middle[better] ** 2
    return best, where


@lru_cache(maxsize=64)
def finite_curve(noise: Noise, *, dimension: int, largest_order: int) -> RenyiCurve:
    """Return the bound for ``dimension`` coordinates, at sensitivity 1.

    With R(s) = log F_a(sqrt(s)) the log moment is at most the largest sum of R(s_i) under
    sum s_i <= 1. For every slope m >= 0 that is at most m + d sup_s (R(s) - m s); the slope of R at
    the equal split 1/d makes it tight where R is concave. One dimension is R(1), as R increases.
    """
    if isinstance(noise, CLOSED):
        return vector_curve(noise, largest_order=largest_order)
    if dimension == 1:
        return equal_split_curve(noise, dimension=1, largest_order=largest_order)
    mixture, orders = mixture_of(noise), renyi_orders(largest_order)
    bound = _dual(mixture, quadrature(mixture), orders, dimension)
    many = vector_curve(noise, largest_order=largest_order)
    smaller = bound < many.log_moments
    return RenyiCurve(
        orders, np.where(smaller, bound, many.log_moments), np.where(smaller, 1 / dimension, many.worst_shift)
    )


@lru_cache(maxsize=256)
def equal_split_curve(noise: Noise, *, dimension: int | None, largest_order: int) -> RenyiCurve:
    """Return the log moments of the shift spread evenly over all coordinates (None: its limit).

    Exact for one dimension and for a Gaussian; otherwise what `finite_curve` is where R is concave, no bound.
    """
    if isinstance(noise, CLOSED):
        return vector_curve(noise, largest_order=largest_order)
    mixture, orders = mixture_of(noise), renyi_orders(largest_order)
    s = 1 / dimension if dimension else 0.0
    if dimension is None:
        value = orders * (orders - 1) * mixture.fisher_information / 2
    else:
        value = dimension * _value(mixture, quadrature(mixture), orders, s)
    return RenyiCurve(orders, value, np.full(len(orders), s))


def _value(noise: RateMixture, nodes: Quadrature, order: Floats, s: float) -> Floats:
    """Return R(s) at every order."""
    v = np.full(len(order), np.sqrt(s))
    return s * _chunked(noise, nodes, order, v, v)


def _dual(noise: RateMixture, nodes: Quadrature, order: Floats, dimension: int) -> Floats:
    """Return m + d sup_s (R(s) - m s) at every order, to a relative slack of 1e-3."""
    at, nearby = (_value(noise, nodes, order, factor / dimension) for factor in (1.0, 0.999))
    slope = (at - nearby) / (0.001 / dimension)

    def bound(index: Integers, v0: Floats, v1: Floats) -> Floats:
        """Bound R(s) - m s = s (log F_a(v)/v^2 - m) for s = v^2."""
        excess = _chunked(noise, nodes, order[index], v0, v1) - slope[index]
        return np.asarray(excess * np.where(excess > 0, v1, v0) ** 2)

    def level(best: Floats, where: Floats) -> Floats:
        return best + _FINITE * at

    upper, _, _ = _branch_and_bound(
        bound,
        _first_intervals(order, noise.score_maximum, shared=True),
        best=at - slope / dimension,
        where=np.full(len(order), 1 / dimension),
        worth=level,
        enough=level,
    )
    return slope + dimension * upper


def _first_intervals(order: Floats, slope: float, *, shared: bool = False) -> Intervals:
    """Return (order index, v0, v1) of intervals that cover (0, 1] for every order.

    Where edges are ``shared`` they are powers of two, so that all orders ask for densities at the same places.
    """
    index, v0, v1 = [], [], []
    for i, a in enumerate(order):
        first = min(0.5, 0.1 / (a * slope))
        first = 2.0 ** np.floor(np.log2(first)) if shared else first
        edges = np.concatenate([[0], np.geomspace(first, 1, int(np.ceil(np.log2(1 / first))) + 1)])
        index.append(np.full(len(edges) - 1, i))
        v0.append(edges[:-1])
        v1.append(edges[1:])
    return np.concatenate(index), np.concatenate(v0), np.concatenate(v1)


def _chunked(noise: RateMixture, nodes: Quadrature, order: Floats, v0: Floats, v1: Floats) -> Floats:
    """Return `ratio_bound` of many intervals; those that begin at one shift come together and share its densities."""
    found, alike = np.empty(len(order)), np.argsort(v0, kind="stable")
    for part in (alike[i : i + _CHUNK] for i in range(0, len(order), _CHUNK)):
        found[part] = ratio_bound(noise, nodes, order=order[part], v0=v0[part], v1=v1[part])
    return found
