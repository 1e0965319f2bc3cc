"""Bounds of epsilon from privacy loss distributions: lower for a vector, both ends for one dimension."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lmodp.accounting.checks import Run
from lmodp.accounting.pld.cells import LEAST_OUTSIDE, cells_of
from lmodp.accounting.pld.composition import LARGEST_LOSS, MOST_STEPS, USUAL_STEPS, composed_epsilon, single_epsilon
from lmodp.accounting.pld.convolution import Power, tilted_power
from lmodp.accounting.pld.lattice import BARE, LatticePair, connect_dots, lower_losses, merge, merge_mirrored
from lmodp.accounting.pld.profile import largest_loss, positive_cells, reach_of, sampled_loss, unbounded_mass
from lmodp.errors import Unsupported
from lmodp.mechanisms import Gaussian, Noise, RateMixture, Spherical
from lmodp.mechanisms.arrays import Floats

SPREAD, FULL_SPREAD = 1000, 1_000_000  # coordinates of the direction behind the lower end; more cost 0.5 s
_CELLS = 192  # more cells and levels raise the lower end by 0.02 % (lmo-0.3) to 1 % (lmo-3), and take longer
_COORDINATE_LEVELS = 32
_STEP_LEVELS = 32
_SCALAR_LEVELS = 96
_FEW_LEVELS, _MANY_STEPS = 32, 10**6  # a composed lattice grows with the root of the steps
_LARGEST_LATTICE, _LARGEST_ROOTS = 2**16, 2**15  # where cells are cheap, and where each bound is a root
_FINEST = 1e-10  # smallest largest loss that doubles resolve
_WEAKEST = 1e3  # and largest score, of a Gaussian that of ten deviations
_UNNOTICED = 1e-14
_LOST = 1e-6  # share of delta that cells left out may cost, in `USUAL_STEPS`
_USUAL_DELTA = 1e-10  # one lattice pair serves this delta and all larger ones
# A lattice a hair finer than an atom's loss: the atom then lies above its slope and merges into it.
_BELOW_ATOM = 1 - 1e-5
_FEW = 10  # powers of two below 2**10 are tried as numbers of coordinates
_TILT_POINTS = np.arange(-6.0, 15.1, 3.0)


def consistent(p: Floats, q: Floats, bounds: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (p, q, loss) of the cells that have mass, each loss within its cell's bounds and q = p exp(loss).

    In tiny cells, rounding changes log(q/p) by more than the width of the cell; where P's mass has lost its digits, the
    cell's lower bound counts. Losses are capped, and cells with losses far below 0 or masses near the smallest double
    are left out; all this lowers the divergence of Q from P.
    """
    full = (q > BARE) & (bounds[:-1] > -LARGEST_LOSS)
    with np.errstate(divide="ignore"):
        ratio = np.where(p[full] < BARE, -math.inf, np.log(q[full]) - np.log(p[full]))
    loss = np.minimum(np.clip(ratio, bounds[:-1][full], bounds[1:][full]), LARGEST_LOSS)
    p = q[full] * np.exp(-loss)
    there = p > BARE
    return p[there], q[full][there], loss[there]


def coordinate_pair(noise: Noise, shift: float) -> LatticePair:
    """Return a dominated, self-mirrored lattice pair of one coordinate shifted by ``shift``."""
    if not isinstance(noise, RateMixture):  # a shift by v of noise is a shift by 1 of noise 1/v times as large
        pair = cells_of(noise.scaled(1 / shift), outside=_UNNOTICED**2)
        p, q, loss = pair.half().dominated()
        return merge_mirrored(p, q, loss, step=pair.width(float(loss[0]), MOST_STEPS) * _BELOW_ATOM)
    top = largest_loss(noise, shift)
    bounds = _cuts(top)
    p, q, loss = consistent(*positive_cells(noise, shift, bounds), bounds)
    step, mean = _BELOW_ATOM * top / _COORDINATE_LEVELS, math.log(q.sum() / p.sum())
    if math.floor(loss.max() / step) * step <= mean:
        # No lattice slope lies between the losses' mean and the largest, so no chord would meet the
        # curve again and all would be mixed down to the next slope. With the mean itself on the lattice
        # they make one cell.
        step = mean / _COORDINATE_LEVELS
    return merge_mirrored(p[::-1], q[::-1], loss[::-1], step=step)


def _cuts(top: float) -> Floats:
    """Return bounds of equal cells from 0 to just above the largest loss, which is rounded to 1e-13."""
    return np.linspace(0, top * (1 + 1e-9) + 1e-13, _CELLS + 1)


@lru_cache(maxsize=64)
def spread_pair(noise: Noise, *, coordinates: int) -> tuple[Floats, Floats, Floats]:
    """Return (p, q, loss) cells of a shift spread evenly over ``coordinates``, norm 1.

    Masses of Q are lowered by their rounding error; cells lost in rounding are left out.
    """
    pair = coordinate_pair(noise, 1 / math.sqrt(coordinates))
    spread = math.sqrt(float(pair.masses @ pair.losses**2) * coordinates)
    first, log_mass, log_error = _best_of([tilted_power(pair, coordinates, tilt=tilt) for tilt in _tilts(spread)])
    keep = log_mass > log_error + math.log(1e3)
    loss = (first + np.flatnonzero(keep).astype(np.float64)) * pair.step
    log_q = log_mass[keep] + np.log1p(-np.exp(log_error[keep] - log_mass[keep]))
    return np.exp(log_q - loss)[::-1], np.exp(log_q)[::-1], loss[::-1]


def _best_of(powers: list[Power]) -> tuple[int, Floats, Floats]:
    """Return (first lattice index, log masses, log errors), each mass from the power that knows it best; the windows
    of the powers may differ."""
    first = min(power.first for power in powers)
    length = max(power.first + len(power.log_masses) for power in powers) - first
    log_mass, log_error = np.full(length, -np.inf), np.full(length, np.inf)
    for power in powers:
        window = slice(power.first - first, power.first - first + len(power.log_masses))
        better = power.log_error < log_error[window]
        log_mass[window][better] = power.log_masses[better]
        log_error[window][better] = power.log_error[better]
    return first, log_mass, log_error


def _tilts(spread: float) -> Floats:
    """Return tilts of Q's law: around the middle between P and Q, which have tilts -1 and 0, a few of the
    loss's standard deviations apart, and where that is too dense to reach them, on both themselves."""
    near = -0.5 + _TILT_POINTS / spread
    return near if spread < 1 else np.concatenate([near, np.arange(-2.0, 3.0) / 2])


def sampled_cells(
    p: Floats, q: Floats, loss: Floats, *, sampling_rate: float, removal: bool
) -> tuple[Floats, Floats, Floats]:
    """Return cells of (P, (1-q)P + qQ), or of its swap for addition, losses descending.

    Args:
        removal: True for the divergence of the sampled output from P, False for its reverse.
    """
    sampled = (1 - sampling_rate) * p + sampling_rate * q
    new_loss = sampled_loss(loss, sampling_rate)
    if not removal:
        sampled, new_loss = p[::-1], -new_loss[::-1]
    keep = new_loss > -LARGEST_LOSS  # what is left out lowers the divergence
    capped = np.minimum(new_loss[keep], LARGEST_LOSS)  # a larger mass of the other law: lowers it too
    return sampled[keep] * np.exp(-capped), sampled[keep], capped


def without_ends(p: Floats, q: Floats, loss: Floats, *, lost: float) -> tuple[Floats, Floats, Floats]:
    """Return cells without the highest losses, of Q mass ``lost`` together, and the lowest.

    Leaving cells out lowers every divergence.
    """
    first = int(np.searchsorted(np.cumsum(q), lost))
    last = len(q) - int(np.searchsorted(np.cumsum(q[::-1]), _UNNOTICED))
    return p[first:last], q[first:last], loss[first:last]


def step_width(cells: tuple[Floats, Floats, Floats], levels: int) -> float:
    """Return the standard deviation of the loss under P over ``levels``, or more if the lattice grew too large."""
    p, _, loss = cells
    reach = float(max(loss[0] - loss[-1], abs(loss[0])))
    return max(math.sqrt(float(p @ loss**2)) / levels, reach / _LARGEST_LATTICE)


def vector_lower(noise: Noise, *, sampling_rate: float, steps: int, delta: float, coordinates: int = SPREAD) -> float:
    """Return a lower bound of epsilon: a shift of norm 1 spread over ``coordinates`` coordinates.

    Both adjacency directions, the larger. Holds whenever the release has that many coordinates. Of more than
    `MOST_STEPS` steps the first are taken, and noise that is too weak for doubles is made stronger; both lower
    epsilon. 0 where a loss is too small for doubles.
    """
    noise, steps = _resolved(noise), min(steps, MOST_STEPS)
    if _too_fine(largest_loss(noise, 1 / math.sqrt(coordinates)), sampling_rate):
        return 0.0
    lost = _LOST * min(delta, _USUAL_DELTA) / max(steps, USUAL_STEPS)
    both = (
        _sampled_pairs(noise, coordinates=coordinates, sampling_rate=sampling_rate, removal=removal, lost=lost)
        for removal in (True, False)
    )
    return max(composed_epsilon(pair, steps=steps, delta=delta, upper=False) for pairs in both for pair in pairs)


def best_split_lower(
    noise: Noise, *, sampling_rate: float, steps: int, delta: float, coordinates: int = FULL_SPREAD
) -> float:
    """Return the largest lower bound over shifts spread over ``coordinates`` or over 2, 4, ... of them: where the loss
    of one step matters, a few coordinates are worse than many."""
    run: Run = {"sampling_rate": sampling_rate, "steps": steps, "delta": delta}
    few = [2**power for power in range(1, _FEW) if 2**power < coordinates]
    return max(vector_lower(noise, coordinates=count, **run) for count in (*few, coordinates))


def _resolved(noise: Noise) -> Noise:
    """Return the noise, scaled up to the weakest that doubles resolve. More noise never raises epsilon: with the noise
    c times as large, the shifts of norm 1 are those of norm 1/c."""
    if not isinstance(noise, (Gaussian, RateMixture)):
        return noise
    score = 10 / noise.std if isinstance(noise, Gaussian) else noise.score_maximum
    if score <= _WEAKEST:
        return noise
    half = math.sqrt(score / _WEAKEST) * (1 + 1e-12)  # a factor has a largest value, and rounding must not undo it
    return noise.scaled(half).scaled(half)


def _too_fine(top: float, sampling_rate: float) -> bool:
    """Whether the largest loss, or the largest sampled loss, is below what doubles resolve."""
    return top < _FINEST or float(sampled_loss(np.array([top]), sampling_rate)[0]) < _FINEST


@lru_cache(maxsize=16)
def _sampled_pairs(
    noise: Noise, *, coordinates: int, sampling_rate: float, removal: bool, lost: float
) -> list[LatticePair]:
    """Return dominated lattice pairs of one sampled release, without cells of Q mass ``lost``."""
    cells = spread_pair(noise, coordinates=coordinates)
    sampled = without_ends(*sampled_cells(*cells, sampling_rate=sampling_rate, removal=removal), lost=lost)
    step = step_width(sampled, _STEP_LEVELS) if len(sampled[0]) else 0.0
    return _dominated(*sampled, step=step or 1.0)  # without a loss, any


def _dominated(p: Floats, q: Floats, loss: Floats, *, step: float) -> list[LatticePair]:
    """Return the merged pair of cells, and where merging mixes most of the loss away, their pair of lowered losses
    too: where losses are few and far apart, no chord may meet the curve again."""
    merged = merge(p, q, loss, step=step)
    mixed = merged.masses @ merged.losses**2 < q @ loss**2 / 2
    return [merged, lower_losses(p, q, loss, step=step)] if mixed else [merged]


@dataclass(frozen=True)
class Interval:
    """A lower and an upper bound of epsilon."""

    lower: float
    upper: float


def scalar_interval(noise: Noise, *, sampling_rate: float, steps: int, delta: float, removal: bool = True) -> Interval:
    """Return both ends of epsilon for one number, in one adjacency direction.

    The hockey-stick divergence grows with the shift, so the full shift 1 is the worst. Cells are cut
    where the *sampled* loss is a lattice value; connecting the dots gives the upper end, merging the lower.
    Where doubles do not resolve the run, the lower end is that of `vector_lower`, and the upper end is infinite.
    """
    within = _resolved(noise)
    if within is not noise or steps > MOST_STEPS:
        fewer = min(steps, MOST_STEPS)
        run: Any = {"sampling_rate": sampling_rate, "steps": fewer, "delta": delta, "removal": removal}
        return Interval(scalar_interval(within, **run).lower, math.inf)
    reach = reach_of(steps, delta)
    top = largest_loss(noise, 1.0, reach)
    if _too_fine(top, sampling_rate):
        return Interval(0.0, math.inf)
    levels = _SCALAR_LEVELS if steps <= _MANY_STEPS else _FEW_LEVELS
    p, q, first, step = _sampled_scalar_cells(noise, sampling_rate, reach, levels)
    if not removal:
        p, q, first = q[::-1], p[::-1], -(first + len(p))
    bounds = (first + np.arange(len(p) + 1, dtype=np.float64)) * step
    low, high = sampled_loss(np.array([-top, top]), sampling_rate)
    # No loss is above the largest one: what lies in the last cell has that loss, up to rounding.
    bounds = np.minimum(bounds, high if removal else -low)
    dots = connect_dots(p, q, first=first, step=step, infinite=unbounded_mass(noise, reach))
    upper = composed_epsilon(dots, steps=steps, delta=delta, upper=True)
    falling = (cell[::-1] for cell in consistent(p, q, bounds))
    lower = (
        composed_epsilon(pair, steps=steps, delta=delta, upper=False)
        for pair in _dominated(*falling, step=_BELOW_ATOM * step)
    )
    return Interval(max(lower), upper)


def cell_interval(noise: Noise, *, sampling_rate: float, steps: int, delta: float) -> Interval:
    """Return both ends of epsilon for one number with noise of any law, or a vector with spherical noise; both
    adjacency directions."""
    least = LEAST_OUTSIDE[isinstance(noise, Spherical)]
    outside = max(_LOST * delta / steps, least)
    if outside * steps >= delta:
        raise Unsupported(f"delta = {delta:g}: it is not far above {steps:,} times {least:g}, the smallest mass in use")
    sampled, found = cells_of(noise, outside=outside).sampled(sampling_rate), Interval(0.0, 0.0)
    for pair in (sampled, sampled.swapped()):
        p, q, loss = pair.dominated()
        if not len(loss):
            return Interval(0.0, math.inf)
        if steps == 1:
            lower = single_epsilon(q, loss, 0.0, delta=delta, upper=False)
            upper = single_epsilon(*pair.ends(), delta=delta, upper=True)
            found = Interval(max(found.lower, lower), max(found.upper, upper))
            continue
        step, fewer = _BELOW_ATOM * pair.width(max(float(loss[0]), 0.0), steps), min(steps, MOST_STEPS)
        dominated = (make(p, q, loss, step=step) for make in (merge, lower_losses))
        lower = max(composed_epsilon(each, steps=fewer, delta=delta, upper=False) for each in dominated)
        upper = composed_epsilon(pair.dominating(steps), steps=steps, delta=delta, upper=True)
        found = Interval(max(found.lower, lower), max(found.upper, upper))
    return found


@lru_cache(maxsize=4)
def _sampled_scalar_cells(noise: Noise, rate: float, reach: float, levels: int) -> tuple[Floats, Floats, int, float]:
    """Return (P, (1-q)P + qQ, first, step) on cells whose sampled loss lies between lattice values."""
    top = largest_loss(noise, 1.0, reach)
    low, high = sampled_loss(np.array([-top, top]), rate)
    cells = _LARGEST_LATTICE if isinstance(noise, Gaussian) else _LARGEST_ROOTS
    step = max(_scalar_deviation(noise, top, rate) / levels, (high - low) / cells)
    step = high / math.ceil(high / step)  # an atom at the largest loss then lies on the lattice
    first, last = math.floor(low / step * (1 + 1e-12)), math.floor(high / step * (1 + 1e-12)) + 1
    lattice = np.arange(first, last + 1) * step
    bounds = _unsampled_loss(lattice, rate)
    zero = -first
    p_up, q_up = positive_cells(noise, 1.0, bounds[zero:])
    q_down, p_down = positive_cells(noise, 1.0, -bounds[zero::-1])
    p, q = np.concatenate([p_down[::-1], p_up]), np.concatenate([q_down[::-1], q_up])
    return p, (1 - rate) * p + rate * q, first, step


def _unsampled_loss(loss: Floats, sampling_rate: float) -> Floats:
    """Return the inverse of `sampled_loss`, -inf below its range."""
    if sampling_rate == 1:
        return loss
    with np.errstate(divide="ignore"):
        below = np.log1p(np.maximum(np.expm1(np.minimum(loss, 0.0)) / sampling_rate, -1.0))
        excess = np.where(loss > 30, loss, np.log(np.expm1(np.clip(loss, 0.0, 30.0)))) - np.log(sampling_rate)
    above = np.where(excess > 30, excess, np.log1p(np.exp(np.minimum(excess, 30.0))))
    return np.where(loss > 0, above, below)


def _scalar_deviation(noise: Noise, top: float, rate: float) -> float:
    """Return the standard deviation of the sampled loss under P, from a coarse cut."""
    bounds = _cuts(top)
    p, q = positive_cells(noise, 1.0, bounds)
    loss = np.concatenate([-bounds[::-1], bounds[1:]])
    loss = sampled_loss((loss[1:] + loss[:-1]) / 2, rate)
    return math.sqrt(float(np.concatenate([q[::-1], p]) @ loss**2))
