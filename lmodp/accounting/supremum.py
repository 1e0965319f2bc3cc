"""The Renyi curve of a vector release: the least upper bound over all shifts, by branch and bound.

For a shift (v_1 ... v_d) with sum v_i^2 <= 1 the log moment is sum_i log F_a(v_i), at most
G_a = sup_{0 < v <= 1} log F_a(v)/v^2 for every d. As v -> 0 the ratio tends to a(a-1) I/2.
G_a is convex in a, a supremum of cumulant functions, so chords between computed orders bound it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lmodp.accounting.divergence import Quadrature, quadrature, ratio_bound
from lmodp.mechanisms import Gaussian, Noise, RateMixture

TOLERANCE = 1e-4
LARGEST_ORDER = 4096
_LEVELS = 40
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class RenyiCurve:
    """Upper bounds G_a of the log moments of a vector release of sensitivity 1.

    Args:
        orders: computed integer orders, ascending from 2, shape (n,).
        log_moments: G_a, shape (n,).
        supremum_at: the s = v^2 at which the largest value was found, 0 for the limit, shape (n,).
    """

    orders: np.ndarray
    log_moments: np.ndarray
    supremum_at: np.ndarray

    def dense(self) -> np.ndarray:
        """Return bounds for k = 0 ... largest order, shape (largest + 1,); 0 at k = 0 and 1."""
        grid = np.arange(self.orders[-1] + 1)
        return np.interp(grid, np.concatenate([[0, 1], self.orders]), np.concatenate([[0, 0], self.log_moments]))


def renyi_orders(largest: int = LARGEST_ORDER) -> np.ndarray:
    """Return 2 ... 32 and then about 4 % apart up to ``largest``."""
    steps = np.geomspace(32, largest, int(np.ceil(np.log(largest / 32) / np.log(1.04))) + 1)
    return np.unique(np.concatenate([np.arange(2, 33), np.round(steps)])).astype(np.int64)


@lru_cache(maxsize=64)
def vector_curve(noise: Noise, *, largest_order: int = LARGEST_ORDER) -> RenyiCurve:
    """Return the bound for any number of dimensions, at sensitivity 1."""
    if isinstance(noise, Gaussian):
        orders = np.arange(2, largest_order + 1)
        return RenyiCurve(orders, orders * (orders - 1) / (2 * noise.variance), np.zeros(len(orders)))
    return _search(noise, renyi_orders(largest_order))


def _search(noise: RateMixture, orders: np.ndarray) -> RenyiCurve:
    nodes = quadrature(noise)
    order = orders.astype(np.float64)
    best = order * (order - 1) * noise.fisher_information / 2
    where, bound = np.zeros(len(order)), best.copy()
    index, v0, v1 = _first_intervals(order, noise.score_maximum)
    for _ in range(_LEVELS):
        upper = _chunked(noise, nodes, order[index], v0, v1)
        done = upper <= (1 + TOLERANCE) * best[index]
        np.maximum.at(bound, index[done], upper[done])
        index, v0, v1 = index[~done], v0[~done], v1[~done]
        if not len(index):
            break
        middle = np.where(v0 > 0, np.sqrt(v0 * v1), v1 / 4)
        value = _chunked(noise, nodes, order[index], middle, middle)
        for i in np.flatnonzero(value > best[index]):
            if value[i] > best[index[i]]:
                best[index[i]], where[index[i]] = value[i], middle[i] ** 2
        index = np.concatenate([index, index])
        v0, v1 = np.concatenate([v0, middle]), np.concatenate([middle, v1])
    np.maximum.at(bound, index, _chunked(noise, nodes, order[index], v0, v1))
    return RenyiCurve(orders, np.maximum(bound, best), where)


def _first_intervals(order: np.ndarray, slope: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (order index, v0, v1) of intervals that cover (0, 1] for every order."""
    index, v0, v1 = [], [], []
    for i, a in enumerate(order):
        first = min(0.5, 0.1 / (a * slope))
        edges = np.concatenate([[0], np.geomspace(first, 1, int(np.ceil(np.log2(1 / first))) + 1)])
        index.append(np.full(len(edges) - 1, i))
        v0.append(edges[:-1])
        v1.append(edges[1:])
    return np.concatenate(index), np.concatenate(v0), np.concatenate(v1)


def _chunked(noise: RateMixture, nodes: Quadrature, order: np.ndarray, v0: np.ndarray, v1: np.ndarray) -> np.ndarray:
    parts = [slice(i, i + _CHUNK) for i in range(0, len(order), _CHUNK)]
    return np.concatenate([np.empty(0), *(ratio_bound(noise, nodes, order=order[p], v0=v0[p], v1=v1[p])
                                          for p in parts)])
