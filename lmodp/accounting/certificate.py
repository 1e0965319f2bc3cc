"""The certificate: one JSON record that answers "what is epsilon?" in every way, for one plan."""

from __future__ import annotations

import math
from typing import Any

from lmodp.accounting.claimed.lmo_dp import claimed_run, claimed_step, classic_factor
from lmodp.accounting.conversion import equivalent_mu, equivalent_zcdp
from lmodp.accounting.paper_bound import paper_bound_run, paper_bound_step, pure_scalar
from lmodp.accounting.verified import verified_run
from lmodp.errors import require
from lmodp.mechanisms import Noise
from lmodp.plan import Plan

CUSTOMARY_DELTA = 1e-5
NUMERICAL_ERROR = (
    "epsilon_upper and epsilon_lower contain their numerical error: quadrature differences, rounding and "
    "FFT error are added on the unfavourable side; epsilon_gaussian_limit is a limit, not a bound"
)


def certificate_of(
    plan: Plan, *, nominal_step_epsilon: float | None = None, dimension: int | None = None
) -> dict[str, Any]:
    """Return the certificate of a plan: `account_mechanism`, and what is verified at a customary delta."""
    found = account_mechanism(plan, nominal_step_epsilon=nominal_step_epsilon, dimension=dimension)
    unit = plan.noise.scaled(1 / plan.relative_sensitivity)
    run = {"sampling_rate": plan.sampling_rate, "steps": plan.steps}
    customary = plain(_bounds(unit, CUSTOMARY_DELTA, run, dimension))
    return {**found, "customary": {"delta": CUSTOMARY_DELTA, "verified": customary}}


def published_claim(plan: Plan, *, nominal_step_epsilon: float | None = None) -> dict[str, Any]:
    """Return the certificate's ``claimed`` section alone."""
    unit = plan.noise.scaled(1 / plan.relative_sensitivity)
    return plain(
        _claimed(unit, plan.delta, {"sampling_rate": plan.sampling_rate, "steps": plan.steps}, nominal_step_epsilon)
    )


def account_mechanism(
    plan: Plan, *, nominal_step_epsilon: float | None = None, dimension: int | None = None
) -> dict[str, Any]:
    """Return every accountant's answer for a plan as plain JSON values.

    Args:
        plan: with noise and delta.
        nominal_step_epsilon: the epsilon per step that was published for the noise, if any.
        dimension: number of coordinates released; None for many.

    Raises:
        InvalidValue: the plan has no noise or no delta, or the dimension is below 1.
    """
    require(plan.noise is not None, "noise", None, "is needed for a certificate")
    require(plan.delta is not None, "delta", None, "is needed for a certificate", "Set plan.delta.")
    require(dimension is None or dimension >= 1, "dimension", dimension, "must be at least 1, or left out for many")
    unit = plan.noise.scaled(1 / plan.relative_sensitivity)
    run = {"sampling_rate": plan.sampling_rate, "steps": plan.steps}
    return plain(
        {
            "plan": _plan_facts(plan, dimension),
            **_accounts(unit, plan.delta, run, nominal_step_epsilon, dimension),
            "noise": _noise(plan.noise),
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
    }


def _accounts(
    unit: Noise, delta: float, run: dict[str, Any], nominal: float | None, dimension: int | None
) -> dict[str, Any]:
    return {
        "claimed": _claimed(unit, delta, run, nominal),
        "theorem": _theorem(unit, delta, run),
        "pure_scalar": _pure(unit),
        "verified": _verified(unit, delta, run, dimension),
    }


def _claimed(unit: Noise, delta: float, run: dict[str, Any], nominal: float | None) -> dict[str, Any]:
    step = claimed_step(unit, delta=delta)
    finite = math.isfinite(step.epsilon)
    return {
        "epsilon_step": step.epsilon,
        "order": step.order,
        "order_in_domain": step.order_in_domain,
        "sigma_classic": classic_factor(delta) / step.epsilon if finite else None,
        "epsilon_total": claimed_run(step.epsilon, delta=delta, **run) if finite else None,
        "epsilon_total_nominal": None if nominal is None else claimed_run(nominal, delta=delta, **run),
        "epsilon_step_nominal": nominal,
        "status": "ok" if finite else "unsupported",
        "reason": step.reason,
    }


def _theorem(unit: Noise, delta: float, run: dict[str, Any]) -> dict[str, Any]:
    step, total = paper_bound_step(unit, delta=delta), paper_bound_run(unit, delta=delta, **run)
    return {
        "epsilon_step": step.epsilon,
        "order": step.order,
        "epsilon_pure_scalar": pure_scalar(unit).epsilon,
        "epsilon_total": total.epsilon,
        "order_total": total.order,
        "status": total.status,
        "reason": step.reason or total.reason,
    }


def _pure(unit: Noise) -> dict[str, Any]:
    pure = pure_scalar(unit)
    return {"epsilon": pure.epsilon, "status": "infinite" if pure.reason else "ok", "reason": pure.reason}


def _verified(unit: Noise, delta: float, run: dict[str, Any], dimension: int | None) -> dict[str, Any]:
    found = verified_run(unit, delta=delta, dimension=dimension, **run)
    return {**_bounds(unit, delta, run, dimension), "epsilon_gaussian_limit": found.gaussian_limit}


def _bounds(unit: Noise, delta: float, run: dict[str, Any], dimension: int | None) -> dict[str, Any]:
    found = verified_run(unit, delta=delta, dimension=dimension, **run)
    finite = math.isfinite(found.upper)
    return {
        "sigma_effective": unit.sigma_effective,
        "supremum_at": found.supremum_at,
        "order": found.order,
        "epsilon_lower": found.lower,
        "epsilon_upper": found.upper,
        "epsilon_upper_rdp": found.rdp_upper,
        "mu": equivalent_mu(epsilon=found.upper, delta=delta) if finite else None,
        "zcdp": equivalent_zcdp(epsilon=found.upper, delta=delta) if finite else None,
        "method": found.method,
        "status": found.status,
        "reason": found.reason,
    }


def _noise(noise: Noise) -> dict[str, Any]:
    finite = math.isfinite(noise.variance)
    return {
        "law": noise.to_dict(),
        "std": noise.std,
        "mean_abs": noise.mean_abs,
        "entropy": noise.entropy,
        "fisher_information": noise.fisher_information,
        "sigma_effective": noise.sigma_effective,
        "efficiency": noise.efficiency,
        "score_maximum": noise.score_maximum,
        "status": "ok" if finite else "infinite",
        "reason": "" if finite else "the variance is infinite: the rate has too much mass near 0",
    }


def plain(value: Any) -> Any:
    """Return ``value`` with infinities and NaN replaced by null, recursively."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
