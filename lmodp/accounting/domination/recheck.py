"""A second reading of a domination certificate, by sums of its own. Nothing is solved and nothing is searched.

With the code that makes certificates it shares the noise only. docs/verified_bounds.md, "A step is dominated by a
Gaussian", has the proofs. To bound a hockey stick, the outcomes are cut into cells of known mass, and each mass is
moved to the two ends of the range of its ratio, the mean kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import erf, erfc, ndtr

from lmodp.errors import DamagedFile
from lmodp.mechanisms import RateMixture
from lmodp.mechanisms.arrays import Booleans, Floats

_NODES, _BESIDE, _BETWEEN = 192, 500, 100  # losses at which sticks are known; cells beside and between the centres
_ROUNDING = 1e-8  # of a stick's value at 0; and 1e-9 of an integral
ARRAYS = ("variances", "squares", "small", "table", "rates")


def recheck(noise: RateMixture, certificate: Mapping[str, Any]) -> float:
    """Return the Gamma that a certificate proves for all directions of length at most 1.

    Args:
        noise: at sensitivity 1.
        certificate: `ARRAYS` (see `lmodp.accounting.domination.budget.Domination`); ``flow_end``, the square up to
            which coordinates are in any order; ``budgets``, the parts of the budget 1; ``gamma``, the result.

    Raises:
        DamagedFile: the first inequality that does not hold.
    """
    c, squares, small, table, rates = (np.asarray(certificate[name], dtype=np.float64) for name in ARRAYS)
    _demand(c[0] > 0 and (np.diff(c) > 0).all(), "variances must ascend from above 0")
    _demand(squares[0] > 0 and (np.diff(squares) > 0).all() and squares[-1] >= 1, "squares must ascend to 1")
    cuts = _cuts(noise)
    for row, increases in enumerate(table):
        holds = _holds(*_stick(noise, cuts, np.sqrt(squares[row + 1])), c, increases)
        _demand(holds.all(), f"table[{row}, {np.argmin(holds)}] is smaller than what a coordinate adds")
    for s, h in _small_sticks(noise, cuts, np.sqrt(squares[0])):
        for cell, added in enumerate(small * squares[0]):
            holds = _holds(s, h * np.exp(added / 8), c[[cell]], np.array([added]))
            _demand(holds.all(), f"small[{cell}] is smaller than what small coordinates add")
    ordered = squares[1:] > certificate["flow_end"]
    _check_flow(c, squares, small, table[~ordered], rates)
    gamma = _gamma(c, squares, table, rates, np.flatnonzero(ordered), int(certificate["budgets"]))
    _demand(gamma <= certificate["gamma"] * (1 + 1e-9), f"gamma must be at least {gamma!r}")
    return gamma


def _demand(holds: bool | np.bool, rule: str) -> None:
    if not holds:
        raise DamagedFile(f"certificate: {rule}")


def _cuts(noise: RateMixture) -> Floats:
    """Return y from 0 to where 1e-14 of the mass is left, close to each other in score and in mass."""
    far = noise.inverse_log_survival(np.linspace(0, 32, _BESIDE // 5))
    y = np.concatenate([[0.0], np.geomspace(1e-9 * far[1], far[-1], 20_000)])
    score = noise.score(y)
    return np.unique(np.concatenate([far, np.interp(np.linspace(-score[0], -score[-1], _BESIDE), -score, y)]))


def _mass(noise: RateMixture, low: Floats, high: Floats) -> Floats:
    """Return P(low < X < high) for 0 <= low <= high."""
    below, above = noise.log_survival(low), noise.log_survival(high)
    return np.exp(below) * -np.expm1(np.minimum(above - below, 0)) / 2


def _to_ends(mass: Floats, mean: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return masses and places, one column each."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(np.nan_to_num((high - mean) / (high - low)), 0, 1)  # that of the low end
    return np.concatenate([mass * share, mass * (1 - share)])[:, None], np.concatenate([low, high])[:, None]


def _stick(noise: RateMixture, cuts: Floats, v: float) -> tuple[Floats, Floats]:
    """Return losses s and values above E_Q (exp(-s/2) - exp(s/2) dP/dQ)_+ of a coordinate shifted by v."""
    y, u = np.append(cuts, 1e300), np.linspace(0, v, _BETWEEN)
    beside = np.append(noise.log_density(cuts + v) - noise.log_density(cuts), 0.0)  # log dP/dQ, rises to at most 0
    between = noise.log_density((v + u) / 2) - noise.log_density((v - u) / 2)  # falls
    q = np.concatenate([_mass(noise, y[:-1], y[1:]), _mass(noise, (v - u[1:]) / 2, (v - u[:-1]) / 2)])
    p = np.concatenate([_mass(noise, y[:-1] + v, y[1:] + v), _mass(noise, (v + u[:-1]) / 2, (v + u[1:]) / 2)])
    low, high = (np.exp(np.concatenate(ends)) for ends in ((beside[:-1], between[1:]), (beside[1:], between[:-1])))
    there = q > 0
    mass, ratio = _to_ends(q[there], p[there] / q[there], low[there], high[there])
    s = np.linspace(0, -min(beside[0], between[-1]), _NODES + 1)
    values = np.exp(-s / 2) * (mass * np.maximum(1 - np.exp(s) * ratio, 0)).sum(axis=0)
    return s, values + _ROUNDING * values[0]


def _small_sticks(noise: RateMixture, cuts: Floats, w: float) -> list[tuple[Floats, Floats]]:
    """Return the sticks for the ends v = 0 and v = w of the bound of all v <= w."""
    score, density = np.append(noise.score(cuts), 0.0), np.append(noise.density(cuts), 0.0)
    mass = _mass(noise, cuts, np.append(cuts[1:], 1e300))
    weight, place = _to_ends(mass, -np.diff(density) / mass, score[1:], score[:-1])
    t = np.linspace(0, score[0], _NODES + 1)
    first = (weight * np.maximum(place - t, 0)).sum(axis=0)
    first += _ROUNDING * first[0]
    second = np.exp(-w * t / 2) * first + w * density[0] * (score[0] - t) ** 2 / (4 * score[0])
    return [(w * t, w * np.exp((w * score[0]) ** 2 / 24) * values) for values in (first, second)]


def _holds(s: Floats, h: Floats, c: Floats, x: Floats) -> Booleans:
    """Return for each c whether from some s* on the sticks' difference is at most 0, and the inequality at b = 0
    holds without its negative part up to s*. An infinite x claims nothing."""
    root, width = np.sqrt(x)[:, None], np.diff(s)
    upper, lower = np.exp(-s / 2) * ndtr(root / 2 - s / root), np.exp(s / 2) * ndtr(-root / 2 - s / root)
    value, fall = upper - lower, (upper + lower) / 2  # of the Gaussian stick, which is convex
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = (np.diff(value) + fall[:, 1:] * width) / np.diff(fall)  # its tangents at both ends of a piece
    meet = np.clip(np.nan_to_num(meet), 0, width)
    tangent = np.maximum(value[:, :-1] - fall[:, :-1] * meet, value[:, 1:] + fall[:, 1:] * (width - meet))
    excess = h - value
    below = (excess[:, :-1] < 0) & (excess[:, 1:] < 0) & (h[:-1] + np.diff(h) / width * meet <= tangent)
    # s* is where all later pieces are below 0, or, if the piece before begins above 0, where it crosses 0.
    count = len(width) - np.argmin(np.append(below[:, ::-1], np.zeros((len(x), 1), dtype=bool), axis=1), axis=1)
    crossing = np.take_along_axis(excess, np.maximum(count - 1, 0)[:, None], axis=1) >= 0
    before = np.arange(len(width)) < count[:, None] - crossing
    negative = np.where(before, np.maximum(-np.minimum(excess[:, :-1], excess[:, 1:]), 0), 0)
    flat = np.sqrt(np.pi * c[:, None] / 2) * np.diff(erf(s / np.sqrt(2 * c[:, None])))
    rising = -c[:, None] * np.diff(np.exp(-s * s / (2 * c[:, None])))
    left = (h[:-1] * flat + np.diff(h) / width * (rising - s[:-1] * flat) + negative * flat).sum(axis=1)
    right = np.sqrt(np.pi * c / 2) * np.exp(c / 8) * (erfc(np.sqrt(c / 8)) - erfc(np.sqrt((c + x) / 8)))
    return np.asarray(np.isinf(x) | (left <= right * (1 - 1e-9)))


def _check_flow(c: Floats, squares: Floats, small: Floats, table: Floats, rates: Floats) -> None:
    """Check that from every c of a cell the flow adds at least what coordinates up to ``flow_end`` add, in the time
    of the cell's smallest shift. It adds least from the cell's end, they add most at its beginning."""
    width = np.diff(c)
    _demand((np.diff(rates) <= 0).all(), "rates must not increase")
    _demand((rates >= small).all() and (rates[1:] >= small[:-1]).all(), "rates must be at least small")
    _demand((small * squares[0] <= width.min()).all(), "the smallest shifts must stay within a cell")
    starts = np.concatenate([[0.0], np.cumsum(width / rates[:-1])])  # when the flow from c[0] enters each cell
    for cell in range(len(c)):
        begin = min(cell + 1, len(c) - 1)
        end = c[begin] + table[:, cell]
        last = np.searchsorted(c, end, side="right") - 1
        time = starts[last] + (end - c[last]) / rates[last] - starts[begin]
        _demand((time <= squares[: len(table)]).all(), f"the flow is too slow for column {cell} of the table")


def _gamma(c: Floats, squares: Floats, table: Floats, rates: Floats, rows: Any, budgets: int) -> float:
    """Return the largest variance that flow and then coordinates in ascending order reach with budgets up to 1."""
    starts = np.concatenate([[0.0], np.cumsum(np.diff(c) / rates[:-1])])
    time = np.linspace(0, 1, budgets + 1)
    cell = np.searchsorted(starts, time, side="right") - 1
    reached = (c[cell] + (time - starts[cell]) * rates[cell]) * (1 + 1e-11)
    for row in rows:
        spent = int(np.floor(squares[row] * budgets * (1 - 1e-12)))  # the smallest shift of the cell
        _demand(spent > 0, "a square above flow_end must be at least one part of the budget")
        for first in range(spent, budgets + 1, spent):  # each part follows from the one before
            before = reached[first - spent : min(first, budgets + 1 - spent)]
            after = before + table[row, np.searchsorted(c, before, side="right") - 1]
            part = slice(first, first + len(before))
            reached[part] = np.maximum(reached[part], after * (1 + 1e-12))
    return float(reached.max())
