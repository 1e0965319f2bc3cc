"""The verified answer for a plan: steps that are alike as one run, unlike ones composed."""

import math
from dataclasses import replace

import numpy as np

from lmodp.accounting.calibration import bracketed, scale_to_target, unit_shape
from lmodp.accounting.checks import Run, require_run, unit_noise
from lmodp.accounting.pld.bounds import scalar_interval
from lmodp.accounting.rdp.supremum import CLOSED
from lmodp.accounting.verified import Verified, composed_upper, narrowed, rdp_curve, status_of, verified_run
from lmodp.errors import Unsupported, require
from lmodp.mechanisms import Differences, Gaussian, Gradient, Noise, RateMixture, Spherical
from lmodp.mechanisms.releases import Fixed
from lmodp.plan import Phase, Plan

UNLIKE = (
    "for steps that are not alike: the exact accounting of a Gaussian, and a lower end that counts all steps in full"
)
SECRET_GROUP = "the lower end counts the group of an example as secret, the upper end as known"
WITHOUT_COUNT = "the lower end leaves out the count beside the sum"
NO_DIRECTION = (
    "the lower end is 0: no loss is known that examples attain, because what a step releases ties the coordinates of "
    "their shift together, and this noise is not alike in all directions"
)
_PRECISION, _SAFE = 1e-6, 1 + 1e-5


def run_of(phase: Phase, delta: float) -> Run:
    """Return what the accountants of one kind of steps take."""
    return {"sampling_rate": phase.sampling_rate, "steps": phase.steps, "delta": delta}


def verified_plan(
    plan: Plan, *, delta: float | None = None, dimension: int | None = None, full: bool = False
) -> Verified:
    """Return the verified interval of a plan, at its delta or another one.

    Steps that are not alike are composed by their Renyi divergences. The lower end is the largest of those of each
    kind of steps alone, and of all steps at the largest noise and the smallest rate; both are less than the run.
    Where an example cannot shift a release in any direction, the lower end is one that it can attain.

    Args:
        plan: with noise.
        delta: in place of the plan's.
        dimension: numbers that one participation of an example shifts; None for what the plan's releases say.
        full: as in `verified_run`.

    Raises:
        InvalidValue: a dimension that is not that of the plan's releases.
    """
    delta = plan.given_delta if delta is None else delta
    dimension = dimension_of(plan, dimension)
    found = _of_any_shift(plan, delta, dimension, full)
    if found.lower == 0 or attains_any_shift(plan):
        return found
    lower, left_out = _attained(plan, delta)
    told = "; ".join(filter(None, (found.left_out, left_out)))
    reason = found.reason if lower > 0 or found.status != "ok" else left_out
    return replace(found, lower=lower, left_out=told, reason=reason)


def dimension_of(plan: Plan, dimension: int | None) -> int | None:
    """Return how many numbers one participation of an example shifts; None for many.

    Raises:
        InvalidValue: the plan's releases say another number, or have a count or rows beside the numbers that are given.
    """
    releases, known = plan.releases, plan.releases.dimension
    if dimension is None:
        return known
    beside = known is None and (releases.correlation.bands > 1 or releases.clip.share > 0)
    rule = f"is not what the plan releases: {releases.told or 'as many numbers as weights are trained'}"
    require(not beside and known in (None, dimension), "dimension", dimension, rule, "Leave it out.")
    return dimension


def attains_any_shift(plan: Plan) -> bool:
    """Whether the lower end for a shift in any direction is one of the plan's: examples can shift a release in every
    direction, or the direction makes no difference."""
    releases = plan.releases
    if releases.correlation.bands > 1:
        return False  # an example's group is secret
    alike = isinstance(plan.noise, Gaussian) or (isinstance(plan.noise, Spherical) and len(plan.phases) == 1)
    return alike or (type(releases.step) in (Gradient, Differences) and releases.clip.share == 0)


def _attained(plan: Plan, delta: float) -> tuple[float, str]:
    """Return a lower end that examples attain, and what it leaves out."""
    releases, noise = plan.releases, plan.given_noise
    if releases.correlation.bands > 1:
        return (_of_secret_group(plan, delta), SECRET_GROUP) if isinstance(noise, Gaussian) else (0.0, NO_DIRECTION)
    if releases.clip.share > 0 and noise.independent:  # the gradient alone: to look away is allowed
        alone = replace(plan, noise=noise.scaled(releases.sensitivity), releases=replace(releases, clip=Fixed()))
        lower = verified_plan(alone, delta=delta).lower
        return lower, WITHOUT_COUNT if lower > 0 else NO_DIRECTION
    return 0.0, NO_DIRECTION


def _of_secret_group(plan: Plan, delta: float) -> float:
    """Return a lower end where an example's group is drawn in secret, for Gaussian noise.

    With probability 1/b the example is in the group that begins, whose participations in the first floor(T/b) b steps
    are whole. So for every set S of outcomes P(S) - e^epsilon Q(S) >= (P_0(S) - b e^epsilon Q(S)) / b, with P_0 for
    that group: epsilon at delta is at least epsilon_0 at b delta, less log b. This is the direction of removal alone.
    """
    bands, (phase,) = plan.releases.correlation.bands, plan.phases
    whole = plan.steps // bands
    if not whole or bands * delta >= 1:
        return 0.0
    run: Run = {"sampling_rate": phase.sampling_rate, "steps": whole, "delta": bands * delta}
    known = scalar_interval(unit_noise(plan), removal=True, **run).lower
    return max(known - math.log(bands) * (1 + 1e-12), 0.0)


def _of_any_shift(plan: Plan, delta: float, dimension: int | None, full: bool) -> Verified:
    """Return the interval, its lower end for the worst shift of norm 1 in any direction."""
    unit = unit_noise(plan)
    if not unit.independent and plan.releases.correlation.bands > 1:
        raise Unsupported(
            f"no bound is proven for {unit.family!r} noise of which one participation touches several draws"
        )
    if len(plan.phases) == 1:
        noise, run = _at(unit, plan.phases[0]), run_of(plan.phases[0], delta)
        found = verified_run(noise, dimension=dimension, full=full, **run)
        return narrowed(found, noise, **run) if full and delta == plan.given_delta else found
    alone = [verified_run(_at(unit, phase), dimension=dimension, **run_of(phase, delta)) for phase in plan.phases]
    least = Phase(max(p.noise for p in plan.phases), min(p.sampling_rate for p in plan.phases), plan.steps)
    lower = max(
        found.lower for found in (*alone, verified_run(_at(unit, least), dimension=dimension, **run_of(least, delta)))
    )
    upper, order, shift, refused = math.inf, None, None, ""
    try:
        upper, order, shift = _composed(unit, plan, delta, dimension)
    except Unsupported as error:
        refused = str(error)
    return Verified(
        lower=lower,
        upper=upper,
        upper_rdp=upper,
        order=order,
        worst_shift=shift,
        route="rdp",
        answer=alone[0].answer,
        left_out=UNLIKE,
        find_limit=lambda: math.nan,
        **status_of(lower, upper, refused),
    )


def rdp_upper_of(plan: Plan, *, delta: float | None = None) -> float:
    """Return the RDP upper bound of a plan, by which all families are compared; of a law without one the upper end."""
    delta = plan.given_delta if delta is None else delta
    if not isinstance(plan.given_noise, (*CLOSED, RateMixture)):
        return verified_plan(plan, delta=delta).upper
    return _composed(unit_noise(plan), plan, delta, plan.releases.dimension)[0]


def scale_to_plan(noise: Noise | str, plan: Plan, *, epsilon: float, delta: float) -> Noise:
    """Return the given shape times the smallest scale found at which a plan's RDP bound is within ``epsilon``.

    Args:
        noise: a law, of which the shape is kept, or the family "gaussian" or "laplace".
        plan: rate, steps and releases; its noise is not looked at.

    Raises:
        InvalidValue: a value is outside its range.
        Unsupported: no scale reaches the target.
    """
    shape, dimension = unit_shape(noise), plan.releases.dimension
    if len(plan.phases) == 1:
        phase = plan.phases[0]
        run = run_of(phase, delta)
        found = scale_to_target(shape, accountant="verified", epsilon=epsilon, dimension=dimension, **run)
        return found.scaled(1 / phase.noise) if phase.noise != 1 else found
    require(0 < epsilon < math.inf, "epsilon", epsilon, "must be finite and above 0")

    def excess(log_scale: float) -> float:
        return _composed(shape.scaled(math.exp(log_scale)), plan, delta, dimension)[0] - epsilon

    first = -math.log(shape.sigma_effective)
    scale = math.exp(bracketed(excess, first, stride=1, precision=_PRECISION)) * _SAFE
    while excess(math.log(scale)) > 0:
        scale *= _SAFE
    return shape.scaled(scale)


def _at(unit: Noise, phase: Phase) -> Noise:
    return unit if phase.noise == 1 else unit.scaled(phase.noise)


def _composed(unit: Noise, plan: Plan, delta: float, dimension: int | None) -> tuple[float, float, float]:
    """Return (epsilon, order, worst_shift) of the composed Renyi curves."""
    with np.errstate(over="ignore", divide="ignore"):
        parts = []
        for phase in plan.phases:
            run = run_of(phase, delta)
            require_run(dimension=dimension, **run)
            parts.append((rdp_curve(_at(unit, phase), dimension=dimension, **run), phase.sampling_rate, phase.steps))
        return composed_upper(parts, delta=delta)
