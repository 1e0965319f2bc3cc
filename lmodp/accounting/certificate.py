"""The certificate: one JSON record that answers "what is epsilon?" in every way, for one plan."""

import math
from collections.abc import Mapping
from typing import Any

from lmodp.accounting.checks import Run, unit_noise
from lmodp.accounting.claimed.lmo_dp import claimed_run, claimed_step, classic_factor
from lmodp.accounting.conversion import equivalent_mu, equivalent_zcdp
from lmodp.accounting.paper_bound import NO_FORMULA, paper_bound_run, paper_bound_step, pure_scalar
from lmodp.accounting.phases import dimension_of, run_of, verified_plan
from lmodp.errors import Unsupported, require
from lmodp.mechanisms import DEFAULT, Noise, RateMixture
from lmodp.plan import Plan

COMMON_DELTA = 1e-5
_UNLIKE = {"status": "unsupported", "reason": "the published formula is for steps that are alike"}
NUMERICAL_ERROR = (
    "estimates of the numerical error of lower and upper (quadrature differences, rounding, FFT error) are added on "
    "the unfavourable side; they are no proven bounds of it; gaussian_limit is a limit, not a bound"
)


def certificate_of(
    plan: Plan, *, published_epsilon_step: float | None = None, dimension: int | None = None, full: bool = False
) -> dict[str, Any]:
    """Return the certificate of a plan: every accountant's answer, and the verified one at delta = 1e-5.

    Papers use very different delta, so their epsilons cannot be compared. A certificate therefore has a
    second verified interval, always at delta = 1e-5.

    Args:
        plan, published_epsilon_step, dimension, full: as in `account_mechanism`.

    Returns:
        What `account_mechanism` returns, and under "at_1e-5" the ``delta`` and its ``verified`` section.

    Raises:
        InvalidValue: as `account_mechanism`.

    Source:
        docs/verified_bounds.md.

    >>> import lmodp
    >>> plan = lmodp.Plan(noise=lmodp.load_noise("lmo-0.3"), sampling_rate=0.03, steps=10, delta=1e-10)
    >>> certificate = lmodp.certify(plan)
    >>> [round(certificate["verified"][end], 2) for end in ("lower", "upper")]
    [0.14, 0.16]
    >>> [round(certificate["at_1e-5"]["verified"][end], 2) for end in ("lower", "upper")]
    [0.07, 0.08]
    """
    found = account_mechanism(plan, published_epsilon_step=published_epsilon_step, dimension=dimension, full=full)
    common = plain(_bounds(plan, COMMON_DELTA, dimension, full))
    return {**found, "at_1e-5": {"delta": COMMON_DELTA, "verified": common}}


def published_claim(plan: Plan, *, published_epsilon_step: float | None = None) -> dict[str, Any]:
    """Return the certificate's ``claimed`` section alone."""
    unit, run = _asked(plan)
    return plain(_claimed(unit, run, published_epsilon_step))


def account_mechanism(
    plan: Plan, *, published_epsilon_step: float | None = None, dimension: int | None = None, full: bool = False
) -> dict[str, Any]:
    """Return every accountant's answer to "what is epsilon?" for a plan, as plain JSON values.

    Args:
        plan: with noise and delta.
        published_epsilon_step: the epsilon of one step that was published for the noise, if any.
        dimension: number of coordinates released; None for what the plan's releases say, mostly many. More
            coordinates never lower epsilon.
        full: the narrowest interval that the suite can prove, in up to a minute; otherwise a quick one.

    Returns:
        A dict. Infinite numbers are None; "status" and "reason" say why.

        ``claimed``      ``epsilon_step``, ``epsilon_run``: by the formula of the public code, faults included
        ``paper_bound``  ``epsilon_step``, ``epsilon_run``: the published formula at the orders where it is
                         meaningful; for one released number per step, so not for a gradient
        ``pure_scalar``  ``epsilon_step``: one number released, delta = 0
        ``verified``     ``lower``, ``upper``: interval for the whole run; ``upper`` is the epsilon you may state
        ``noise``        ``noise_multiplier`` (standard deviation), ``sigma_effective`` (that of the Gaussian that
                         gives the same protection in many coordinates), both in units of the clip norm unless the
                         plan has a ``noise_scale``; ``mean_abs``, ``entropy``, ``efficiency``, ...
        ``plan``         the plan's values

    Raises:
        InvalidValue: the plan has no noise or no delta, or the dimension is below 1 or not that of its releases.

    Source:
        LMO-DP, arXiv:2405.18776 (claimed, paper_bound); docs/verified_bounds.md (verified).

    >>> import lmodp
    >>> plan = lmodp.Plan(noise=lmodp.load_noise("lmo-0.3"), sampling_rate=0.03, steps=10, delta=1e-10)
    >>> found = lmodp.account(plan)
    >>> round(found["claimed"]["epsilon_run"], 3), round(found["verified"]["lower"], 3)
    (0.136, 0.14)
    """
    require(dimension is None or dimension >= 1, "dimension", dimension, "must be at least 1, or left out for many")
    unit, run = _asked(plan)
    dimension = dimension_of(plan, dimension)
    return plain(
        {
            "plan": _plan_facts(plan, dimension),
            "claimed": _claimed(unit, run, published_epsilon_step),
            "paper_bound": _paper_bound(unit, run),
            "pure_scalar": _pure(unit),
            "verified": _verified(plan, dimension, full),
            "noise": _noise(plan.given_noise),
            "numerical_error": NUMERICAL_ERROR,
        }
    )


def _plan_facts(plan: Plan, dimension: int | None) -> dict[str, Any]:
    return {
        "sampling_rate": plan.sampling_rate,
        "steps": plan.steps,
        "delta": plan.delta,
        "relative_sensitivity": plan.relative_sensitivity,
        "dimension": dimension,
        "adjacency": plan.adjacency,
        "sampler": plan.sampler,
        "privacy_unit": plan.privacy_unit,
        "releases_per_step": plan.releases_per_step,
        "noise_schedule": plan.noise_schedule,
        **({} if plan.releases == DEFAULT else {"releases": plan.releases.to_dict()}),
    }


def _asked(plan: Plan) -> tuple[Noise, Run | None]:
    """Return the noise at sensitivity 1, and the run of equal releases; None where they are not alike."""
    phase, unit = plan.phases[0], unit_noise(plan)
    run = run_of(phase, plan.given_delta) if len(plan.phases) == 1 else None
    return (unit if phase.noise == 1 else unit.scaled(phase.noise)), run


def _claimed(unit: Noise, run: Run | None, published: float | None) -> dict[str, Any]:
    if run is None:
        names = ("epsilon_step", "order", "order_in_domain", "sigma_classic", "epsilon_run", "published_epsilon_run")
        return {**dict.fromkeys(names), "published_epsilon_step": published, **_UNLIKE}
    step = claimed_step(unit, delta=run["delta"])
    finite = 0 < step.epsilon < math.inf
    nothing = "" if step.epsilon > 0 else "the published formula gives no epsilon above 0 at so large a delta"
    return {
        "epsilon_step": step.epsilon,
        "order": step.order,
        "order_in_domain": step.order_in_domain,
        "sigma_classic": classic_factor(run["delta"]) / step.epsilon if finite else None,
        "epsilon_run": claimed_run(step.epsilon, **run) if finite else None,
        "published_epsilon_run": None if published is None else claimed_run(published, **run),
        "published_epsilon_step": published,
        "status": "ok" if finite else "unsupported",
        "reason": step.reason or nothing,
    }


def _paper_bound(unit: Noise, run: Run | None) -> dict[str, Any]:
    if run is None:
        return {**dict.fromkeys(("epsilon_step", "order", "epsilon_run", "order_run")), **_UNLIKE}
    step, whole = paper_bound_step(unit, delta=run["delta"]), paper_bound_run(unit, **run)
    return {
        "epsilon_step": step.epsilon,
        "order": step.order,
        "epsilon_run": whole.epsilon,
        "order_run": whole.order,
        "status": whole.status,
        "reason": step.reason or whole.reason,
    }


def _pure(unit: Noise) -> dict[str, Any]:
    pure = pure_scalar(unit)
    kind = "unsupported" if pure.reason == NO_FORMULA else "infinite" if pure.reason else "ok"
    return {"epsilon_step": pure.epsilon, "status": kind, "reason": pure.reason}


def _verified(plan: Plan, dimension: int | None, full: bool) -> dict[str, Any]:
    found = verified_plan(plan, dimension=dimension, full=full)
    return {**_bounds(plan, plan.given_delta, dimension, full), "gaussian_limit": found.gaussian_limit}


def _bounds(plan: Plan, delta: float, dimension: int | None, full: bool) -> dict[str, Any]:
    found = verified_plan(plan, delta=delta, dimension=dimension, full=full)
    finite = math.isfinite(found.upper)
    return {
        "scope": "run",
        "sigma_effective": unit_noise(plan).sigma_effective,
        "worst_shift": found.worst_shift,
        "order": found.order,
        "lower": found.lower,
        "upper": found.upper,
        "upper_rdp": found.upper_rdp,
        "mu": equivalent_mu(epsilon=found.upper, delta=delta) if finite else None,
        "zcdp": equivalent_zcdp(epsilon=found.upper, delta=delta) if finite else None,
        "route": found.route,
        "answer": found.answer,
        "left_out": found.left_out,
        "status": found.status,
        "reason": found.reason,
    }


_FACTS = (
    "noise_multiplier",
    "mean_abs",
    "entropy",
    "fisher_information",
    "sigma_effective",
    "efficiency",
    "score_maximum",
)


def _noise(noise: Noise) -> dict[str, Any]:
    facts: dict[str, Any] = {"law": noise.to_dict()}
    status, reason = "ok", ""
    for name in _FACTS:
        try:
            facts[name] = getattr(noise, "std" if name == "noise_multiplier" else name)
        except Unsupported as error:
            facts[name], status, reason = None, "unsupported", str(error)
    if facts["noise_multiplier"] == math.inf:
        why = "the rate has too much mass near 0" if isinstance(noise, RateMixture) else "the tail is too heavy"
        status, reason = "infinite", f"the variance is infinite: {why}"
    return {**facts, "status": status, "reason": reason}


def plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``content`` with infinities and NaN replaced by null, recursively."""
    return {key: _plain(item) for key, item in content.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return plain(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
