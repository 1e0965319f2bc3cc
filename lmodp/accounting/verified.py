"""The verified answer: a proven interval for epsilon of the mechanism as training uses it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from typing import Any, cast

import numpy as np

from lmodp.accounting.checks import Run, require_run
from lmodp.accounting.conversion import epsilon_of_rdp, poisson_rdp
from lmodp.accounting.domination.budget import dominate
from lmodp.accounting.domination.recursion import over_steps
from lmodp.accounting.pld.bounds import (
    FULL_SPREAD,
    SPREAD,
    Interval,
    best_split_lower,
    cell_interval,
    scalar_interval,
    vector_lower,
)
from lmodp.accounting.pld.composition import MOST_STEPS
from lmodp.accounting.rdp.supremum import RenyiCurve, equal_split_curve, finite_curve, vector_curve
from lmodp.errors import Unsupported, require
from lmodp.mechanisms import Gaussian, Histogram, Noise, RateMixture, Spherical, mixture_of, require_sound_law
from lmodp.mechanisms.arrays import Orders
from lmodp.vocabulary import is_foreign

SMALLEST_ORDER, LARGEST_ORDER = 128, 4096
_FINE = 65
_LARGEST_STEP, _ROUNDED = 500.0, 1e-9  # of a pure epsilon of one step, beyond which sampling is left out
_ROUNDINGS = 8 * float(np.finfo(np.float64).eps)  # of a difference of log densities, relative to 1 plus their size
_NARROW = 1.01  # upper over lower end, up to which the recursion over the steps is not tried
QUICK = "the exact accounting of a Gaussian, as noise or as what dominates a step, and a lower end at full width"

TOO_WEAK = "no Renyi order gives a finite epsilon: the noise is too weak for doubles"
ONE_SIDED = (
    "outputs of a probability above this delta are possible on one side only, or nearly so: with the example or "
    "without it. Where a density ends, or is infinite, there are such outputs"
)


@dataclass(frozen=True, kw_only=True)
class Verified:
    """The verified interval, and how it was computed.

    Args:
        lower, upper: bounds of epsilon; ``upper`` is the epsilon you may state.
        upper_rdp: the bound by RDP, used to compare families; equal to ``upper`` unless that is tighter.
        order: Renyi order of the upper bound; None if the bound does not come from RDP.
        worst_shift: s = v^2 of the Renyi supremum at that order; 0 for the limit v -> 0.
        route: how ``upper`` was computed: "rdp", "pld", "pure", "domination" or "recursion" (docs/verified_bounds.md).
        answer: "quick" (half a second) or "full" (up to a minute for a noise that is new).
        left_out: what was not used, and could have made the interval narrower.
        status, reason: "ok", or "infinite"/"unsupported" and why; with "ok", why the lower end is 0.
        find_limit: computes ``gaussian_limit``.
    """

    lower: float
    upper: float
    upper_rdp: float
    order: float | None
    worst_shift: float | None
    route: str
    answer: str = "quick"
    left_out: str = QUICK
    status: str = "ok"
    reason: str = ""
    find_limit: Callable[[], float] = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.lower <= self.upper:  # one of two routes is wrong
            raise ArithmeticError(f"the verified interval is empty: lower end {self.lower!r}, upper end {self.upper!r}")

    @cached_property
    def gaussian_limit(self) -> float:
        """Epsilon of the Gaussian with sigma_effective; a limit, not a bound. Computed on first use."""
        with np.errstate(over="ignore", divide="ignore"):
            return self.find_limit()


def rdp_upper(curve: RenyiCurve, *, sampling_rate: float, steps: int, delta: float) -> tuple[float, float, float]:
    """Return (epsilon, order, worst_shift) from a Renyi curve: Poisson sampling, composition, conversion."""
    return composed_upper([(curve, sampling_rate, steps)], delta=delta)


def composed_upper(parts: Sequence[tuple[RenyiCurve, float, int]], *, delta: float) -> tuple[float, float, float]:
    """Return (epsilon, order, worst_shift) of unlike releases: (curve, sampling rate, number) of each kind.

    Tries all computed orders that are no whole numbers and whole ones 10 % apart, then orders around the best one.
    Any choice of orders gives a valid bound.
    """
    curve, _, _ = min(parts, key=lambda part: part[0].orders[-1])
    largest = int(curve.orders[-1])
    spaced = np.unique(np.round(2 * 1.1 ** np.arange(100)))
    coarse = np.unique(np.concatenate([curve.orders[curve.orders % 1 > 0], spaced[spaced < largest], [largest]]))
    found = _best_order(parts, coarse, delta)
    if not math.isfinite(found[0]):
        return math.inf, math.nan, math.nan
    near = int(np.searchsorted(coarse, found[1]))
    fine = np.linspace(coarse[max(near - 1, 0)], coarse[min(near + 1, len(coarse) - 1)], _FINE)
    found = min(found, _best_order(parts, fine, delta))
    return *found, float(np.interp(found[1], curve.orders, curve.worst_shift))


def _best_order(parts: Sequence[tuple[RenyiCurve, float, int]], orders: Orders, delta: float) -> tuple[float, float]:
    rdp = [
        float(steps)
        * poisson_rdp(log_moments=curve.dense(), at_orders=curve.at(orders), sampling_rate=rate, orders=orders)
        for curve, rate, steps in parts
    ]
    return epsilon_of_rdp(orders=orders, rdp=np.sum(rdp, axis=0), delta=delta)


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


def verified_run(
    noise: Noise, *, sampling_rate: float, steps: int, delta: float, dimension: int | None = None, full: bool = False
) -> Verified:
    """Return the interval for ``steps`` Poisson-sampled releases of a vector of L2 sensitivity 1.

    Args:
        noise: law in each coordinate, scaled so that the sensitivity is 1.
        sampling_rate, steps, delta: of the run; adjacency is add or remove one.
        dimension: number of coordinates; None for many.
        full: try every route, not only the quick one.

    Raises:
        InvalidValue: an argument is outside its range.

    Guarantees:
        * For any data and any gradients within the clip norm, also adaptive ones, a run of this plan has at
          most epsilon ``upper`` at ``delta`` (docs/verified_bounds.md).
        * Some gradients in ``dimension`` coordinates (for many: 1,000, in full a million) attain at least ``lower``.
        * lower <= upper. Estimates of the numerical error are added to both on the unfavourable side.

    Edge cases:
        ============================== ==================================================
        delta so large that 0 suffices both ends are 0, also where steps * sampling_rate <= delta
        supremum of the Renyi curve    ``worst_shift`` > 0, and ``sigma_effective`` does not
        inside                         give the answer
        infinite variance              allowed: the interval does not need a finite one
        noise too weak for order 2     an order between 1 and 2 gives ``upper``
        no finite bound                status "infinite" with the reason
        nothing shown below            ``lower`` is 0, and ``reason`` says why
        ============================== ==================================================
    """
    require_run(sampling_rate=sampling_rate, steps=steps, delta=delta, dimension=dimension)
    answer = _full if full else _quick
    try:
        require_sound_law(noise)
        with np.errstate(over="ignore", divide="ignore"):  # logarithms of 0 and powers beyond doubles, at the far ends
            return answer(noise, dimension, sampling_rate=sampling_rate, steps=steps, delta=delta)
    except (Unsupported, ArithmeticError) as error:  # a law of one's own that is not what its functions say
        if isinstance(error, ArithmeticError) and not is_foreign(type(noise)):
            raise
        return Verified(
            lower=0.0,
            upper=math.inf,
            upper_rdp=math.inf,
            order=None,
            worst_shift=None,
            route="rdp",
            status="unsupported",
            reason=str(error),
            find_limit=lambda: math.nan,
        )


@lru_cache(maxsize=256)
def _quick(noise: Noise, dimension: int | None, **values: Any) -> Verified:
    run = cast(Run, values)
    upper, order, at, refused = _by_rdp(noise, run, dimension)
    if run["steps"] * run["sampling_rate"] <= run["delta"]:  # the example is never used, with this probability
        upper = 0.0
    interval = _by_losses(noise, run, dimension) if upper > 0 else Interval(0.0, 0.0)
    pure = pure_run(noise, sampling_rate=run["sampling_rate"], steps=run["steps"], dimension=dimension)
    by_losses = not isinstance(noise, Gaussian) and min(interval.upper, pure) < upper
    best = min(interval.upper, pure) if by_losses else upper
    alone = bool(refused) and dimension == 1 and not isinstance(noise, RateMixture)
    return Verified(
        lower=interval.lower,
        upper=best,
        upper_rdp=upper if math.isfinite(upper) else best,
        order=None if by_losses else order,
        worst_shift=1.0 if by_losses else at,
        route=("pure" if pure < interval.upper else "pld") if by_losses else "rdp",
        left_out="" if by_losses else QUICK,
        find_limit=partial(_gaussian, noise, run),
        **status_of(interval.lower, best, "" if alone else refused, ONE_SIDED if alone else TOO_WEAK),
    )


@lru_cache(maxsize=256)
def _full(noise: Noise, dimension: int | None, **values: Any) -> Verified:
    """Return the quick answer with each end replaced by a better one, if there is one."""
    run = cast(Run, values)
    quick = replace(_quick(noise, dimension, **values), answer="full", left_out="")
    exact = dimension == 1 and not isinstance(noise, Gaussian)
    if exact or quick.upper == 0 or not isinstance(noise, (Gaussian, RateMixture)):
        return quick
    if isinstance(noise, Gaussian):
        lower, variance, route, refused = quick.lower, 1 / noise.variance, "pld", ""
    else:
        lower = best_split_lower(noise, coordinates=min(dimension or FULL_SPREAD, FULL_SPREAD), **run)
        variance, refused = _dominating(noise)
        route = "domination"
    upper = _scalar(Gaussian(std=variance**-0.5), run).upper if math.isfinite(variance) else math.inf
    lower = max(lower, quick.lower)
    if not upper < quick.upper:
        return replace(quick, lower=lower, left_out=refused, **status_of(lower, quick.upper))
    better: Any = {"upper": upper, "route": route, "order": None, "worst_shift": None}
    return replace(quick, lower=lower, left_out=refused, **better, **status_of(lower, upper))


def narrowed(found: Verified, noise: Noise, *, sampling_rate: float, steps: int, delta: float) -> Verified:
    """Return a full answer with the upper end of the recursion over the steps, if that is lower. It takes a minute and
    more, so calibration and claims do without it."""
    wide = 0 < _NARROW * found.lower < found.upper < math.inf
    if found.answer != "full" or not isinstance(noise, RateMixture) or not wide:
        return found
    run: Run = {"sampling_rate": sampling_rate, "steps": steps, "delta": delta}
    try:
        upper, _ = over_steps(noise, ceiling=found.upper, **run)
    except Unsupported as error:
        return replace(found, left_out="; ".join(filter(None, (found.left_out, str(error)))))
    if upper >= found.upper:
        return found
    return replace(found, upper=upper, route="recursion", order=None, worst_shift=None)


def _dominating(noise: Noise) -> tuple[float, str]:
    """Return the variance of a Gaussian loss that dominates one step, infinite with the reason if the noise is
    refused."""
    try:
        return dominate(mixture_of(noise)).at(1.0), ""
    except Unsupported as error:
        return math.inf, f"domination by a Gaussian: {error}"


def pure_run(noise: Noise, *, sampling_rate: float, steps: int, dimension: int | None) -> float:
    """Return epsilon at delta = 0, infinite where none is known.

    For a mixture of Laplaces the loss l(v) = log p(0) - log p(v) of a coordinate is concave in v, so l(sqrt(s)) is
    concave in s, and the even split of a shift over d coordinates is the worst: d l(1/sqrt(d)).
    """
    step = math.inf
    if isinstance(noise, RateMixture) and dimension is not None:
        at_zero, split = float(noise.log_density(0.0)), dimension**-0.5
        rounded = at_zero - float(noise.log_density(split)) + _ROUNDINGS * (1 + abs(at_zero))
        step = dimension * min(rounded, split * noise.score_maximum)  # l(v) <= v s(0)
    elif isinstance(noise, Histogram) and dimension == 1:
        step = noise.largest_loss(1.0) + _ROUNDINGS * (1 + float(np.abs(np.log(noise.masses)).max()))
    elif isinstance(noise, Spherical) and noise.power <= 1:
        step = noise.scale**-noise.power
    step = step if sampling_rate == 1 or step > _LARGEST_STEP else math.log1p(sampling_rate * math.expm1(step))
    return steps * step * (1 + _ROUNDED)


def _by_rdp(noise: Noise, run: Run, dimension: int | None) -> tuple[float, float | None, float | None, str]:
    """Return (epsilon, order, worst shift) by Renyi divergences; infinite with the reason where no curve is proven."""
    if isinstance(noise, Spherical):
        return math.inf, None, None, ""
    try:
        return *rdp_upper(rdp_curve(noise, dimension=dimension, **run), **run), ""
    except Unsupported as error:
        return math.inf, None, None, str(error)


def _by_losses(noise: Noise, run: Run, dimension: int | None) -> Interval:
    """Return the interval by privacy loss distributions; infinite above where only the lower end is of that kind."""
    known = isinstance(noise, (Gaussian, RateMixture))
    if isinstance(noise, Gaussian) or (known and dimension == 1):
        return _scalar(noise, run)
    if isinstance(noise, Spherical):
        require(dimension in (None, noise.dimension), "dimension", dimension, f"is {noise.dimension} in the noise")
        return cell_interval(noise, **run)
    single = Interval(0.0, math.inf) if known else cell_interval(noise, **run)
    if dimension == 1:
        return single
    spread = vector_lower(noise, coordinates=min(dimension or SPREAD, SPREAD), **run)
    return Interval(max(spread, single.lower), math.inf)


def status_of(lower: float, upper: float, refused: str = "", infinite: str = TOO_WEAK) -> dict[str, Any]:
    """Return the status of an interval and the reason for it: ``refused`` or ``infinite`` where it has no upper end."""
    if math.isinf(upper) and refused:
        return {"status": "unsupported", "reason": refused}
    if math.isinf(upper):
        return {"status": "infinite", "reason": infinite}
    unresolved = "the lower end is 0: doubles do not resolve the run's privacy loss at this delta"
    return {"status": "ok", "reason": unresolved if lower == 0 < upper else ""}


def _gaussian(noise: Noise, run: Run) -> float:
    """Return the epsilon of the Gaussian of ``sigma_effective``, to about 1e-4; NaN where doubles do not resolve it or
    there is none."""
    if run["steps"] > MOST_STEPS or noise.sigma_effective == 0:
        return math.nan
    found = _scalar(Gaussian(std=noise.sigma_effective), run)
    return found.upper if found.lower > 0 or found.upper == 0 else math.nan


def _scalar(noise: Noise, run: Run) -> Interval:
    """Return the interval over both adjacency directions."""
    found = [scalar_interval(noise, removal=removal, **run) for removal in (True, False)]
    return Interval(max(each.lower for each in found), max(each.upper for each in found))
