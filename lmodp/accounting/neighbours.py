"""Gaussian noise where an example is replaced, or batches have a fixed size: both ends of epsilon.

Noise is at sensitivity 1: one example's share of a sum has norm at most 1, so replacing it moves the sum by up to 2.
Statements and proofs are in docs/verified_bounds.md, "Other samplers and neighbours".
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtr
from scipy.stats import binom

from lmodp.accounting.checks import require_run
from lmodp.accounting.pld.bounds import Interval, consistent, scalar_interval
from lmodp.accounting.pld.composition import MOST_STEPS, composed_epsilon
from lmodp.accounting.pld.lattice import LatticePair, connect_dots, merge
from lmodp.accounting.pld.profile import reach_of, sampled_loss, unbounded_mass
from lmodp.errors import require
from lmodp.mechanisms import Gaussian
from lmodp.mechanisms.arrays import Floats

_CELLS, _COARSE, _LEVELS = 2**15, 2**11, 96
_LEFT_OUT = 1e-4  # share of delta, over all steps, that losses beyond the lattice may cost
_LARGEST_GROUP, _LARGEST_LATTICE, _LARGEST_EXPONENT = 1000, 2**16, 700.0
_OF_MASSES, _OF_LOSSES = 1e-10, 1e-13  # a mass of a group's cell, and a loss, is known within this share of it
_ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of a product of a few doubles, with room
_DEVIATIONS, _LARGEST_LOSS = 12.0, 500.0
_HALVINGS = 6


def both_directions(noise: Gaussian, **run: Any) -> Interval:
    """Return both ends for Poisson sampling, one example added or removed: the larger of both directions."""
    found = [scalar_interval(noise, removal=removal, **run) for removal in (True, False)]
    return Interval(max(each.lower for each in found), max(each.upper for each in found))


def replaced_interval(noise: Gaussian, *, sampling_rate: float, steps: int, delta: float, fixed_size: bool) -> Interval:
    """Return both ends of epsilon where one example is replaced by another.

    Args:
        noise: at sensitivity 1.
        sampling_rate: q; with ``fixed_size`` the batch over the data set.
        steps, delta: of the run.
        fixed_size: batches of a fixed size, each drawn anew without replacement; else Poisson samples.

    Raises:
        InvalidValue: an argument is outside its range.

    Guarantees:
        * The upper end holds for any data and any gradients of norm at most 1.
        * Some gradients attain at least the lower end.
    """
    require_run(sampling_rate=sampling_rate, steps=steps, delta=delta)
    run: Any = {"steps": steps, "delta": delta}
    pair = _dominating(noise.std, sampling_rate, fixed_size, steps, delta)
    upper = composed_epsilon(pair, upper=True, **run) if steps <= MOST_STEPS else math.inf
    if fixed_size:
        lower = both_directions(noise.scaled(0.5), sampling_rate=sampling_rate, **run).lower
    else:
        lower = composed_epsilon(_opposed(noise.std, sampling_rate), upper=False, **run)
    return Interval(lower, upper)


def group_epsilon(epsilon_at: Callable[[float], float], *, size: int, delta: float) -> float:
    """Return an upper end for neighbours that differ in ``size`` examples, from the one for a single example.

    A mechanism with (e, d) for one example has (k e, d (exp(k e) - 1) / (exp(e) - 1)) for k of them.

    Args:
        epsilon_at: upper end for one example as a function of delta, falling.
        size: k.
        delta: of the group.
    """

    def excess(log_share: float) -> float:
        share = delta * math.exp(log_share)
        epsilon = epsilon_at(share)
        factor = math.expm1(size * epsilon) / math.expm1(epsilon) if 0 < epsilon < 700 / size else size
        return math.log(factor) + log_share if epsilon < 700 / size else math.inf

    low, high = -40.0, -math.log(size)
    for _ in range(_HALVINGS):
        centre = (low + high) / 2
        low, high = (centre, high) if excess(centre) <= 0 else (low, centre)
    return size * epsilon_at(delta * math.exp(low)) if excess(low) <= 0 else math.inf


def group_interval(noise: Gaussian, *, size: int, sampling_rate: float, steps: int, delta: float) -> Interval:
    """Return both ends of epsilon where ``size`` examples are added or removed: a binomial number of them is sampled.

    The loss rises with the sum, so that in each cell of the line it lies between its values at the ends.

    Raises:
        InvalidValue: an argument is outside its range.
    """
    require_run(sampling_rate=sampling_rate, steps=steps, delta=delta)
    require(1 <= size <= _LARGEST_GROUP, "group_size", size, f"must be from 1 to {_LARGEST_GROUP}")
    std, reach = noise.std, reach_of(steps, delta)
    x = np.linspace(-reach * std, size + reach * std, _CELLS + 1)
    q, loss = np.zeros(_CELLS), np.full(_CELLS + 1, -math.inf)
    for shift, log_weight in enumerate(binom.logpmf(range(size + 1), size, sampling_rate)):
        q += math.exp(log_weight) * _masses(x, shift, std)
        loss = np.logaddexp(loss, log_weight + (shift * x - shift**2 / 2) / std**2)
    p, lost = _masses(x, 0.0, std), unbounded_mass(noise, reach)
    found = [
        _of_cells(*cells, lost=lost, steps=steps, delta=delta)
        for cells in ((p, q, loss), (q[::-1], p[::-1], -loss[::-1]))
    ]
    return Interval(max(each.lower for each in found), max(each.upper for each in found))


def _of_cells(p: Floats, q: Floats, bounds: Floats, *, lost: float, steps: int, delta: float) -> Interval:
    """Return both ends from masses of cells in which log(q/p) lies between neighbours of ``bounds``, which rise."""
    lower = composed_epsilon(_dominated(p, q, bounds), steps=steps, delta=delta, upper=False)
    middle = np.clip((bounds[1:] + bounds[:-1]) / 2, -_LARGEST_LOSS, _LARGEST_LOSS)
    step = max(math.sqrt(float((p + q) @ middle**2) / 2) / _LEVELS, float(np.ptp(bounds)) / _LARGEST_LATTICE)
    room = _OF_LOSSES * (1 + np.abs(bounds))
    down, above = (
        made(ends / step).astype(np.int64)
        for made, ends in ((np.floor, (bounds - room)[:-1]), (np.ceil, (bounds + room)[1:]))
    )
    q, p = q * (1 + _OF_MASSES), p * (1 - _OF_MASSES)
    least = np.exp(np.minimum(down * step, _LARGEST_EXPONENT))  # capped, a larger share goes up, which dominates too
    up = np.clip((q - p * least) / -np.expm1((down - above) * step), 0.0, q)
    masses = np.zeros(above[-1] - down[0] + 1)
    np.add.at(masses, down - down[0], q - up)
    np.add.at(masses, above - down[0], up)
    pair = LatticePair(masses, int(down[0]), step, lost)
    upper = composed_epsilon(pair, steps=steps, delta=delta, upper=True) if steps <= MOST_STEPS else math.inf
    return Interval(lower, upper)


def _dominating(std: float, rate: float, fixed_size: bool, steps: int, delta: float) -> LatticePair:
    """Return a pair that dominates a step in both directions: the bound on hockey sticks from loss 0 on, mirrored."""
    top = _top(std, rate, fixed_size, _LEFT_OUT * delta / steps)
    for width in (top / _COARSE, top / _CELLS):
        losses: Floats = np.arange(math.ceil(top / width) + 1, dtype=np.float64) * width
        beyond_p, beyond_q = _survivals(losses, std, rate, fixed_size)
        p, q = -np.diff(beyond_p), -np.diff(beyond_q)
        deviation = math.sqrt(2 * float(p @ losses[1:] ** 2))
        if width <= deviation / _LEVELS:
            break
    if not (p >= 0).all() and not fixed_size:
        return _dominating(std, rate, True, steps, delta)  # not convex: the coarser bound, which is
    # the mirror image, then what is left of both laws, at loss 0
    pair = connect_dots(
        np.concatenate([q[::-1], p]),
        np.concatenate([p[::-1], q]),
        first=-len(p),
        step=width,
        infinite=float(beyond_q[-1]) + _rounding(std, rate),
    )
    pair.masses[len(p)] += max(0.0, 1 - float(beyond_p[0] + beyond_q[0]))
    return pair


def _survivals(losses: Floats, std: float, rate: float, fixed_size: bool) -> tuple[Floats, Floats]:
    """Return the P and Q masses of the losses above each one of ``losses`` >= 0, (n,) each.

    With a' = exp(loss) = 1 - q + q a and h_s the hockey stick of a shift s at a, the bound on the sampled hockey
    stick at a' is q h_2 for batches of a fixed size, and q (1 - a'/a) h_1 + q (a'/a) h_2 for Poisson samples. The
    P mass above is minus its derivative in a'.
    """
    a = 1 + np.expm1(losses) / rate
    (p1, h1), (p2, h2) = (_stick(std, shift, a) for shift in (1.0, 2.0))
    if fixed_size:
        beyond_p, bound = p2, rate * h2
    else:
        share = (1 - rate) / a + rate  # a'/a
        beyond_p = (1 - share) * p1 + share * p2 + (1 - rate) * (h2 - h1) / a / a
        bound = rate * ((1 - share) * h1 + share * h2)
    return beyond_p, bound + np.exp(losses) * beyond_p


def _stick(std: float, shift: float, a: Floats) -> tuple[Floats, Floats]:
    """Return (P mass above the threshold, hockey stick) of N(shift) from N(0) at ``a``."""
    threshold = std**2 * np.log(a) / shift + shift / 2
    p = ndtr(-threshold / std)
    return p, np.maximum(ndtr((shift - threshold) / std) - a * p, 0.0)


def _rounding(std: float, rate: float) -> float:
    """Return a bound of the rounding in each bound on a hockey stick: it counts as infinite loss.

    At a threshold z deviations out, both terms of a stick are off by z^2 roundings of themselves, of their argument;
    with the larger shift, 2 deviations / std, they are at most 2 Phi(2 / std - z).
    """
    return _ROUNDING * (1 + 2 * rate * (1 + (2 / std + 2) ** 2))


def _top(std: float, rate: float, fixed_size: bool, mass: float) -> float:
    """Return a loss above which Q has at most ``mass``, or one that is nearly too large for doubles."""
    top = 1e-3
    while top < _LARGEST_LOSS and _survivals(np.array([top]), std, rate, fixed_size)[1][0] > mass:
        top *= 1.1
    return top


def _opposed(std: float, rate: float) -> LatticePair:
    """Return a dominated pair of one Poisson-sampled step: all other gradients zero, one of 1 against one of -1."""
    x = np.linspace(-1 - _DEVIATIONS * std, 1 + _DEVIATIONS * std, _CELLS + 1)
    bounds = sampled_loss((x - 0.5) / std**2, rate) - sampled_loss((-x - 0.5) / std**2, rate)
    still, up, down = (_masses(x, shift, std) for shift in (0.0, 1.0, -1.0))
    p, q = (1 - rate) * still + rate * down, (1 - rate) * still + rate * up
    return _dominated(p, q, bounds)


def _dominated(p: Floats, q: Floats, bounds: Floats) -> LatticePair:
    """Return a dominated pair from masses of cells in which log(q/p) lies between neighbours of ``bounds``, rising."""
    cells = consistent(p, q, bounds)
    deviation = math.sqrt(float(cells[0] @ cells[2] ** 2))
    falling = (cell[::-1] for cell in cells)
    return merge(*falling, step=max(deviation / _LEVELS, float(np.ptp(bounds)) / _LARGEST_LATTICE))


def _masses(x: Floats, shift: float, std: float) -> Floats:
    """Return the masses of N(shift, std^2) between neighbours of ``x``, each from its own tail."""
    z = (x - shift) / std
    found: Floats = np.where(z[1:] <= 0, np.diff(ndtr(z)), -np.diff(ndtr(-z)))
    return found
