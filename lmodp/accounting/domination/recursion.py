"""An upper end for weak steps: the recursion over the steps of a sampled run, with smooth functions above its values.

Let w = 1 - q + q r be the ratio of a sampled step. With u_0(z) = (z - 1)_+ and u_{k+1}(z) the supremum over all
directions of E_P u_k(z w) (removal) or of E_P w u_k(z/w) (addition), delta(epsilon) <= e^epsilon u_T(e^-epsilon), also
for adaptive gradients. On one step f(r) = u_k(z w) is convex, and the lemma of docs/verified_bounds.md ("Weak steps")
says: if log f''(e^l) + 3 l/2 + l^2/(2c) is convex in l, then E f(r) <= E f(g) for every direction, with log g of the
Gaussian pair N(x(c)). x(c)/I falls to 1 where c is some multiples of I, and the steps that are still to come make f so
smooth. So every value is bounded by a f that is smooth by construction, lies above the chords of the last values, and
nearly touches them. How it is chosen does not matter; that it lies above is computed. Where f is not smooth, the curve
of one step (`lmodp.accounting.domination.curve`) bounds E f(r).
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from scipy.special import exprel

from lmodp.accounting.domination.budget import SMALLEST, small_rates
from lmodp.accounting.domination.criterion import least_increase
from lmodp.accounting.domination.curve import GaussianStep, Step, gaussian_log_stick, step_curve
from lmodp.accounting.domination.stick import sticks
from lmodp.accounting.pld.composition import composed_epsilon
from lmodp.accounting.pld.lattice import LatticePair
from lmodp.errors import Unsupported
from lmodp.mechanisms import RateMixture
from lmodp.mechanisms.arrays import Floats, Integers

_FINE = {True: 16, False: 8}  # states a deviation of one step; by removal
_BLOCK = 192  # steps of a recursion; blocks of so many are composed
_SMOOTHNESS = 2.0 ** np.arange(-4, 7)  # c over the Fisher information
_CELL = 1.002  # ratio of squared shifts in the table of x(c)
_NEARLY = 1.003
_GROWTH = 1.015  # of the distance of places, beyond three deviations
_PART = 0.25  # of r, from a place to the next one
_BENDS = (0.001, 0.004, 0.02)  # added to the log of the shape, times l^2/I up to _BENT deviations
_BENT = 5.0
_WIDE = 0.5  # of the information: the model's variance rises by up to so much more
_ENOUGH = 5e-4  # a bound is not sought further where it is this near to the mean of f itself
_TAIL = 12.0  # deviations of log g
_MOST_STATES = 6_000
_DEEPEST = 600.0
_NOISE = 2e-13  # of second differences
_FLAT = 1e-200  # a slope that is not divided by: the quotient would raise what was lost to underflow
_EPS, _ROUNDED, _SUMS, _ULPS = 1e-300, 1e-9, 1e-13, 4e-15  # rounding of means, sums and terms


@lru_cache(maxsize=64)
def over_steps(
    noise: RateMixture, *, sampling_rate: float, steps: int, delta: float, ceiling: float
) -> tuple[float, dict[str, Any]]:
    """Return an upper end of epsilon for any number of coordinates, infinite if it is above about ``ceiling``, and what
    `lmodp.accounting.domination.recheck` needs to follow the recursion without a search.

    Args:
        noise: at sensitivity 1.
        sampling_rate, steps, delta: of the run.
        ceiling: a known upper end.

    Raises:
        Unsupported: the noise does not pass, or the run needs too many states.

    Source:
        docs/verified_bounds.md, "Weak steps".
    """
    if sampling_rate == 1:
        raise Unsupported("the recursion over the steps is for sampled steps")
    blocks, found = math.ceil(steps / _BLOCK), 0.0
    length, chosen = math.ceil(steps / blocks), dict[str, Any]()
    with np.errstate(all="ignore"):  # what is lost makes a bound infinite, and another one is taken
        for removal, name in ((True, "removal"), (False, "addition")):
            grid = _grid(noise, sampling_rate, length, ceiling, blocks, delta, removal)
            values, shapes = _values(noise, grid, length, ceiling / blocks)
            chosen |= {f"{name}_{key}": value for key, value in shapes.items()}
            found = max(found, grid.epsilon(values, delta) if blocks == 1 else grid.composed(values, blocks, delta))
    step, cells = step_curve(noise), {"smooth": smoothing(noise), "cells": (SMALLEST, _CELL)}
    return found, chosen | cells | {"large": step.ends, "width": step.width, "count": len(step.values)}


@lru_cache(maxsize=16)
def smoothing(noise: RateMixture) -> tuple[float, float]:
    """Return c and x with E f(r) <= E f(g) for f that is smooth to c, log g of N(x), and every direction.

    With a fixed c the shares of coordinates add up, so x is the largest of (T_c(v) - c)/v^2, cell by cell. It falls
    as c grows; c is the least one with nearly the least x.
    """
    information = noise.fisher_information
    c = np.asarray(_SMOOTHNESS * information, dtype=np.float64)
    squares = np.geomspace(SMALLEST, 1, math.ceil(-math.log(SMALLEST) / math.log(_CELL)) + 1)
    table = least_increase(sticks(noise, np.sqrt(squares[1:])), c, 1e-5 * information * squares[1:])
    x = np.maximum((table / squares[:-1, None]).max(axis=0), small_rates(noise, c)) * (1 + _ROUNDED)
    if not np.isfinite(x).any():
        raise Unsupported("no smoothness is enough for a Gaussian of a useful size: the noise does not pass")
    first = int(np.argmax(x <= _NEARLY * np.min(x)))
    return float(c[first]), float(x[first])


@dataclass(frozen=True, eq=False)
class _Grid:
    """States z = exp(j h), and places of r, for one direction of adjacency.

    Args:
        removal: f(r) = u(z w); otherwise f(r) = w u(z/w).
        rate: q.
        width: h, of which log(1 - q) is a multiple.
        states: j, ascending, shape (n,).
        places: log w over h, ascending from r = 0, shape (m,).
        fine: states a deviation of one step.
    """

    removal: bool
    rate: float
    width: float
    states: Integers
    places: Integers
    fine: int

    @cached_property
    def z(self) -> Floats:
        """Return the states."""
        found: Floats = np.exp(self.states * self.width)
        return found

    @cached_property
    def centre(self) -> int:
        """Return the index of the place r = 1."""
        return int(np.searchsorted(self.places, 0))

    @cached_property
    def margin(self) -> int:
        """Return how many states beyond the ends a step and its differences can reach."""
        return int(np.abs(self.places).max()) + 2 * self.fine

    def ratio(self, places: Integers) -> Floats:
        """Return r at places on the lattice."""
        found: Floats = np.where(places == self.places[0], 0.0, np.expm1(places * self.width) / self.rate + 1)
        return found

    def extended(self, values: Floats) -> Floats:
        """Return values with bounds beyond both ends: u rises, with a slope of at most 1."""
        beyond = values[-1] + self.z[-1] * np.expm1(np.arange(1, self.margin + 1) * self.width)
        return np.concatenate([np.full(self.margin, values[0]), values, beyond])

    def function(self, extended: Floats, places: Integers) -> Floats:
        """Return f at places for every state, shape (n, m)."""
        sign = 1 if self.removal else -1
        found = extended[np.arange(len(self.states))[:, None] + self.margin + sign * places]
        return np.asarray(found if self.removal else found * np.exp(places * self.width))

    def mean(self, extended: Floats, step: Step) -> Floats:
        """Return at least E f(g) for the chords of f, shape (n,)."""
        last = math.ceil(math.log1p(self.rate * math.expm1(_TAIL * math.sqrt(step.gamma))) / self.width)
        places = np.arange(self.places[0], min(last, self.places[-1]) + 1)
        r = self.ratio(places)
        stick = np.exp(step.log_stick(r))
        slope = np.diff(stick) / np.diff(r)  # below r = 1 of E(r - g)_+, whose slope is higher by 1: no digit is lost
        mass = np.diff(np.concatenate([[0.0], slope, [0.0]]))
        mass[-self.places[0]] += 1
        mass = np.maximum(mass, 0.0)  # where a stick is not quite convex; more mass is only more, as f >= 0
        n, margin = len(self.states), self.margin
        if not self.removal:  # f falls beyond the last place
            weighted = mass * np.exp(places * self.width)
            found = np.convolve(extended[margin - places[-1] : margin + n - places[0]], weighted, "valid")
        else:
            found = np.correlate(extended[margin + places[0] : margin + n + places[-1]], mass, "valid")
            found = found + self.z * self.rate * stick[-1]
        return np.asarray(found * (1 + _ROUNDED))

    def first(self, step: Step) -> Floats:
        """Return u_1 where the step is dominated so, shape (n,)."""
        sign = -1 if self.removal else 1
        strike = np.expm1(sign * self.states * self.width) / self.rate + 1
        stick = np.exp(step.log_stick(np.maximum(strike, 0.0))) * (1 + _ROUNDED)
        if self.removal:
            call = np.where(strike > 0, stick + np.maximum(1 - strike, 0), 1 - strike)
            return np.asarray(self.z * self.rate * call)
        return np.asarray(np.where(strike > 0, self.rate * (stick + np.maximum(strike - 1, 0)), 0.0))

    def epsilon(self, values: Floats, delta: float) -> float:
        """Return the least epsilon above 0 with e^epsilon u(e^-epsilon) <= delta, u on its chords."""
        enough = (values <= delta * self.z) & (self.states < 0)
        if not enough.any():
            return math.inf
        i = int(np.flatnonzero(enough)[-1])
        slope = (values[i + 1] - values[i]) / (self.z[i + 1] - self.z[i])
        meet = (values[i] - slope * self.z[i]) / (delta - slope)
        return -math.log(min(max(meet, self.z[i]), 1.0)) * (1 + _ROUNDED)

    def composed(self, values: Floats, blocks: int, delta: float) -> float:
        """Return epsilon of ``blocks`` times these steps, whose hockey stick is kappa u(1/kappa)."""
        kappa, stick = 1 / self.z[::-1], (values / self.z)[::-1] * (1 + _ROUNDED)
        kappa, stick = np.append(0.0, kappa), np.append(1.0, np.minimum(stick, 1.0))
        slope = np.minimum(np.maximum.accumulate(_hull_slopes(kappa, stick)), 0.0)
        mass = np.diff(np.concatenate([[-1.0], slope, [0.0]]))[1:] * kappa[1:]
        pair = LatticePair(np.maximum(mass, 0.0), -int(self.states[-1]), self.width, float(stick[-1]))
        return composed_epsilon(pair, steps=blocks, delta=delta, upper=True)


def _hull_slopes(x: Floats, y: Floats) -> Floats:
    """Return the slopes, between neighbours, of the largest convex function below the points."""
    hull = [0]
    for i in range(1, len(x)):
        while len(hull) > 1:
            a, b = hull[-2:]
            if (y[b] - y[a]) * (x[i] - x[b]) < (y[i] - y[b]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    return np.repeat(np.diff(y[hull]) / np.diff(x[hull]), np.diff(hull))


def _grid(
    noise: RateMixture, rate: float, steps: int, ceiling: float, blocks: int, delta: float, removal: bool
) -> _Grid:
    """Return the lattice: states from below e^-ceiling to far above 1, and places up to where a state can rise."""
    information = noise.fisher_information
    deviation = rate * math.sqrt(math.expm1(information))
    whole = math.ceil(-math.log1p(-rate) / deviation * _FINE[removal])
    width, total = -math.log1p(-rate) / whole, deviation * math.sqrt(steps)
    far = ceiling
    if blocks > 1:  # beyond it a block has far less than delta
        far = min(ceiling, total * (1.5 + math.sqrt(2 * math.log(1e4 * blocks / delta))))
    low, high = math.ceil((far + 1.5 * total) / width), math.ceil((4 if blocks == 1 else 8) * total / width)
    if not low + high <= _MOST_STATES:
        raise Unsupported(f"the recursion over the steps needs {low + high} states, more than {_MOST_STATES}")
    top = max(1.2 * far + 3 * deviation, math.log1p(rate * math.expm1(_TAIL * math.sqrt(information))))
    right = _spread(math.ceil(top / width), 3 * _FINE[removal], math.inf)
    left = _spread(whole - 1, 3 * _FINE[removal], whole)
    places = np.concatenate([[-whole], -left[::-1], [0], right])
    return _Grid(removal, rate, width, np.arange(-low, high + 1), places, _FINE[removal])


def _spread(last: int, dense: int, end: float) -> Integers:
    """Return whole numbers up to ``last``: all up to ``dense``, then further apart, but near to r = 0 at ``end`` by a
    part of r, as majorants are known by the logarithm of r."""
    found, gap = [], 1.0
    place = 0
    while place < last:
        place = min(place + int(max(min(gap, (end - place) * _PART), 1)), last)
        found.append(place)
        gap = gap * _GROWTH if place > dense else gap
    return np.array(found, dtype=np.int64)


def _values(noise: RateMixture, grid: _Grid, steps: int, epsilon: float) -> tuple[Floats, dict[str, Any]]:
    """Return bounds of u at every state after so many steps, which are to be tight at e^-epsilon, and the shapes."""
    information, single, (c, x) = noise.fisher_information, step_curve(noise), smoothing(noise)
    log_r = np.log(grid.ratio(grid.places[1:]))
    bent = np.minimum(log_r**2 / information, _BENT**2)
    values = grid.first(single)
    model, variances = values, np.empty(steps - 1)
    for done in range(1, steps):
        known = grid.extended(values)
        function = grid.function(known, grid.places)
        shape = _shape(grid, grid.extended(model))
        best = grid.mean(known, single)
        enough = grid.mean(known, GaussianStep(x)) * (1 + _ENOUGH)
        for bend in _BENDS:
            left = np.flatnonzero(~(best <= enough))
            if len(left):
                part = replace(grid, states=grid.states[left])
                majorant = _majorant(part, _smooth(part, shape[left] + bend * bent, c), c, x)
                best[left] = np.fmin(best[left], _least(part, function[left], majorant))
        values = best * (1 + _ROUNDED / 10)
        variances[done - 1] = _variance(grid, model, known, values, information, epsilon * (done + 1) / steps)
        model = grid.mean(grid.extended(model), GaussianStep(variances[done - 1]))
    lattice = {"states": grid.states[[0, -1]], "places": grid.places, "fine": grid.fine}
    return values, lattice | {"variances": variances, "bends": np.outer(_BENDS, bent)}


def _variance(grid: _Grid, model: Floats, known: Floats, values: Floats, information: float, lost: float) -> float:
    """Return the variance of the Gaussian that is the model of a step: one for which it rises as the values do.

    It need not be a bound. Both are compared where so much privacy is lost.
    """
    at = int(np.searchsorted(grid.states, -lost / grid.width))
    plain, wide = (grid.mean(grid.extended(model), GaussianStep(information * (1 + more))) for more in (0.0, _WIDE))
    rises = np.log(values[at] / grid.mean(known, GaussianStep(information))[at]), np.log(wide[at] / plain[at])
    more = _WIDE * min(max(float(rises[0] / rises[1]), 0.0), 1.0) if rises[1] > 0 else 0.0
    return information * (1 + more)


@dataclass(frozen=True, eq=False)
class _Majorant:
    """A smooth convex function of r, 0 with slope 0 at r = 1, one per state.

    Args:
        lower: at every place at most its value less what it sags between places, shape (n, m).
        slope: at most its slope at the last place, shape (n,).
        mean: at least its mean over any direction, shape (n,).
    """

    lower: Floats
    slope: Floats
    mean: Floats


def _shape(grid: _Grid, extended: Floats) -> Floats:
    """Return log p, p(l) = e^(3l/2) f''(e^l), of a model of f at the places r > 0, by differences."""
    inner = grid.places[1:]
    beside = np.clip(inner + int(-grid.places[0]), 1, max(2, grid.fine // 3))
    r = [grid.ratio(inner + sign * beside) for sign in (-1, 0, 1)]
    f = [grid.function(extended, inner + sign * beside) for sign in (-1, 0, 1)]
    second = ((f[2] - f[1]) / (r[2] - r[1]) - (f[1] - f[0]) / (r[1] - r[0])) / ((r[2] - r[0]) / 2)
    second = np.where(second > _NOISE * f[2] / ((r[2] - r[1]) * (r[1] - r[0])), second, 0)  # less is rounding
    log_p: Floats = np.log(np.maximum(second, _EPS)) + 1.5 * np.log(r[1])
    return np.asarray(np.maximum(log_p, log_p.max(axis=1, keepdims=True) - _DEEPEST))


def _smooth(grid: _Grid, log_p: Floats, c: float) -> Floats:
    """Return a function above ``log_p`` which, with l^2/(2c) added, is convex, and straight between places."""
    log_r = np.log(grid.ratio(grid.places[1:]))
    parabola, width, centre = log_r**2 / (2 * c), np.diff(log_r), grid.centre - 1
    found = log_p + parabola
    rise = (found[:, centre + 1] - found[:, centre - 1]) / (log_r[centre + 1] - log_r[centre - 1])
    slope = rise
    for i in range(centre + 1, len(log_r)):
        slope = np.maximum(slope, (found[:, i] - found[:, i - 1]) / width[i - 1])
        found[:, i] = found[:, i - 1] + slope * width[i - 1]
    slope = rise
    for i in range(centre - 1, -1, -1):
        slope = np.minimum(slope, (found[:, i + 1] - found[:, i]) / width[i])
        found[:, i] = found[:, i + 1] - slope * width[i]
    return found - parabola


def _majorant(grid: _Grid, log_p: Floats, c: float, x: float) -> _Majorant:
    """Return the function with this p, integrated twice: below from the chords of log p, above from these and the
    largest excess over a chord, width^2/(8c)."""
    r = grid.ratio(grid.places[1:])
    log_r, centre = np.log(r), grid.centre - 1
    width, excess = np.diff(log_r), np.exp(np.diff(log_r) ** 2 / (8 * c))
    rise = np.diff(log_p, axis=1)
    flat = np.exp(log_p[:, :-1] - log_r[:-1] / 2) * width * exprel(rise - width / 2)  # int f'' dr
    first = np.exp(log_p[:, :-1] + log_r[:-1] / 2) * width * exprel(rise + width / 2)  # int r f'' dr
    slope, moment = (_from_centre(each, centre) for each in (flat, first))
    value = r * slope - moment - _SUMS * (r * np.abs(slope) + np.abs(moment))
    curve = np.exp(log_p - 1.5 * log_r)
    sag = np.maximum(curve[:, :-1], curve[:, 1:]) * excess * np.diff(r) ** 2 / 8
    sags = np.maximum(np.pad(sag, ((0, 0), (1, 0))), np.pad(sag, ((0, 0), (0, 1))))
    at_zero = value[:, :1] - r[0] * slope[:, :1]  # of the tangent at the first place above 0
    log_stick = gaussian_log_stick(r, x)
    stick = np.exp(log_stick)
    fall = np.diff(stick) / np.diff(r)
    mean = ((flat * (stick[:-1] - fall * r[:-1]) + first * fall) * excess).sum(axis=1)
    for end, inside in ((-1, -2), (0, 1)):  # beyond, the log of the integrand is concave
        log_term = log_p + log_stick - log_r / 2
        decay = (log_term[:, inside] - log_term[:, end]) / abs(log_r[end] - log_r[inside])
        mean += np.where(decay > 0, np.exp(log_term[:, end]) / np.maximum(decay, _EPS), np.inf)
    return _Majorant(np.concatenate([at_zero, value - sags], axis=1), slope[:, -1], mean * (1 + _ROUNDED))


def _from_centre(cells: Floats, centre: int) -> Floats:
    """Return the integral from the centre to every place."""
    found = np.zeros((cells.shape[0], cells.shape[1] + 1))
    found[:, centre + 1 :] = np.cumsum(cells[:, centre:], axis=1)
    found[:, :centre] = -np.cumsum(cells[:, :centre][:, ::-1], axis=1)[:, ::-1]
    return found


def _least(grid: _Grid, function: Floats, majorant: _Majorant) -> Floats:
    """Return a bound of E f by c0 + c1 (r - 1) + share * majorant, c0 the least that keeps it above f.

    By c1 both rise alike at one deviation to either side. The share is such that f needs no larger c0 from two
    deviations on than at r = 1; at the last place the slope must be that of f at least.
    """
    r, centre = grid.ratio(grid.places), grid.centre
    left, right = max(centre - grid.fine, 0), min(centre + grid.fine, len(r) - 1)
    ahead = (r[centre] - r[left]) / (r[right] - r[left])  # the weight of the right one in a mean of r = 1
    over = function - function[:, [centre]]
    rise, of_phi = ((1 - ahead) * each[:, left] + ahead * each[:, right] for each in (over, majorant.lower))
    tilt = np.diff((function - (rise / of_phi)[:, None] * majorant.lower)[:, [left, right]], axis=1) / (
        r[right] - r[left]
    )
    line = tilt * (r - 1)
    needed = function - line + _ULPS * (function + np.abs(line))
    beyond = (np.abs(grid.places) >= 2 * grid.fine) & (majorant.lower > 0)
    share = np.max((needed - needed[:, [centre]]) / majorant.lower, axis=1, where=beyond, initial=0.0)
    steep = (grid.z * grid.rate if grid.removal else 0.0) - tilt[:, 0]
    share = np.maximum(share, np.where(steep > 0, steep / np.where(majorant.slope > _FLAT, majorant.slope, 0), 0))
    return np.asarray((needed - share[:, None] * majorant.lower).max(axis=1) + share * majorant.mean)
