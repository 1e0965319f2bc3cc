"""A second reading of certificates, by sums of its own. Nothing is solved and nothing is searched.

With the code that makes certificates it shares the noise only. docs/verified_bounds.md has the proofs: of `recheck` in
"A step is dominated by a Gaussian", of `recheck_recursion` in "Weak steps". To bound a hockey stick, the outcomes are
cut into cells of known mass, and each mass is moved to the two ends of the range of its ratio, the mean kept.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import erf, erfc, erfcx, exprel, ndtr

from lmodp.errors import DamagedFile
from lmodp.mechanisms import RateMixture
from lmodp.mechanisms.arrays import Booleans, Floats, Integers

_NODES, _BESIDE, _BETWEEN = 192, 500, 100  # losses at which sticks are known; cells beside and between the centres
_ROUNDING = 1e-8  # of a stick's value at 0; and 1e-9 of an integral
_UP, _SUM, _TERM = 1 + 1e-9, 1e-13, 4e-15  # of a recursion's integrals, of sums within them, of terms
_LEAST, _ENOUGH = 1e-200, 1 + 2e-4  # of a slope that is divided by; of a bound over a smooth f's own mean
_NOISE = 2e-13  # of second differences
ARRAYS = ("variances", "squares", "small", "table", "rates")
Arrays = Mapping[str, Any]


def recheck(noise: RateMixture, certificate: Arrays) -> float:
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
        holds = _holds(*_stick(noise, cuts, math.sqrt(squares[row + 1])), c, increases)
        _demand(holds.all(), f"table[{row}, {np.argmin(holds)}] is smaller than what a coordinate adds")
    for s, h in _small_sticks(noise, cuts, math.sqrt(squares[0])):
        for cell, added in enumerate(small * squares[0]):
            holds = _holds(s, h * np.exp(added / 8), c[[cell]], np.array([added]))
            _demand(holds.all(), f"small[{cell}] is smaller than what small coordinates add")
    ordered = squares[1:] > certificate["flow_end"]
    _check_flow(c, squares, small, table[~ordered], rates)
    gamma = float(_gamma(certificate, 1.0)[-1])
    _demand(gamma <= certificate["gamma"] * (1 + 1e-9), f"gamma must be at least {gamma!r}")
    return gamma


def recheck_recursion(noise: RateMixture, certificate: Arrays, rate: float, steps: int, delta: float) -> float:
    """Return the epsilon that a certificate proves of so many steps, sampled at this rate. Lattices, variances of a
    model and bends in the certificate are choices: bad ones make epsilon larger."""
    recheck(noise, certificate)
    cuts, (c, x), (first, ratio) = _cuts(noise), certificate["smooth"], certificate["cells"]
    _demand(c > 0 and 0 < first < 1 < ratio, "cells must ascend from above 0 to 1")
    squares = np.geomspace(first, 1, math.ceil(-math.log(first) / math.log(ratio)) + 1)
    at, message = np.array([c]), "smooth: x is less than what a coordinate adds"
    for low, high in pairwise(squares):
        _demand(_holds(*_stick(noise, cuts, math.sqrt(high)), at, np.array([x * low])).all(), message)
    for s, h in _small_sticks(noise, cuts, math.sqrt(first)):
        _demand(_holds(s, h * np.exp(x * first / 8), at, np.array([x * first])).all(), message)
    with np.errstate(all="ignore"):  # what is lost makes a bound infinite or NaN, and the other one is taken
        curve = _curve(noise, cuts, certificate)
        sides = [_Side(name, certificate, rate) for name in ("removal", "addition")]
        return float(np.max([side.epsilon(side.values(*curve, c, x, steps), delta) for side in sides]))


def _demand(holds: bool | np.bool_, rule: str) -> None:
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


def _stick(noise: RateMixture, cuts: Floats, v: float, width: float = 0.0) -> tuple[Floats, Floats]:
    """Return losses s, multiples of ``width`` if it is given, until there are no larger ones, and values above
    E_Q (exp(-s/2) - exp(s/2) dP/dQ)_+ of a coordinate shifted by v."""
    y, u = np.append(cuts, 1e300), np.linspace(0, v, _BETWEEN)
    beside = np.append(noise.log_density(cuts + v) - noise.log_density(cuts), 0.0)  # log dP/dQ, rises to at most 0
    between = noise.log_density((v + u) / 2) - noise.log_density((v - u) / 2)  # falls
    q = np.concatenate([_mass(noise, y[:-1], y[1:]), _mass(noise, (v - u[1:]) / 2, (v - u[:-1]) / 2)])
    p = np.concatenate([_mass(noise, y[:-1] + v, y[1:] + v), _mass(noise, (v + u[:-1]) / 2, (v + u[1:]) / 2)])
    low, high = (np.exp(np.concatenate(ends)) for ends in ((beside[:-1], between[1:]), (beside[1:], between[:-1])))
    there = q > 0
    mass, ratio = _to_ends(q[there], p[there] / q[there], low[there], high[there])
    top = -min(beside[0], between[-1])
    s = width * np.arange(np.ceil(top / width) + 1) if width else np.linspace(0, top, _NODES + 1)
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


def _gamma(certificate: Arrays, largest: float) -> Floats:
    """Return the variances that flow and then coordinates in ascending order reach with budgets up to 1, without those
    of a cell from the square ``largest`` on."""
    c, squares, _, table, rates = (certificate[name] for name in ARRAYS)
    budgets = int(certificate["budgets"])
    starts = np.concatenate([[0.0], np.cumsum(np.diff(c) / rates[:-1])])
    time = np.linspace(0, 1, budgets + 1)
    cell = np.searchsorted(starts, time, side="right") - 1
    reached = (c[cell] + (time - starts[cell]) * rates[cell]) * (1 + 1e-11)
    for row in np.flatnonzero((squares[1:] > certificate["flow_end"]) & (squares[:-1] < largest)):
        spent = int(np.floor(squares[row] * budgets * (1 - 1e-12)))  # the smallest shift of the cell
        _demand(spent > 0, "a square above flow_end must be at least one part of the budget")
        for first in range(spent, budgets + 1, spent):  # each part follows from the one before
            before = reached[first - spent : min(first, budgets + 1 - spent)]
            after = before + table[row, np.searchsorted(c, before, side="right") - 1]
            part = slice(first, first + len(before))
            reached[part] = np.maximum(reached[part], after * (1 + 1e-12))
    return np.maximum.accumulate(reached)


def _log_stick(log_t: Floats, x: float) -> Floats:
    """Return log E(r - t)_+ for t >= 1, below of E(t - r)_+ = t E(r - 1/t)_+, log r of N(x): by Mills ratios."""
    d = np.abs(log_t) / math.sqrt(x) - math.sqrt(x) / 2
    mills = (erfcx(d / math.sqrt(2)) - erfcx((d + math.sqrt(x)) / math.sqrt(2))) / 2
    return np.asarray(np.log(mills) - d * d / 2 + np.minimum(log_t, 0))


def _curve(noise: RateMixture, cuts: Floats, certificate: Arrays) -> tuple[Floats, Floats]:
    """Return kappa >= 1 and values above E(r - kappa)_+ of every direction; straight lines between them are, too.

    Row k of f is E(z r - 1)_+, z = 1/kappa, for squared length k / parts. Coordinates of the ``large`` squares (in
    parts) are drawn, the largest first, for the lower end of their cell and with the law of its upper end; all smaller
    ones are below a Gaussian."""
    large, width = certificate["large"], certificate["width"]
    _demand(large[0] > 0 and (np.diff(large) > 0).all(), "large squares must ascend")
    s, parts = width * np.arange(certificate["count"]), int(large[-1])
    gamma = _gamma(certificate, large[0] / parts)
    _demand((len(gamma) - 1) % parts == 0, "budgets must be a multiple of parts")
    f = np.exp([_log_stick(-s, each) for each in gamma[:: (len(gamma) - 1) // parts]]) * _UP
    for low, high in pairwise(large):
        at, h = _stick(noise, cuts, math.sqrt(high / parts), width)
        kappa = np.exp(at)
        call = np.append(np.sqrt(kappa[:-1]) * h[:-1], 0.0)  # E(r - kappa)_+; the last is beyond all losses
        up = np.maximum(np.diff(np.append(np.diff(call) / np.diff(kappa), 0.0)), 0)
        law = np.concatenate([(up * kappa[1:])[::-1], [max(1 - float(up @ (1 + kappa[1:])), 0.0)], up]) * _UP
        for k in range(low, parts + 1):  # for z > 1 by the mirror; below the lattice at most the last value
            rest, above = f[k - low], kappa[:0:-1]
            rest = np.concatenate([above - 1 + above * rest[len(up) : 0 : -1], rest, np.full(len(up), rest[-1])])
            f[k] = np.maximum(f[k], np.convolve(rest, law, "valid"))
    return np.exp(s), f[-1] * np.exp(s) * _UP


class _Side:
    """One direction of adjacency: states z and places of w (the first is r = 0) on one lattice of logarithms; f(r) is
    u(z w) or w u(z/w). Shapes of majorants come from a model, Gaussians of these ``variances`` from the second step on,
    and are bent in the ways of ``bends``, one value for each place r > 0."""

    def __init__(self, name: str, certificate: Arrays, rate: float) -> None:
        keys = ("states", "places", "fine", "variances", "bends")
        (low, high), places, fine, self.variances, self.bends = (certificate[f"{name}_{key}"] for key in keys)
        inside = low < 0 < high and fine > 0 and places[0] < 0 < places[-1] and 0 in places
        _demand(inside and (np.diff(places) > 0).all(), f"{name}: states and places must ascend around 1")
        _demand(0 < rate < 1 and (self.variances > 0).all(), f"{name}: rate and variances must be above 0")
        self.sign, self.fine, self.rate = (1 if name == "removal" else -1), int(fine), rate
        self.places, self.centre = places[:, None], int(np.searchsorted(places, 0))
        self.width, self.margin = math.log1p(-rate) / places[0], int(np.abs(places).max()) + self.fine
        self.z = np.exp(self.width * np.arange(low, high + 1))
        self.steepest = self.z * rate * (self.sign > 0)  # the slope of f far out
        log_w = self.width * np.arange(places[0], places[-1] + 1)
        self.w, self.r = np.exp(log_w), np.append(0.0, np.expm1(log_w[1:]) / rate + 1)

    def extended(self, values: Floats) -> Floats:
        """Return bounds on more states: u rises, with a slope of at most 1."""
        above = values[-1] + self.z[-1] * np.expm1(self.width * np.arange(1, self.margin + 1))
        return np.concatenate([np.full(self.margin, values[0]), values, above])

    def mean(self, values: Floats, stick: Floats) -> Floats:
        """Return at least E f(r) of every state, by the law on the lattice that has these sticks."""
        law = np.diff(np.concatenate([[0.0], np.diff(stick) / np.diff(self.r), [0.0]]))
        law[-self.places[0]] += 1  # E(t - r)_+ = E(r - t)_+ + t - 1
        weights = np.maximum(law, 0) * (self.w if self.sign < 0 else 1)
        first = self.margin + int((self.sign * self.places).min())
        known = self.extended(values)[first : first + len(values) + len(law) - 1]
        return np.asarray((np.correlate(known, weights[:: self.sign], "valid") + self.steepest * stick[-1]) * _UP)

    def values(self, kappa: Floats, curve: Floats, c: float, x: float, steps: int) -> Floats:
        """Return at least u at every state after so many steps."""
        _demand(len(self.variances) == steps - 1, "each step from the second one must have a variance")
        log_r = np.log(self.r)
        stick = np.interp(np.exp(np.abs(log_r)), kappa, curve) * np.exp(np.minimum(log_r, 0))
        values = model = self.mean(np.maximum(self.z - 1, 0), stick)
        for variance in self.variances:
            best, least = self.mean(values, stick), self.mean(values, np.exp(_log_stick(log_r, x)))
            known, shape = self.extended(values), self.shape(model)
            for bend in self.bends:
                wide = np.flatnonzero(best > least * _ENOUGH)
                for rows in np.array_split(wide, 1 + len(wide) // 400):  # parts that fit a cache
                    found = self.majorised(known, rows, shape[:, rows] + bend[:, None], c, x)
                    best[rows] = np.fmin(best[rows], found)
            model, values = self.mean(model, np.exp(_log_stick(log_r, variance))), best * _UP
        return values

    def shape(self, model: Floats) -> Floats:
        """Return log of e^(3l/2) f''(e^l) of a model at places r > 0, up to a constant. It is a choice."""
        beside, places = max(2, self.fine // 3), self.places[1:]
        known, grown = self.extended(model), math.exp(beside * self.width)
        up, here, down = known[2 * beside :], known[beside:-beside], known[: -2 * beside]
        second = np.log(np.maximum(up - here - grown * (here - down), _NOISE * up))
        terms = 1.5 * np.log(self.r[places - self.places[0]]) - (1.5 + self.sign / 2) * places * self.width
        return np.asarray(second[self.margin - beside + np.arange(len(self.z)) + self.sign * places] + terms)

    def majorised(self, known: Floats, rows: Integers, log_p: Floats, c: float, x: float) -> Floats:
        """Return bounds of E f by c0 + c1 (r - 1) + share Phi(r), c0 the least that keeps it above the chords of f. By
        c1 both rise alike at one deviation; the share is such that f needs no larger c0 from two on than at r = 1."""
        at = self.places - self.places[0]
        f, r, centre = known[self.margin + rows + self.sign * self.places], self.r[at], self.centre
        f = f * self.w[at] if self.sign < 0 else f
        lower, slope, mean = _majorant(_smooth(log_p, np.log(r[1:]), centre - 1, c), r[1:], centre - 1, c, x)
        left, right = max(centre - self.fine, 0), min(centre + self.fine, len(r) - 1)
        ahead = (r[centre] - r[left]) / (r[right] - r[left])  # the weight of the right one in a mean of r = 1
        rise, of_phi = ((1 - ahead) * each[left] + ahead * each[right] for each in (f - f[centre], lower))
        tilt = np.diff((f - rise / of_phi * lower)[[left, right]], axis=0)[0] / (r[right] - r[left])
        line, steep = tilt * (r - 1), self.steepest[rows] - tilt
        needed = f - line + _TERM * (f + np.abs(line))
        beyond = (np.abs(self.places) >= 2 * self.fine) & (lower > 0)
        share = np.max((needed - needed[centre]) / lower, axis=0, where=beyond, initial=0.0)
        share = np.maximum(share, np.where(slope > _LEAST, steep / slope, np.where(steep > 0, np.inf, 0)))
        return np.asarray((needed - share * lower).max(axis=0) + share * mean * _UP)

    def epsilon(self, values: Floats, delta: float) -> float:
        """Return the epsilon from which on e^epsilon u(e^-epsilon) <= delta, u on its chords."""
        gap = values - delta * self.z
        enough = np.flatnonzero((gap <= 0) & (self.z < 1))
        if not len(enough):
            return math.inf
        below, above = gap[enough[-1] : enough[-1] + 2]
        share = 1.0 if above <= 0 else below / (below - above)
        return float(-np.log(self.z[enough[-1]] * (1 + np.expm1(self.width) * share))) * _UP


def _smooth(log_p: Floats, log_r: Floats, centre: int, c: float) -> Floats:
    """Return log p changed, from r = 1 outwards, so that log p + l^2/(2c) is convex and straight between places."""
    found = log_p + log_r**2 / (2 * c)
    rise = (found[centre + 1] - found[centre - 1]) / (log_r[centre + 1] - log_r[centre - 1])
    for way, convex, end in ((1, np.maximum, len(found)), (-1, np.minimum, -1)):
        slope = rise
        for i in range(centre + way, end, way):
            step = log_r[i] - log_r[i - way]
            slope = convex(slope, (found[i] - found[i - way]) / step)
            found[i] = found[i - way] + slope * step
    return np.asarray(found - log_r**2 / (2 * c))


def _majorant(log_p: Floats, r: Floats, centre: int, c: float, x: float) -> tuple[Floats, Floats, Floats]:
    """Return for Phi'' = p(log r) r^(-3/2), Phi(1) = Phi'(1) = 0: at most Phi at r = 0 and at the places, less what it
    sags between them; at most its slope at the last place; at least E Phi of N(x). Chords of log p are below it, by at
    most width^2/(8c)."""
    log_r, gap = np.log(r), np.diff(r, axis=0)
    width, rise = np.diff(log_r, axis=0), np.diff(log_p, axis=0)
    bulge = np.exp(width**2 / (8 * c))
    cells = [np.exp(log_p[:-1] + k * log_r[:-1]) * width * exprel(rise + k * width) for k in (-0.5, 0.5)]
    slope, first = (  # int Phi'' dr and int r Phi'' dr from r = 1
        np.concatenate([-np.cumsum(each[:centre][::-1], axis=0)[::-1], 0 * each[:1], np.cumsum(each[centre:], axis=0)])
        for each in cells
    )
    value = r * slope - first - _SUM * (r * np.abs(slope) + np.abs(first))
    second = np.exp(log_p - 1.5 * log_r)
    sag = np.pad(np.maximum(second[:-1], second[1:]) * bulge * gap**2 / 8, ((1, 1), (0, 0)))
    lower = np.concatenate([value[:1] - r[0] * slope[:1], value - np.maximum(sag[:-1], sag[1:])])  # a tangent to r = 0
    log_stick = _log_stick(log_r, x)
    stick, term = np.exp(log_stick), log_p + log_stick - log_r / 2
    fall = np.diff(stick, axis=0) / gap  # sticks are below their chords
    mean = (bulge * (cells[0] * (stick[:-1] - fall * r[:-1]) + cells[1] * fall)).sum(axis=0)
    for end, inside in ((0, 1), (-1, -2)):  # beyond, the log of the integrand is concave
        decay = (term[inside] - term[end]) / np.abs(log_r[inside] - log_r[end])
        mean += np.where(decay > 0, np.exp(term[end]) / decay, np.inf)
    return lower, slope[-1], mean
