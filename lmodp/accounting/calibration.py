"""From a privacy target to a noise, rounded to the private side and checked by the accountant.

The result is the given shape times the smallest scale that reaches the target. Under
``verified`` every family, also the Gaussian, uses the same upper bound (RDP), so no family
profits from a tighter accountant.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq, root_scalar

from lmodp.accounting.checks import Run, require_run
from lmodp.accounting.claimed.lmo_dp import claimed_run, claimed_step
from lmodp.accounting.domination.budget import dominate
from lmodp.accounting.paper_bound import paper_bound_run, paper_bound_step
from lmodp.accounting.rdp.supremum import CLOSED, RenyiCurve, equal_split_curve, vector_curve
from lmodp.accounting.verified import LARGEST_ORDER, rdp_curve, rdp_upper, verified_run
from lmodp.errors import Unsupported, require, require_known
from lmodp.mechanisms import PUBLISHED, Gaussian, Laplace, Noise, RateMixture, mixture_of, require_sound_law
from lmodp.mechanisms.arrays import Floats
from lmodp.vocabulary import ACCOUNTANTS, SCOPES

UNIT_SHAPES = {"gaussian": Gaussian(std=1.0), "laplace": Laplace(scale=1.0)}
HELD = (
    "held to the epsilon that a Gaussian within the target's Renyi bound has exactly, so that no family gains by its "
    "accountant: the verified epsilon is below the target"
)
_SMALLEST, _LARGEST = 1e-6, 1e9  # scales tried, in units of the sensitivity
_GRID = 120  # each a third larger than the one before
_PRECISION = 1e-9
_NOTHING = "epsilon is 0 at this delta without any noise of note: there is nothing to calibrate"
_STRIDE = 0.7  # of the logarithm of a scale, when bracketing
_REFINEMENTS = 8
_SPLIT_PRECISION = 1e-6
_FULL_PRECISION = 1e-6
_EXACT_PRECISION, _SECANTS = 1e-4, 12
_BACK = 5e-4  # a curve is computed at this factor below the expected scale


def scale_to_target(
    noise: Noise | str,
    *,
    accountant: str,
    epsilon: float,
    delta: float,
    sampling_rate: float = 1.0,
    steps: int = 1,
    relative_sensitivity: float = 1.0,
    dimension: int | None = None,
    scope: str | None = None,
    full: bool = False,
) -> Noise:
    """Return the given shape times the smallest scale found that reaches a target.

    Args:
        noise: a law, of which the shape is kept, by its published name or itself; or "gaussian" or "laplace".
        accountant: "claimed", "paper_bound" or "verified".
        epsilon: the target, above 0.
        delta: of the target, in (0, 1).
        sampling_rate: q in (0, 1], probability per example and step.
        steps: T >= 1, number of noisy sums released.
        relative_sensitivity: sensitivity of the sum over the factor of the noise. At 1 the law returned is in
            units of the clip norm, as a `Plan` takes it.
        dimension: number of coordinates for ``verified``; None for many.
        scope: "step" or "run", what the target is of. By default the step under ``claimed``, as
            published, and the run otherwise.
        full: under ``verified``, use the narrowest bound in place of the quick one; takes up to a minute.

    Returns:
        A law for which ``accountant`` answers at most ``epsilon``.

    Raises:
        InvalidValue: an argument is outside its range.
        Unsupported: no scale reaches the target under this accountant.

    Guarantees:
        * The accountant checks the returned law once more.
        * Unless ``full``, families are compared by Renyi divergences. So the exact epsilon of a law that has one
          (one number, spherical noise) stays below the target, by as much as that of a Gaussian does.
        * If epsilon is not monotone in the scale (``claimed``, ``paper_bound``), the target holds at the
          returned scale; nothing is stated about larger scales.

    Source:
        docs/verified_bounds.md for ``verified``; LMO-DP, arXiv:2405.18776, for the others.

    >>> import lmodp
    >>> noise = lmodp.calibrate(
    ...     "gaussian", accountant="verified", epsilon=1.0, delta=1e-5, sampling_rate=0.03, steps=10
    ... )
    >>> round(noise.std, 2)
    1.23
    """
    shape = unit_shape(noise)
    scope = scope or ("step" if accountant == "claimed" else "run")
    _check(accountant, scope, epsilon, relative_sensitivity)
    require_run(sampling_rate=sampling_rate, steps=steps, delta=delta, dimension=dimension)
    run: Run = {"sampling_rate": sampling_rate, "steps": steps, "delta": delta}
    if accountant == "verified":
        if scope == "step":
            run = {"sampling_rate": 1.0, "steps": 1, "delta": delta}
        if why_below(shape) or (full and dimension == 1 and not isinstance(shape, Gaussian)):
            scale = _exact_scale(shape, epsilon, run, dimension, full)
        else:
            scale = _verified_scale(shape, epsilon, run, dimension)
            scale = _full_scale(shape, epsilon, run, dimension, scale) if full else scale
    else:
        scale = _scalar_scale(_account(accountant, scope, shape, run), epsilon, accountant)
    return shape.scaled(scale * relative_sensitivity)


def why_below(noise: Noise) -> str:
    """Return why a quick calibration of a law ends below its target; empty where it reaches it."""
    return "" if isinstance(noise, (*CLOSED, RateMixture)) else HELD


def unit_shape(noise: Noise | str) -> Noise:
    """Return a law as it is, a family of one parameter as its unit law, and a published point as its law."""
    if isinstance(noise, Noise):
        require_sound_law(noise)
        return noise
    if noise in PUBLISHED:
        return PUBLISHED[noise].noise
    known, rule = [*UNIT_SHAPES, *PUBLISHED], "is neither a law nor a family of one parameter"
    require_known("noise", noise, known, rule, " A laplace_mixture needs its parts.")
    return UNIT_SHAPES[noise]


def _check(accountant: str, scope: str, epsilon: float, sensitivity: float) -> None:
    require_known("accountant", accountant, ACCOUNTANTS)
    require_known("scope", scope, SCOPES)
    require(0 < epsilon < math.inf, "epsilon", epsilon, "must be finite and above 0")
    require(0 < sensitivity < math.inf, "relative_sensitivity", sensitivity, "must be finite and above 0")


def _account(accountant: str, scope: str, shape: Noise, run: Run) -> Callable[[float], float]:
    """Return epsilon as a function of the scale."""

    def step_claimed(scale: float) -> float:
        return claimed_step(shape.scaled(scale), delta=run["delta"]).epsilon

    def run_claimed(scale: float) -> float:
        step = step_claimed(scale)
        return claimed_run(step, **run) if math.isfinite(step) else math.inf

    def step_paper_bound(scale: float) -> float:
        return paper_bound_step(shape.scaled(scale), delta=run["delta"]).epsilon

    def run_paper_bound(scale: float) -> float:
        return paper_bound_run(shape.scaled(scale), **run).epsilon

    return {
        ("claimed", "step"): step_claimed,
        ("claimed", "run"): run_claimed,
        ("paper_bound", "step"): step_paper_bound,
        ("paper_bound", "run"): run_paper_bound,
    }[accountant, scope]


def _scalar_scale(account: Callable[[float], float], target: float, accountant: str) -> float:
    """Return the smallest grid scale that reaches the target, refined towards the one before it."""
    scales = np.geomspace(_SMALLEST, _LARGEST, _GRID)
    private = _first_private(account, target, scales)
    if private is None:
        smallest = min(account(scale) for scale in scales[::6])
        raise Unsupported(
            f"epsilon = {target!r} cannot be reached under {accountant!r} at this delta: "
            f"the smallest value at any scale is about {smallest:.4g}"
        )
    low, high = math.log(scales[private - 1]) if private else math.log(_SMALLEST / 10), math.log(scales[private])
    while high - low > _PRECISION:
        centre = (low + high) / 2
        low, high = (low, centre) if account(math.exp(centre)) <= target else (centre, high)
    return math.exp(high)


def _first_private(account: Callable[[float], float], target: float, scales: Floats) -> int | None:
    """Return the index of the first scale that reaches the target."""
    return next((i for i, scale in enumerate(scales) if account(scale) <= target), None)


def verified_upper(
    noise: Noise, *, sampling_rate: float, steps: int, delta: float, dimension: int | None = None
) -> float:
    """Return the RDP upper bound by which all families are compared, at sensitivity 1."""
    run: Run = {"sampling_rate": sampling_rate, "steps": steps, "delta": delta}
    return rdp_upper(rdp_curve(noise, dimension=dimension, **run), **run)[0]


def _verified_scale(shape: Noise, target: float, run: Run, dimension: int | None) -> float:
    """Return a scale at which the bound holds.

    A curve computed at one scale bounds every larger one: with the noise c times as large the
    supremum is over shifts up to 1/c, so G_c <= G_1 / c^2. Each round solves for c on one curve.
    """
    scale = split_scale(shape, epsilon=target, dimension=dimension, **run)
    for _ in range(_REFINEMENTS):
        trial = (1 - _BACK) * scale
        curve = rdp_curve(shape.scaled(trial), dimension=dimension, **run)
        factor = _factor(curve, target, run)
        scale = trial * factor
        if 1 <= factor < 1 + 4 * _BACK:
            break
    while verified_upper(shape.scaled(scale), dimension=dimension, **run) > target:
        scale *= 1 + _BACK / 10
    return scale


def _exact_scale(shape: Noise, target: float, run: Run, dimension: int | None, full: bool) -> float:
    """Return a scale for a law that is accounted for by its privacy losses; their upper end never rises with it.

    Unless ``full``, the target is what a Gaussian within the Renyi bound has exactly: then no family gains by its
    accountant.
    """
    gaussian = Gaussian(std=_verified_scale(Gaussian(std=1.0), target, run, dimension))
    if not full:
        target = min(target, verified_run(gaussian, full=True, **run).upper)
    if target == 0:
        raise Unsupported(_NOTHING)

    def gap(log_scale: float) -> float:
        found = verified_run(shape.scaled(math.exp(log_scale)), dimension=dimension, full=full, **run)
        if found.status == "unsupported":
            raise Unsupported(found.reason)
        return math.log(min(max(found.upper / target, 1e-9), 1e9))

    first = math.log(gaussian.std / (shape.sigma_effective or shape.std))
    second = first + (gap(first) or _EXACT_PRECISION)  # epsilon falls about as 1/scale
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # where it stops is looked at
        near = root_scalar(gap, method="secant", x0=first, x1=second, xtol=_EXACT_PRECISION, maxiter=_SECANTS)
    log_scale = near.root if near.converged else bracketed(gap, first, stride=_STRIDE, precision=_EXACT_PRECISION)
    while gap(log_scale) > 0:
        log_scale += _EXACT_PRECISION
    return math.exp(log_scale)


def bracketed(gap: Callable[[float], float], first: float, *, stride: float, precision: float) -> float:
    """Return the logarithm of the scale at which a falling gap is 0, found by strides from ``first``.

    Raises:
        Unsupported: it is above 0 at any scale, or at most 0.
    """
    low = high = first
    while gap(high) > 0:
        high += stride
        if high > math.log(_LARGEST):
            raise Unsupported("the target is below what is proven for this noise at any scale")
    while gap(low) <= 0:
        low -= stride
        if low < first - math.log(_LARGEST):
            raise Unsupported(_NOTHING)
    return float(brentq(gap, low, high, xtol=precision))


def _full_scale(shape: Noise, target: float, run: Run, dimension: int | None, quick: float) -> float:
    """Return a scale, at most the quick one, at which the full upper end holds.

    Where the domination is not the least bound, a Gaussian gains more by this than a Laplace mixture does. Gamma of
    a noise at one scale, as a function of the budget, is that of every larger scale at a smaller budget.
    """

    def upper(noise: Noise) -> float:
        return verified_run(noise, dimension=dimension, full=True, **run).upper

    gaussian = Gaussian(std=1.0)
    most = _verified_scale(gaussian, target, run, dimension)
    least = most
    while upper(gaussian.scaled(least)) <= target:
        least *= math.exp(-_STRIDE / 7)
        if least < most / _LARGEST:
            raise Unsupported(_NOTHING)
    near = brentq(lambda std: upper(gaussian.scaled(std)) - target, least, most, xtol=_FULL_PRECISION * most)
    std = float(near) + 2 * _FULL_PRECISION * most
    scale = std / shape.sigma_effective
    if not isinstance(shape, Gaussian):
        trial = (1 - _BACK) * scale
        try:
            gamma = dominate(mixture_of(shape.scaled(trial))).gamma
        except Unsupported:
            return quick
        budget = np.searchsorted(gamma, std**-2, side="right") / (len(gamma) - 1)
        scale = trial / math.sqrt(budget) * (1 + 2 * _FULL_PRECISION)
    while scale < quick and upper(shape.scaled(scale)) > target:
        scale *= 1 + _BACK
    return min(scale, quick)


def split_scale(
    shape: Noise, *, epsilon: float, delta: float, sampling_rate: float, steps: int, dimension: int | None
) -> float:
    """Return the scale at which the evenly spread shift reaches a target: fast, but not a bound."""
    run: Run = {"sampling_rate": sampling_rate, "steps": steps, "delta": delta}
    first = math.log(_gaussian_scale(shape, epsilon, run))
    if dimension is None or isinstance(shape, Gaussian):
        return math.exp(first)

    def gap(log_scale: float) -> float:
        curve = equal_split_curve(shape.scaled(math.exp(log_scale)), dimension=dimension, largest_order=LARGEST_ORDER)
        return math.log(max(rdp_upper(curve, **run)[0], 1e-300) / epsilon)

    # Epsilon falls about as 1/scale, so the gap itself is a good first step.
    second = first + (gap(first) or _SPLIT_PRECISION)
    return math.exp(root_scalar(gap, method="secant", x0=first, x1=second, xtol=_SPLIT_PRECISION).root)


def _gaussian_scale(shape: Noise, target: float, run: Run) -> float:
    """Return the scale at which the Gaussian of sigma_effective would reach the target."""
    unit = Gaussian(std=1.0)
    return _factor(vector_curve(unit, largest_order=LARGEST_ORDER), target, run) / shape.sigma_effective


def _factor(curve: RenyiCurve, target: float, run: Run) -> float:
    """Return the c at which the curve divided by c^2 gives the target."""

    def gap(log_factor: float) -> float:
        scaled = replace(curve, log_moments=curve.log_moments * math.exp(-2 * log_factor))
        return rdp_upper(scaled, **run)[0] - target

    high = 0.0
    while gap(high) > 0:
        high += _STRIDE
        if high > math.log(_LARGEST):
            raise Unsupported(
                f"epsilon = {target!r} is below what Renyi orders up to {int(curve.orders[-1])} "
                f"resolve at delta = {run['delta']!r}, with any amount of noise"
            )
    low = high - _STRIDE
    while gap(low) <= 0:
        low -= _STRIDE
    return math.exp(brentq(gap, low, high, xtol=_PRECISION)) * (1 + 2 * _PRECISION)
