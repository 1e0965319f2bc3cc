"""The verified answer: a proven interval for epsilon of the mechanism as training uses it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial

import numpy as np

from lmodp.accounting.checks import Run, require_run
from lmodp.accounting.conversion import epsilon_of_rdp, poisson_rdp
from lmodp.accounting.gaussian import gaussian_pld_epsilon
from lmodp.accounting.pld.bounds import SPREAD, Interval, scalar_interval, vector_lower
from lmodp.accounting.rdp.supremum import RenyiCurve, equal_split_curve, finite_curve, vector_curve
from lmodp.mechanisms import Gaussian, Noise
from lmodp.mechanisms.arrays import Orders

SMALLEST_ORDER, LARGEST_ORDER = 128, 4096
_FINE = 65
_LIBRARY_DELTA, _LIBRARY_SIGMA = 1e-12, 0.1


@dataclass(frozen=True, kw_only=True)
class Verified:
    """The verified interval, and how it was computed.

    Args:
        lower, upper: bounds of epsilon; ``upper`` is the epsilon you may state.
        upper_rdp: the bound by RDP, used to compare families; equal to ``upper`` unless that is tighter.
        order: Renyi order of the upper bound; None if the bound does not come from RDP.
        worst_shift: s = v^2 of the Renyi supremum at that order; 0 for the limit v -> 0.
        route: how the bounds were computed, "rdp" or "pld".
        status, reason: "ok", or "infinite"/"unsupported" and why.
        find_limit: computes ``gaussian_limit``.
    """

    lower: float
    upper: float
    upper_rdp: float
    order: float | None
    worst_shift: float | None
    route: str
    status: str = "ok"
    reason: str = ""
    find_limit: Callable[[], float] = field(repr=False, compare=False)

    @cached_property
    def gaussian_limit(self) -> float:
        """Epsilon of the Gaussian with sigma_effective; a limit, not a bound. Computed on first use."""
        return self.find_limit()


def rdp_upper(curve: RenyiCurve, *, sampling_rate: float, steps: int, delta: float) -> tuple[float, float, float]:
    """Return (epsilon, order, worst_shift) from a Renyi curve: Poisson sampling, composition, conversion.

    Tries all computed orders that are no whole numbers and whole ones 10 % apart, then orders around the best one.
    Any choice of orders gives a valid bound.
    """
    largest = int(curve.orders[-1])
    spaced = np.unique(np.round(2 * 1.1 ** np.arange(100)))
    coarse = np.unique(np.concatenate([curve.orders[curve.orders % 1 > 0], spaced[spaced < largest], [largest]]))
    found = _best_order(curve, coarse, sampling_rate, steps, delta)
    if not math.isfinite(found[0]):
        return math.inf, math.nan, math.nan
    near = int(np.searchsorted(coarse, found[1]))
    fine = np.linspace(coarse[max(near - 1, 0)], coarse[min(near + 1, len(coarse) - 1)], _FINE)
    found = min(found, _best_order(curve, fine, sampling_rate, steps, delta))
    return *found, float(np.interp(found[1], curve.orders, curve.worst_shift))


def _best_order(
    curve: RenyiCurve, orders: Orders, sampling_rate: float, steps: int, delta: float
) -> tuple[float, float]:
    rdp = poisson_rdp(log_moments=curve.dense(), at_orders=curve.at(orders), sampling_rate=sampling_rate, orders=orders)
    return epsilon_of_rdp(orders=orders, rdp=steps * rdp, delta=delta)


def rdp_curve(
    noise: Noise, *, sampling_rate: float, steps: int, delta: float, dimension: int | None = None
) -> RenyiCurve:
    """Return the Renyi curve of a vector release of sensitivity 1, up to the orders that a run needs."""
    run: Run = {"sampling_rate": sampling_rate, "steps": steps, "delta": delta}
    largest = largest_order(noise, dimension=dimension, **run)
    if dimension is None:
        return vector_curve(noise, largest_order=largest)
    return finite_curve(noise, dimension=dimension, largest_order=largest)


def largest_order(noise: Noise, *, sampling_rate: float, steps: int, delta: float, dimension: int | None = None) -> int:
    """Return a power of two well above the order that the evenly spread shift needs.

    Orders are a choice, not an assumption: any set gives a valid bound.
    """
    curve = equal_split_curve(noise, dimension=dimension, largest_order=LARGEST_ORDER)
    order = rdp_upper(curve, sampling_rate=sampling_rate, steps=steps, delta=delta)[1]
    return int(np.clip(2 ** math.ceil(math.log2(1.5 * order)), SMALLEST_ORDER, LARGEST_ORDER))


@lru_cache(maxsize=256)
def verified_run(
    noise: Noise, *, sampling_rate: float, steps: int, delta: float, dimension: int | None = None
) -> Verified:
    """Return the interval for ``steps`` Poisson-sampled releases of a vector of L2 sensitivity 1.

    Args:
        noise: law in each coordinate, scaled so that the sensitivity is 1.
        sampling_rate, steps, delta: of the run; adjacency is add or remove one.
        dimension: number of coordinates; None for many.

    Raises:
        InvalidValue: an argument is outside its range.

    Guarantees:
        * For any data and any gradients within the clip norm, also adaptive ones, a run of this plan has at
          most epsilon ``upper`` at ``delta`` (docs/verified_bounds.md).
        * Some gradients in ``dimension`` coordinates (1,000 for many) attain at least ``lower``.
        * lower <= upper; both contain their numerical error.

    Edge cases:
        ============================== ==================================================
        delta so large that 0 suffices both ends are 0
        supremum of the Renyi curve    ``worst_shift`` > 0, and ``sigma_effective`` does not
        inside                         give the answer
        infinite variance              allowed: the interval does not need a finite one
        noise too weak for order 2     an order between 1 and 2 gives ``upper``
        no finite bound                status "infinite" with the reason
        ============================== ==================================================
    """
    require_run(sampling_rate=sampling_rate, steps=steps, delta=delta, dimension=dimension)
    run: Run = {"sampling_rate": sampling_rate, "steps": steps, "delta": delta}
    curve = rdp_curve(noise, dimension=dimension, **run)
    upper, order, at = rdp_upper(curve, **run)
    limit = partial(_gaussian, noise.sigma_effective, run, upper)
    if isinstance(noise, Gaussian):
        lower = _scalar(noise, run).lower
    elif dimension == 1:
        interval = _scalar(noise, run)
        return Verified(
            lower=interval.lower,
            upper=interval.upper,
            upper_rdp=upper,
            order=None,
            worst_shift=1.0,
            route="pld",
            find_limit=limit,
        )
    else:
        lower = vector_lower(noise, coordinates=min(dimension or SPREAD, SPREAD), **run)
    return Verified(
        lower=lower,
        upper=upper,
        upper_rdp=upper,
        order=order,
        worst_shift=at,
        route="rdp",
        find_limit=limit,
        **_status(upper),
    )


def _status(upper: float) -> dict[str, str]:
    if math.isfinite(upper):
        return {}
    return {"status": "infinite", "reason": "no Renyi order gives a finite epsilon: the noise is too weak for doubles"}


def delta_unresolved(delta: float) -> bool:
    """Whether delta is so small that the library's discretisation drops as much mass."""
    return delta < _LIBRARY_DELTA


def _gaussian(sigma: float, run: Run, upper: float) -> float:
    """Return the Gaussian's epsilon, losses in steps of a few thousandths of the result; by the suite's own
    loss distribution where the library's drops too much mass or grows too long."""
    if delta_unresolved(run["delta"]) or sigma < _LIBRARY_SIGMA:
        return _scalar(Gaussian(std=sigma), run).upper
    interval = max(upper / 5000, 1e-5) if math.isfinite(upper) else 1.0
    return gaussian_pld_epsilon(noise_multiplier=sigma, interval=interval, **run)


def _scalar(noise: Noise, run: Run) -> Interval:
    """Return the interval over both adjacency directions."""
    found = [scalar_interval(noise, removal=removal, **run) for removal in (True, False)]
    return Interval(max(each.lower for each in found), max(each.upper for each in found))
