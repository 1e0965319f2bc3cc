"""Epsilon of one release, and of many of one lattice pair, with the errors of rounding and of the transform counted."""

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from lmodp.accounting.pld.convolution import Power, TooLong, log_generating, tilted_mean, tilted_power
from lmodp.accounting.pld.lattice import LatticePair
from lmodp.mechanisms.arrays import Floats

MOST_STEPS, USUAL_STEPS = 2**22, 10**5  # a lower bound for the first holds for more; roundings are set for the second
LARGEST_LOSS = 500.0  # of one step, in a lower bound; exp of it is still a double
# Cell masses are good to 1e-11, relatively; so is every loss of a lattice pair. Over a run that moves
# delta by far less than this, relatively.
_ROUNDING = 1e-6
# Sums of masses are off by a few roundings of 1, which moves the mean of the loss by as much in every step. Where
# losses themselves are that small, it moves delta, unless epsilon lies so far out that masses keep their digits.
_DRIFT, _SMALL, _IN_TAIL = 4e-15, 1e-7, 1e-7
_TILTS, _SETTLED = 5, 1e-5  # tilts tried until the FFT's error is negligible in epsilon
_COLLAPSED = 10.0
_RELATIVE = 1e-11  # of the epsilon of a single release


def chernoff(pair: LatticePair, steps: int, delta: float) -> tuple[float, float]:
    """Return (epsilon, tilt): the least (T log E[exp(t loss)] - log delta)/t, a rough upper end."""

    def epsilon(log_tilt: float) -> float:
        tilt = math.exp(log_tilt)
        return (steps * log_generating(pair, tilt) - math.log(delta)) / tilt

    found = minimize_scalar(epsilon, bounds=tilt_range(pair, steps), method="bounded")
    return float(found.fun), math.exp(found.x)


def tilt_range(pair: LatticePair, steps: int) -> tuple[float, float]:
    """Return the logarithms of tilts that hardly move the composed loss, and that leave its largest value only."""
    spread = math.sqrt(steps * float(pair.masses @ pair.losses**2))
    largest = math.log(1e5) - math.log(pair.losses[-1])
    return min(math.log(1e-3) - math.log(spread), largest - 1), largest


def composed_epsilon(pair: LatticePair, *, steps: int, delta: float, upper: bool) -> float:
    """Return the epsilon at ``delta`` of ``steps`` releases of a lattice pair.

    Where they need too many cells, an upper bound is infinite and a lower bound is that of fewer steps.

    Args:
        upper: True adds errors and infinite losses to delta, False subtracts errors.
    """
    try:
        return _composed_epsilon(pair, steps, delta, upper)
    except TooLong:
        return math.inf if upper else composed_epsilon(pair, steps=steps // 2, delta=delta, upper=False)


def _composed_epsilon(pair: LatticePair, steps: int, delta: float, upper: bool) -> float:
    if upper and pair.infinite >= 1:
        return math.inf
    infinite = -math.expm1(steps * math.log1p(-pair.infinite)) if upper else 0.0
    spread = math.sqrt(float(pair.masses @ pair.losses**2))
    if spread < _SMALL and delta > _IN_TAIL * spread * math.sqrt(steps):
        infinite += steps * _DRIFT if upper else -steps * _DRIFT
    if infinite >= delta:
        return math.inf
    if pair.losses[-1] <= 0:
        return 0.0
    if not spread > 0:
        return math.inf if upper else 0.0
    ceiling, tilt = chernoff(pair, steps, delta - infinite)
    if ceiling <= 0:
        return 0.0
    found = []
    for _ in range(_TILTS):
        power = tilted_power(pair, steps, tilt=tilt)
        found.append(_solve(_directed(power, upper, steps), power.losses, delta - infinite, ceiling, upper))
        centre = _solve(np.minimum(power.log_masses, 0.0), power.losses, delta - infinite, ceiling, upper)
        collapsed = tilt * pair.step > _COLLAPSED and len(found) == 1  # onto one cell: no other mass is seen
        if centre <= 0 or (math.isfinite(centre) and abs(found[-1] - centre) <= _SETTLED * ceiling and not collapsed):
            break
        tilt = saddle_tilt(pair, centre, steps) if math.isfinite(centre) else tilt / 4
    drift = steps * _DRIFT
    if upper:
        return min(found) + drift if min(found) > 0 else 0.0
    return max(max(found) - drift, 0.0)


def saddle_tilt(pair: LatticePair, loss: float, steps: int) -> float:
    """Return the tilt of `tilt_range`, or 0, under which the mean loss of ``steps`` releases is nearest to ``loss``."""

    def gap(log_tilt: float) -> float:
        return tilted_mean(pair, math.exp(log_tilt)) - loss / steps

    low, high = tilt_range(pair, steps)
    if gap(low) >= 0:
        return 0.0
    return math.exp(high) if gap(high) <= 0 else math.exp(brentq(gap, low, high, xtol=1e-3))


def _directed(power: Power, upper: bool, steps: int) -> Floats:
    """Return log masses moved up or down by their error and by the cells' rounding."""
    rounding = _ROUNDING * max(1.0, steps / USUAL_STEPS)
    if upper:
        return np.minimum(np.logaddexp(power.log_masses, power.log_error), 0.0) + rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        lowered = power.log_masses + np.log1p(-np.exp(np.minimum(power.log_error - power.log_masses, 0.0)))
    return np.where(power.log_masses > power.log_error, lowered - rounding, -np.inf)


def single_epsilon(masses: Floats, losses: Floats, infinite: float, *, delta: float, upper: bool) -> float:
    """Return the epsilon at ``delta`` of one release whose losses have these masses, as they are: on no lattice.

    Args:
        infinite: mass of the infinite loss.
        upper: True counts the masses' rounding as more, False as less.
    """
    left, order = delta - infinite, np.argsort(losses)
    if left <= 0:
        return math.inf
    with np.errstate(over="ignore"):
        relative = masses[order] / left * (1 + (_ROUNDING if upper else -_ROUNDING))
    gap = _gap(relative, losses[order])
    if gap(0.0) <= 0:
        return 0.0
    found = float(brentq(gap, 0.0, float(losses.max()), xtol=1e-300, rtol=_RELATIVE, maxiter=2000))
    return found * (1 + 2 * _RELATIVE) if upper else found * (1 - 2 * _RELATIVE)


def _gap(relative: Floats, losses: Floats) -> Callable[[float], float]:
    """Return the hockey-stick divergence over delta, less 1, as a function of epsilon; losses ascend."""

    def gap(epsilon: float) -> float:
        first = np.searchsorted(losses, epsilon, side="right")
        return float(relative[first:] @ -np.expm1(epsilon - losses[first:])) - 1

    return gap


def _solve(log_masses: Floats, losses: Floats, delta: float, ceiling: float, upper: bool) -> float:
    gap = _gap(np.exp(np.minimum(log_masses - math.log(delta), LARGEST_LOSS)), losses)
    if gap(0.0) <= 0:
        return 0.0
    step, highest = 1e-9 * ceiling, ceiling * 1.01 + 1e-6
    if gap(highest) > 0:
        return math.inf if upper else 0.0  # the error at this tilt is larger than the answer
    found = float(brentq(gap, 0.0, highest, xtol=step / 4))
    return found + step if upper else max(found - step, 0.0)
