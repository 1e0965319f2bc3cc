"""Every accountant's epsilon of a run at one delta, in a few numbers: what an audit's bound is compared with."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lmodp.accounting.checks import Run, unit_noise
from lmodp.accounting.claimed.lmo_dp import claimed_run, claimed_step
from lmodp.accounting.paper_bound import paper_bound_run
from lmodp.accounting.phases import run_of, verified_plan
from lmodp.mechanisms import Noise
from lmodp.plan import Plan


def accounts_at(
    plan: Plan, delta: float, *, claim_noise: Noise | None = None, own_claim: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return each accountant's epsilon of the whole run at ``delta``; null where it is infinite.

    Args:
        plan: with noise.
        delta: at which they are asked.
        claim_noise: noise that the published claim was computed for, where it is not the plan's.
        own_claim: a `lmodp.methods.contract.Claim` as a mapping, of a method that claims by a formula of its own.
            Without it the claimed epsilon is what the public experiment code prints when asked for ``delta``.
    """
    unit = unit_noise(plan)
    claim = unit if claim_noise is None else unit_noise(replace(plan, noise=claim_noise))
    run = run_of(plan.phases[0], delta) if len(plan.phases) == 1 else None
    verified = verified_plan(plan, delta=delta)
    if own_claim:
        claimed, note = own_claim_at(own_claim, delta, stated_at=plan.given_delta)
    else:
        claimed, note = _published_claim(claim, run)
    return {
        "claimed": claimed,
        "claimed_note": note,
        "paper_bound": _finite(paper_bound_run(claim, **run).epsilon) if run else None,
        "verified": {"lower": _finite(verified.lower), "upper": _finite(verified.upper)},
    }


def _published_claim(noise: Noise, run: Run | None) -> tuple[float | None, str]:
    if run is None:
        return None, "the published formula is for steps that are alike"
    step = claimed_step(noise, delta=run["delta"])
    if not 0 < step.epsilon < math.inf:
        return None, step.reason or f"the published formula gives no epsilon above 0 at delta = {run['delta']:.3g}"
    return _finite(claimed_run(step.epsilon, **run)), f"the published route at delta = {run['delta']:.3g}"


def own_claim_at(claim: Mapping[str, Any], delta: float, *, stated_at: float) -> tuple[float | None, str]:
    """Return (epsilon, note) of a method's own claim at ``delta``.

    A claim at a smaller delta implies the same epsilon at ``delta``; of those that the method
    recorded, the one at the nearest smaller delta is the strongest that follows. Records of
    earlier code hold only the one at the plan's delta, ``stated_at``.
    """
    stated = [] if claim["epsilon"] is None else [(stated_at, claim["epsilon"])]
    known = [(at, epsilon) for at, epsilon in [*claim.get("epsilon_at", ()), *stated] if at <= delta]
    if not known:
        return None, (
            f"{claim['formula']}: its epsilon is not recorded at delta = {delta:.3g} or a little below; "
            "refutes_claimed_at_delta compares with the claim at the delta asked for"
        )
    at, epsilon = max(known)
    return epsilon, f"{claim['formula']}, at delta = {at:.3g}, which implies it at {delta:.3g}"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def accounts_of(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `accounts_at` would say at the certificate's own delta, from the certificate."""
    verified = certificate["verified"]
    claimed = certificate["claimed"]
    note = (
        claimed.get("formula")
        or claimed["reason"]
        or f"the published route at delta = {certificate['plan']['delta']:.3g}"
    )
    return {
        "claimed": claimed["epsilon_run"],
        "claimed_note": note,
        "paper_bound": certificate["paper_bound"]["epsilon_run"],
        "verified": {"lower": verified["lower"], "upper": verified["upper"]},
    }
