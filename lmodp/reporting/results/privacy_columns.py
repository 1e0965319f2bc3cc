"""The columns of the privacy answers, from certificates and audits; null if there is no statement."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmodp.records.record import read_record

PARTS = ("claimed", "paper_bound", "pure_scalar", "verified", "noise", "at_1e-5")


def privacy_columns(certificate: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return every accountant's answer as flat columns, and for each accountant the reason for missing values."""
    claimed, paper_bound, pure, verified, noise, customary = ((certificate or {}).get(name, {}) for name in PARTS)
    common = customary.get("verified", {})
    return {
        "claimed_step": claimed.get("epsilon_step"),
        "claimed_run": claimed.get("epsilon_run"),
        "published_epsilon_run": claimed.get("published_epsilon_run"),
        "claimed_order": claimed.get("order"),
        "claimed_order_in_domain": claimed.get("order_in_domain"),
        "claimed_formula": claimed.get("formula"),
        "claimed_reason": claimed.get("reason") or None,
        "pure_scalar_step": pure.get("epsilon_step"),
        "pure_scalar_reason": pure.get("reason") or None,
        "paper_bound_step": paper_bound.get("epsilon_step"),
        "paper_bound_run": paper_bound.get("epsilon_run"),
        "paper_bound_reason": paper_bound.get("reason") or None,
        "verified_lower": verified.get("lower"),
        "verified_limit": verified.get("gaussian_limit"),
        "verified_upper": verified.get("upper"),
        "verified_reason": verified.get("reason") or None,
        "verified_answer": verified.get("answer"),
        "worst_shift": verified.get("worst_shift"),
        "mu": verified.get("mu"),
        "zcdp": verified.get("zcdp"),
        "verified_lower_at_1e-5": common.get("lower"),
        "verified_upper_at_1e-5": common.get("upper"),
        "noise_multiplier": noise.get("noise_multiplier"),
        "noise_mean_abs": noise.get("mean_abs"),
        "noise_reason": noise.get("reason") or None,
        "sigma_effective": verified.get("sigma_effective"),
        "efficiency": noise.get("efficiency"),
    }


def audit_columns(audit: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what an audit measured, or the reason why it measured nothing."""
    found = (audit or {}).get("audit") or {}
    reason = "no audit was made of this mechanism" if audit is None else audit["reason"]
    return {
        "audited_lower": found.get("epsilon_lower"),
        "audited_confidence": found.get("confidence"),
        "audited_trials": found.get("trials"),
        "audited_delta": found.get("delta_tested"),
        "audited_refutes_claimed": found.get("refutes_claimed"),
        "audited_reason": None if found else reason,
    }


def mechanism_facts(root: Path, mechanism: str, audit: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what figures and the privacy table need about a mechanism, including its audit's curve."""
    certificate = read_record(root / "mechanisms" / mechanism / "certificate.json")
    noise = read_record(root / "mechanisms" / mechanism / "noise.json")
    found = (audit or {}).get("audit") or {}
    curve = found.get("curve")
    names = ("method", "calibration", "epsilon", "delta", "setting", "expected_batch_size", "dataset_size", "steps")
    return {
        **{name: certificate["spec"].get(name) for name in names},
        "status": certificate["status"],
        "reason": certificate["reason"],
        "law": certificate.get("noise"),
        **({"releases": certificate["releases"]} if "releases" in certificate else {}),
        "note": noise.get("note"),
        "least_laplace": (noise.get("details") or {}).get("laplace_noise_multiplier"),
        **privacy_columns(certificate.get("certificate")),
        **audit_columns(audit),
        "audit_claimed": found.get("claimed"),
        "audit_curve": curve and {name: curve[name] for name in ("false_positive", "false_negative")},
    }
